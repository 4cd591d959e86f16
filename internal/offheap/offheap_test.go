package offheap

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
)

func dirty(b []byte) {
	for i := range b {
		b[i] = 0xee
	}
}

// Pieces are zero, of the length asked for, and nobody else's, whatever was given
// back before them; and what was given back is used again.
func TestPieces(t *testing.T) {
	p := New()
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 4096, 4097, 50176, 64 << 10, regionSize, regionSize + 1}
	zero := make([]byte, regionSize+1)
	var held [][]byte
	for i := range 3000 {
		if len(held) > 40 || rng.IntN(3) == 0 && len(held) > 0 {
			k := rng.IntN(len(held))
			for _, c := range held[k] {
				if c != byte(len(held[k])) {
					t.Fatalf("step %d: somebody else wrote into a piece", i)
				}
			}
			p.Give(held[k])
			held = append(held[:k], held[k+1:]...)
			continue
		}
		n := sizes[rng.IntN(5)]
		if i%500 == 499 {
			n = sizes[5+i/500%2]
		}
		b := p.Take(n)
		if len(b) != n || !bytes.Equal(b, zero[:n]) {
			t.Fatalf("step %d: %d bytes for %d, or not zero", i, len(b), n)
		}
		for k := range b {
			b[k] = byte(n)
		}
		held = append(held, b)
	}
	if runtime.GOOS == "linux" && len(p.regions) > 6 {
		t.Errorf("%d regions for at most 41 pieces", len(p.regions))
	}
}

// Whoever gives back much leaves it to the system, and gets zeros again.
func TestColdPieces(t *testing.T) {
	p := New()
	const n = 64 << 10
	var all [][]byte
	for range 4 * warm {
		b := p.Take(n)
		dirty(b)
		all = append(all, b)
	}
	for _, b := range all {
		p.Give(b)
	}
	if f := p.free[n]; runtime.GOOS == "linux" && (len(f.warm) != warm || len(f.cold) != 3*warm) {
		t.Errorf("%d pieces keep their memory, %d do not", len(f.warm), len(f.cold))
	}
	for range all {
		if b := p.Take(n); !bytes.Equal(b, make([]byte, n)) {
			t.Fatal("a piece is not zero")
		}
	}
}

// What is not of here is left alone: it is of Go's heap.
func TestForeign(t *testing.T) {
	p := New()
	p.Give(make([]byte, 64<<10))
	p.Give(make([]byte, 100))
	if len(p.free) != 0 {
		t.Errorf("%v was taken", p.free)
	}
}

// The regions of an owner that is gone are the next one's, and zero.
func TestEnd(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no regions here")
	}
	p := New()
	dirty(p.Take(1 << 20))
	old := &p.regions[0][0]
	p.end()
	p.end() // nothing is given back twice
	q := New()
	for tries := 0; ; tries++ {
		b := q.Take(regionSize) // each is a region
		if !bytes.Equal(b, make([]byte, regionSize)) {
			t.Fatal("a region is not zero")
		}
		if &b[0] == old {
			return
		}
		if tries == 20 { // owners of other tests may have gone meanwhile
			t.Fatal("the region is nobody's")
		}
	}
}
