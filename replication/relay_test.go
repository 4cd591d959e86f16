package replication

import (
	"errors"
	"io"
	"reflect"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// A peer that is behind gets the log, then the ring, each row once, RAFT first.
func TestRelayLogThenRing(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.RingBytes = 3000 })
	h.show(2)
	for range 20 {
		h.write(h.gm.rows(1, 5), true)
	}
	if h.feed.ring.first <= 1 {
		t.Fatal("the ring holds all: the log is not read")
	}
	p := subscribe(t, h.addr, 2, vclock.VClock{1: 12})
	p.expectType(xrow.RaftState)
	p.expect(1, 13, 100)
	h.write(h.gm.rows(1, 5), true)
	p.expect(1, 101, 105)
	if n := h.log.reads.Load(); n == 0 || n >= 20 {
		t.Errorf("%d groups were read from the log", n)
	}
	wait(t, h.node, func(ev instance.Downstream) bool {
		ev.VClock = vclock.VClock{}
		return reflect.DeepEqual(ev, instance.Downstream{Peer: 2, Up: true, Kind: xrow.Tarragon})
	})
	p.Close()
	wait(t, h.node, func(ev instance.Downstream) bool { return reflect.DeepEqual(ev, instance.Downstream{Peer: 2}) })
}

// A group that is not synced here does not leave.
func TestRelayWaitsForSync(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	p := subscribe(t, h.addr, 2, vclock.VClock{})
	p.expectType(xrow.RaftState)
	h.write(h.gm.rows(1, 1), true)
	h.write(h.gm.rows(1, 1), false)
	p.expect(1, 1, 1)
	h.show(3) // comes instead of row 2
	p.expectType(xrow.RaftState)
	h.Handle(&instance.Effects{Relay: 2})
	p.expect(1, 2, 2)
}

// A PROMOTE waits for the RAFT of its term, and what is behind it too.
func TestRelayPromoteAfterRaft(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	p := subscribe(t, h.addr, 2, vclock.VClock{})
	p.expectType(xrow.RaftState)
	h.write(h.gm.rows(3, 1), true)
	h.write(h.gm.promote(3, 5), true)
	p.expect(3, 1, 1)
	h.show(5)
	p.expectType(xrow.RaftState)
	p.expect(3, 2, 2)
}

// Rows of the peer itself go out up to what we held when it came, and never
// after that.
func TestRelayOwnRows(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	h.write(h.gm.rows(2, 5), true)
	h.node.info.Synced = h.gm.at
	p := subscribe(t, h.addr, 2, vclock.VClock{2: 3})
	p.expectType(xrow.RaftState)
	p.expect(2, 4, 5)
	h.write(h.gm.rows(2, 2), true)
	h.write(h.gm.rows(1, 1), true)
	p.expect(1, 1, 1)
}

// Heartbeats go out when the core beats, at the end of the stream with a time.
func TestRelayHeartbeat(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	p := subscribe(t, h.addr, 2, vclock.VClock{})
	p.expectType(xrow.RaftState)
	h.write(h.gm.rows(1, 1), true) // no heartbeat before it
	p.expect(1, 1, 1)
	h.Handle(&instance.Effects{Beat: true, BeatSync: 7, Relay: 1})
	row := p.expectType(xrow.OK)
	sync, err := xrow.DecodeHeartbeat(row.Body)
	if err != nil || sync != 7 || row.ReplicaID != 1 || row.Timestamp != 1000 {
		t.Errorf("heartbeat %+v, VCLOCK_SYNC %d, %v", row, sync, err)
	}
}

// A gap is told behind OK and RAFT, in the class that appliers retry on.
func TestRelayGap(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	h.write(h.gm.rows(1, 5), true)
	h.write(h.gm.rows(1, 5), true)
	h.log.cut(2)
	p := subscribe(t, h.addr, 2, vclock.VClock{1: 2})
	p.expectType(xrow.RaftState)
	row := p.next()
	e := row.AsError()
	if e == nil || e.Code != xrow.ErrXlogGap || e.Class() != "XlogGapError" {
		t.Fatalf("got %v", e)
	}
	if state, again := classify(e); state != StateLoading || !again {
		t.Errorf("an applier makes %s, again=%v of it", state, again)
	}
	if _, err := p.ReadRow(); !errors.Is(err, io.EOF) {
		t.Errorf("then %v", err)
	}
}

// Acks that come together are one event, with the newest.
func TestRelayAcks(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	p := subscribe(t, h.addr, 2, vclock.VClock{})
	p.expectType(xrow.RaftState)
	var out []byte
	for lsn := uint64(1); lsn <= 500; lsn++ {
		a := xrow.Ack{VClock: vclock.VClock{1: lsn}, Term: 2}
		row := xrow.Row{Type: xrow.OK, Body: a.AppendBody(nil)}
		out = row.Append(out)
	}
	if _, err := p.Write(out); err != nil {
		t.Fatal(err)
	}
	n := 0
	wait(t, h.node, func(ev *instance.Ack) bool {
		n++
		return ev.VClock[1] == 500 && ev.Term == 2 && ev.From == 2
	})
	if n > 100 {
		t.Errorf("%d events for 500 acks", n)
	}
	if got := h.Status()[0].Downstream.VClock; got != (vclock.VClock{1: 500}) {
		t.Errorf("downstream vclock %s", got)
	}
	p.ack(vclock.VClock{1: 499})
	wait(t, h.node, func(ev instance.Downstream) bool { return !ev.Up }) // going back ends it
}

// A peer that reads nothing costs a bounded queue, falls back to the log, and
// holds nobody else up.
func TestRelaySlowPeer(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.RingBytes = 1 << 20 })
	h.show(2)
	slow := subscribe(t, h.addr, 2, vclock.VClock{})
	fast := subscribe(t, h.addr, 3, vclock.VClock{})
	fast.expectType(xrow.RaftState)
	const groups, rows = 300, 10
	for i := range uint64(groups) {
		h.write(h.gm.sized(1, rows, 10_000), true)
		fast.expect(1, i*rows+1, (i+1)*rows)
	}
	h.mu.Lock()
	kept := h.feed.ring.bytes
	h.mu.Unlock()
	if kept > 1<<20 {
		t.Errorf("the ring keeps %d bytes", kept)
	}
	slow.expectType(xrow.RaftState)
	slow.expect(1, 1, groups*rows)
	if h.log.reads.Load() == 0 {
		t.Error("the slow peer was not served from the log")
	}
}

// A follower sends nothing to one that hears the same leader, and all that is
// late once the ticks say so, or at once when the leader is no longer heard.
func TestRelayHoldsBack(t *testing.T) {
	h := newTestHub(t, 1, nil)
	tick := func() {
		h.node.advance(h.cfg.Heartbeat)
		h.Handle(&instance.Effects{Beat: true, Lazy: h.feed.lazy, Relay: h.feed.upTo})
	}
	lazy := func(l uint32) { h.Handle(&instance.Effects{Lazy: l, Relay: h.feed.upTo}) }
	write := func() {
		no := h.log.append(h.gm.rows(3, 1))
		h.Handle(&instance.Effects{Group: h.log.groups[no-1], GroupNo: no, Relay: no, Lazy: h.feed.lazy})
	}
	h.show(4)
	h.setSight(2, sight{term: 4, leader: 3})
	lazy(3)
	p := subscribe(t, h.addr, 2, vclock.VClock{})
	p.expectType(xrow.RaftState)
	for range 5 {
		write()
	}
	tick() // the five rows are noted
	p.expectType(xrow.OK)
	p.ack(vclock.VClock{3: 2})
	wait(t, h.node, func(ev *instance.Ack) bool { return ev.VClock[3] == 2 })
	write()
	tick()
	p.expectType(xrow.OK)      // still nothing but the heartbeat
	p.ack(vclock.VClock{3: 4}) // its answer: row 5 is late
	p.expect(3, 5, 5)
	p.ack(vclock.VClock{3: 5})
	wait(t, h.node, func(ev *instance.Ack) bool { return ev.VClock[3] == 5 })
	write()
	lazy(0) // rows 6 and 7 go at once
	p.expect(3, 6, 7)
	lazy(3)
	write()
	h.setSight(2, sight{}) // the peer no longer hears the leader
	p.expect(3, 8, 8)
	h.setSight(2, sight{term: 3, leader: 3}) // in an older term
	write()
	p.expect(3, 9, 9)
}

// A peer that falls out of the ring a second time goes on where it is, not
// where the log was left the first time.
func TestRelayBackToLog(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	conn := &cannedConn{}
	r := &relay{hub: h.Hub, link: iproto.NewLink(conn, 1<<20), subscriber: subscriber{peer: 2}, cutter: cutter{next: 1, sentRaft: h.feed.raft.seq}, wake: make(chan struct{}, 1)}
	sent := func(want uint64) {
		t.Helper()
		for {
			n, _, err := r.sendSome()
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
		if r.pos[1] != want {
			t.Fatalf("sent up to LSN %d, want %d", r.pos[1], want)
		}
	}
	forget := func() { // as if the ring had been too small
		h.mu.Lock()
		h.feed.ring = ring{limit: h.feed.ring.limit}
		h.mu.Unlock()
	}
	h.write(h.gm.rows(1, 1), true)
	forget()
	sent(1)
	h.write(h.gm.rows(1, 1), true)
	sent(2)
	h.write(h.gm.rows(1, 1), true)
	forget()
	sent(3)
	if n := h.log.reads.Load(); n != 2 {
		t.Errorf("%d groups were read from the log", n)
	}
}
