package offheap

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func dirty(b []byte) {
	for i := range b {
		b[i] = 0xee
	}
}

// The regions of an owner that is gone are the next one's, without what was in them.
func TestEnd(t *testing.T) {
	p := New()
	dirty(p.Take(1 << 20))
	old := &p.regions[0][0]
	p.end()
	p.end() // nothing is given back twice
	q := New()
	for tries := 0; ; tries++ {
		b := q.Take(regionSize) // each is a region
		if &b[0] == old {
			if b[0] != 0 {
				t.Error("the system did not get its memory")
			}
			return
		}
		if tries == 20 { // owners of other tests may have gone meanwhile
			t.Fatal("the region is nobody's")
		}
	}
}

// resident counts the pages of a piece that have memory.
func resident(t *testing.T, b []byte) (n int) {
	t.Helper()
	page := unix.Getpagesize()
	has := make([]byte, len(b)/page)
	_, _, err := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(unsafe.Pointer(unsafe.SliceData(has))))
	if err != 0 {
		t.Fatal(err)
	}
	for _, h := range has {
		n += int(h & 1)
	}
	return n
}

// What is taken next has its memory before that, a step ahead and no further.
func TestAhead(t *testing.T) {
	probe := reserve(aheadStep)
	if err := unix.Madvise(probe, unix.MADV_POPULATE_WRITE); err != nil {
		t.Skip("this system gives no memory before it is touched: ", err)
	}
	const piece = aheadStep / 4
	p := New()
	p.Take(piece)
	p.ahead.Wait()
	region := p.regions[0]
	if n := resident(t, region); n != 0 {
		t.Fatalf("%d pages have memory, and nobody has touched one", n)
	}
	for taken := 2 * piece; taken < regionSize; taken += piece {
		p.Take(piece)
		p.ahead.Wait()
		next := (taken + aheadStep/2) / aheadStep * aheadStep
		if next == regionSize {
			break
		}
		if n := resident(t, region[next:next+aheadStep]); n != aheadStep/unix.Getpagesize() {
			t.Fatalf("%d bytes were taken, and %d pages of the step at %d have memory", taken, n, next)
		}
		if n := resident(t, region[next+aheadStep:]); n != 0 {
			t.Fatalf("%d bytes were taken, and %d pages behind the step at %d have memory", taken, n, next)
		}
	}
}
