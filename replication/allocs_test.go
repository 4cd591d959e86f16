package replication

import (
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// A relay allocates nothing for a group, however many rows are in it: it writes the
// bytes of the log as they are.
func TestRelayAllocatesNothing(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	r := &relay{hub: h.Hub, link: iproto.NewLink(&cannedConn{}, 1<<20), subscriber: subscriber{peer: 2},
		cutter: cutter{next: 1, sentRaft: h.feed.raft.seq}, wake: make(chan struct{}, 1)}
	const runs, rows = 100, 64
	groups := make([]*xrow.Group, 2*(runs+1))
	for i := range groups {
		groups[i] = h.gm.rows(1, rows)
	}
	var e instance.Effects
	run := func() {
		e.Group, e.GroupNo, e.Relay = groups[e.GroupNo], e.GroupNo+1, e.GroupNo+1
		h.Handle(&e)
		for n := int64(1); n > 0; {
			var err error
			if n, _, err = r.sendSome(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range runs { // what grows has grown
		run()
	}
	if n := testing.AllocsPerRun(runs, run); n > 0 {
		t.Errorf("%v allocations for a group of %d rows", n, rows)
	}
	if want := e.GroupNo * rows; r.pos[1] != want {
		t.Errorf("sent up to LSN %d, want %d", r.pos[1], want)
	}
}
