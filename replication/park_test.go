package replication

import (
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

const parkedText = "rows wait: too much is to be written to this instance's disk"

// While too much waits for the disk nothing behind the first rows is read, and
// the peer hears all the same that we live. Then all comes, in its order.
func TestApplierParks(t *testing.T) {
	h, s := follower(t)
	c := s.accept(2, vclock.VClock{})
	wait(t, h.node, func(ev instance.Upstream) bool { return true })
	c.send(beatRow(2, 4))
	wait(t, h.node, func(ev instance.Heartbeat) bool { return true })
	h.Handle(&instance.Effects{Park: true, Ack: &instance.AckState{VClock: vclock.VClock{2: 1}, Term: 3}})
	if a, _ := c.readAck(); a.Sync != 4 {
		t.Fatalf("ack %+v", a)
	}
	row := testRow(2, 2, 2, true, 2, 10)
	c.send(&row)
	c.send(beatRow(2, 9))
	until(t, func() bool { return h.Status()[0].Upstream.Message == parkedText })
	h.Handle(&instance.Effects{Park: true, Beat: true, Ack: &instance.AckState{VClock: vclock.VClock{2: 1}, Term: 3}})
	if a, _ := c.readAck(); a.VClock != (vclock.VClock{2: 1}) || a.Sync != 4 {
		t.Errorf("ack of one that waits: %+v", a)
	}
	if n := len(h.node.events); n > 0 {
		t.Errorf("the core got %T", <-h.node.events)
	}
	h.Handle(&instance.Effects{})
	wait(t, h.node, func(ev instance.Rows) bool { return true }).Release()
	if beat := wait(t, h.node, func(ev instance.Heartbeat) bool { return true }); beat.Sync != 9 {
		t.Errorf("heartbeat %+v", beat)
	}
	if m := h.Status()[0].Upstream.Message; m != "" {
		t.Errorf("message %q", m)
	}
}

// A parked stream ends like any other: when the core refuses it, and when the hub
// is closed.
func TestParkedStreamEnds(t *testing.T) {
	h, s := follower(t)
	park := func() {
		c := s.accept(2, vclock.VClock{})
		wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamFollow })
		h.Handle(&instance.Effects{Park: true})
		row := testRow(2, 2, 2, true, 2, 10)
		c.send(&row)
		until(t, func() bool { return h.Status()[0].Upstream.Message == parkedText })
	}
	park()
	h.Handle(&instance.Effects{Park: true, Refused: []instance.Refusal{{Peer: 2, Err: xrow.Errorf(xrow.ErrSystem, "no room")}}})
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamLost })
	park() // it comes back
	h.Close()
}

// A peer that reads nothing must not hold what the log's reader holds of the store.
func TestSlowPeerHoldsNoReader(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.RingBytes = 1 << 20 })
	h.show(2)
	const groups, rows = 300, 10
	for range groups {
		h.write(h.gm.sized(1, rows, 10_000), true)
	}
	slow := subscribe(t, h.addr, 2, vclock.VClock{})
	until(t, func() bool { return h.log.reads.Load() > 0 && h.log.held.Load() == 0 })
	slow.expectType(xrow.RaftState)
	slow.expect(1, 1, groups*rows)
}
