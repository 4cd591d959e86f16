package replication

import (
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
)

// A base copy of much more than any buffer has: its replica's core takes nothing for a while, then one part at a time. The
// replica holds so many parts of so many bytes and tuples, and the sender neither the view nor what it pins: the rest is in a file.
func TestCopyIsBounded(t *testing.T) {
	const rows = 300_000 // more than what sockets hold
	const parts = 2      // that wait for the core; one more is gathered
	full := fullBox(t, rows)
	h := newTestHub(t, 1, func(c *Config) { c.JoinTimeout, c.ViewTime, c.SpoolDir = 10*patience, time.Nanosecond, t.TempDir() })
	r, node := h.replica(9, func(c *Config) { c.JoinTimeout = 10 * patience })
	r.Handle(order(1))
	h.opens(full, vclock.VClock{1: 7})
	wait(t, node, func(ev instance.CopyBegins) bool { return ev.Order == 1 })
	r.Handle(&instance.Effects{CopyReady: 1})
	wait(t, h.node, func(instance.CloseView) bool { return true }) // a write of the sender waits: nobody reads on
	if given := h.givenCopies(); len(given) != 1 || !given[0].Spooled || given[0].Pins != 0 {
		t.Errorf("the sender keeps %+v", given)
	}
	var held []instance.CopyRows
	tuples := 0
	for {
		var ev instance.Event
		select {
		case ev = <-node.events:
		case <-time.After(patience):
			t.Fatalf("no more comes behind %d tuples", tuples)
		}
		switch ev := ev.(type) {
		case instance.CopyRows:
			size := 0
			for _, tuple := range ev.Tuples {
				size += len(tuple)
			}
			if len(ev.Tuples) > copyTuples || size > copyBytes {
				t.Errorf("a part has %d tuples of %d bytes", len(ev.Tuples), size)
			}
			tuples += len(ev.Tuples)
			held = append(held, ev)
			if n := len(held) + len(node.events); n > parts && tuples < rows {
				t.Fatalf("the replica holds %d parts, %d tuples", n, tuples)
			}
			if len(held) == parts {
				held[0].Release()
				held = held[1:]
			}
		case instance.CopyEnds:
			if ev.Err != nil || tuples != rows {
				t.Errorf("%d tuples, %v", tuples, ev.Err)
			}
			return
		}
	}
}
