package replication

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// The ring holds what relays may ask for, up to its limit, and without relays the
// newest group alone.
func TestRingIsForRelays(t *testing.T) {
	r := ring{limit: 1000}
	group := &xrow.Group{Rows: make([]byte, 100)}
	next := uint64(1)
	held := func(from uint64) {
		t.Helper()
		for no := uint64(1); no < next; no++ {
			if _, ok := r.at(no); ok != (no >= from) {
				t.Errorf("group %d of %d is held: %t", no, next-1, ok)
			}
		}
	}
	add := func(n int, want demand) {
		for range n {
			r.add(next, group, want)
			next++
		}
	}
	add(200, noDemand)
	held(200)
	add(5, demandAll)
	held(200)
	add(20, demandCut)
	held(216)
	add(1, noDemand)
	held(226)
	if r.bytes != 100 {
		t.Errorf("%d bytes are held", r.bytes)
	}
}
