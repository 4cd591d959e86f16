package replication

import (
	"errors"
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// askAs asks as a process of instance 2 and returns the answer.
func askAs(t *testing.T, h *testHub, process uint64) (*peer, error) {
	t.Helper()
	p := &peer{Client: dial(t, h.addr), t: t}
	req := xrow.SubscribeRequest{ReplicasetUUID: testSet, InstanceUUID: testUUID(2), Kind: xrow.Tarragon, Process: process}
	if err := p.WriteRow(&xrow.Row{Type: xrow.Subscribe, Body: req.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	row := p.next()
	if e := row.AsError(); e != nil {
		return nil, e
	}
	return p, nil
}

func isDouble(err error) bool {
	return errors.Is(err, xrow.ErrCfg) && strings.Contains(err.Error(), "two processes are alive")
}

// Two processes subscribe under one identity: neither is served, and both are
// told, until one has said nothing for a while.
func TestTwoProcessesSubscribe(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(1)
	first, err := askAs(t, h, 21)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, h.node, func(ev instance.Downstream) bool { return ev.Up })
	if _, err := askAs(t, h, 22); !isDouble(err) {
		t.Fatalf("the second process: %v", err)
	}
	for {
		row := first.next()
		if e := row.AsError(); e != nil {
			if !isDouble(e) {
				t.Fatalf("the first process: %v", e)
			}
			break
		}
	}
	wait(t, h.node, func(ev instance.Downstream) bool { return !ev.Up })
	for _, process := range []uint64{21, 22, 21} {
		if _, err := askAs(t, h, process); !isDouble(err) {
			t.Fatalf("process %d asks again: %v", process, err)
		}
	}
	h.node.advance(doubleTimeouts*h.cfg.DeathTimeout + 1)
	if _, err := askAs(t, h, 22); err != nil {
		t.Fatalf("the one that is left: %v", err)
	}
	wait(t, h.node, func(ev instance.Downstream) bool { return ev.Up })
}

// One process is followed and another one subscribes: copies that share an
// address may never see each other.
func TestTwoProcessesFollowed(t *testing.T) {
	s := newTestHub(t, 2, func(c *Config) { c.Process = 21 })
	s.show(1)
	h := newTestHub(t, 1, func(c *Config) { c.Peers = []Peer{{Addr: s.addr}} })
	h.show(1)
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamFollow })
	if _, err := askAs(t, h, 22); !isDouble(err) {
		t.Fatalf("the other process: %v", err)
	}
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamLost })
	h.waitLog("two processes are alive as")
	if status := h.Status(); status[0].Upstream == nil || status[0].Upstream.Status == StateFollow {
		t.Errorf("status: %+v", status[0].Upstream)
	}
	h.node.advance(doubleTimeouts*h.cfg.DeathTimeout + 1)
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamFollow })
}

// A process that ends and begins anew is no double: its streams have ended.
func TestProcessBeginsAnew(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(1)
	for process := uint64(21); process < 24; process++ {
		p, err := askAs(t, h, process)
		if err != nil {
			t.Fatalf("process %d: %v", process, err)
		}
		wait(t, h.node, func(ev instance.Downstream) bool { return ev.Up })
		p.Close()
		wait(t, h.node, func(ev instance.Downstream) bool { return !ev.Up })
	}
}

// Both ask again no sooner than after the longest pause between attempts: until
// then neither is gone.
func TestTwoProcessesThatPause(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.ReconnectMax = 10 * c.DeathTimeout })
	h.show(1)
	if _, err := askAs(t, h, 21); err != nil {
		t.Fatal(err)
	}
	wait(t, h.node, func(ev instance.Downstream) bool { return ev.Up })
	for range 3 {
		for _, process := range []uint64{22, 21} {
			if _, err := askAs(t, h, process); !isDouble(err) {
				t.Fatalf("process %d asks: %v", process, err)
			}
			h.node.advance(h.cfg.ReconnectMax / 2)
		}
	}
}

// A stream that is to end, and whose peer takes no last word, is not listened to.
func TestAcksOfADoubleDoNotCount(t *testing.T) {
	h := newTestHub(t, 1, nil)
	r := &relay{hub: h.Hub, subscriber: subscriber{peer: 2, kind: xrow.Tarantool}}
	if counts, err := r.noteAck(&xrow.Ack{}, nil); !counts || err != nil {
		t.Fatalf("counts %v, %v", counts, err)
	}
	r.end = errDouble(testUUID(2))
	if counts, err := r.noteAck(&xrow.Ack{}, nil); counts || err != nil {
		t.Errorf("counts %v, %v", counts, err)
	}
}

// The place of a member that was met as two processes is given to nobody for a while:
// neither by its name nor by its uuid; and one that says no number does not get past.
func TestContestedPlace(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(1)
	if _, err := askAs(t, h, 21); err != nil {
		t.Fatal(err)
	}
	wait(t, h.node, func(ev instance.Downstream) bool { return ev.Up })
	for _, process := range []uint64{22, 0} {
		if _, err := askAs(t, h, process); !isDouble(err) {
			t.Fatalf("process %d asks: %v", process, err)
		}
	}
	info := &Info{Members: []Member{{ID: 2, UUID: testUUID(2), Name: "two", Incarnation: 5}}}
	joiners := []xrow.JoinRequest{{InstanceUUID: testUUID(9), InstanceName: "two"}, {InstanceUUID: testUUID(2), Incarnation: 6}}
	for i := range joiners {
		if err := h.isContested(info, &joiners[i]); err == nil {
			t.Errorf("joiner %d gets the place", i)
		}
	}
	if err := h.isContested(info, &xrow.JoinRequest{InstanceUUID: testUUID(9), InstanceName: "nine"}); err != nil {
		t.Errorf("another name: %v", err)
	}
	h.node.advance(contestedTimeouts * max(h.cfg.DeathTimeout, h.cfg.ReconnectMax))
	for i := range joiners {
		if err := h.isContested(info, &joiners[i]); err != nil {
			t.Errorf("joiner %d, later: %v", i, err)
		}
	}
}
