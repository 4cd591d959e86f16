package replication

import (
	"testing"

	"tarragon/instance"
	"tarragon/vclock"
	"tarragon/xrow"
)

// A PROMOTE of ours that is void goes out as a NOP with its place kept, out of
// the ring and out of the log; PROMOTEs of others, and ours that are not void,
// go as they are.
func TestRelayVoidPromote(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.RingBytes = 3000 })
	h.show(7)
	h.write(h.gm.promote(1, 5), true)
	h.write(h.gm.promote(3, 6), true)
	h.write(h.gm.promote(1, 7), true)
	h.Handle(&instance.Effects{VoidPromotes: []uint64{1}, Relay: 3})
	want := func(p *peer) {
		t.Helper()
		p.expectType(xrow.RaftState)
		for i, kind := range []xrow.Type{xrow.Nop, xrow.Promote, xrow.Promote} {
			row := p.expectType(kind)
			if row.ReplicaID != []uint32{1, 3, 1}[i] || row.LSN != []uint64{1, 1, 2}[i] {
				t.Errorf("row %d is %d:%d", i, row.ReplicaID, row.LSN)
			}
		}
	}
	p := subscribe(t, h.addr, 2, vclock.VClock{})
	want(p)
	p.Close()
	for range 20 {
		h.write(h.gm.rows(1, 5), true)
	}
	if h.ring.first <= 1 {
		t.Fatal("the ring holds all: the log is not read")
	}
	want(subscribe(t, h.addr, 2, vclock.VClock{}))
}
