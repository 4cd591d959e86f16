package offheap

import "testing"

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
