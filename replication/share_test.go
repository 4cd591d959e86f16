package replication

import (
	"context"
	"errors"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// A stream that is asked for with one share while another one comes into force is asked for
// anew: the core takes nothing of it.
func TestShareChangesWhileAsked(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	node := newFakeNode(1)
	share := func(gen uint64, spaces ...uint32) *instance.ShareState {
		return &instance.ShareState{Gen: gen, Share: &xrow.Share{Filter: "hr", Version: gen, Spaces: spaces}}
	}
	node.info.Share = share(1, 512)
	h := newTestHubOf(t, 1, node, func(c *Config) { c.Peers, c.Anon, c.Filter = []Peer{{Addr: s.addr}}, true, "hr" })
	first := s.pending()
	if first.req.Share == nil || first.req.Share.Version != 1 {
		t.Fatalf("asked by %+v", first.req.Share)
	}
	next := share(2, 512, 513)
	node.mu.Lock()
	node.info.Share = next
	node.mu.Unlock()
	h.Handle(&instance.Effects{Share: next})
	ok := xrow.SubscribeOK{ReplicasetUUID: testSet, Kind: xrow.Tarragon}
	first.send(&xrow.Row{Type: xrow.OK, ReplicaID: 2, Body: ok.AppendBody(nil)})
	second := s.pending()
	second.send(&xrow.Row{Type: xrow.OK, ReplicaID: 2, Body: ok.AppendBody(nil)})
	if second.req.Share == nil || second.req.Share.Version != 2 {
		t.Fatalf("asked again by %+v", second.req.Share)
	}
	wait(t, node, func(up instance.Upstream) bool { return up.State == instance.UpstreamFollow })
}

// Closing waits for nobody who takes nothing of a base copy.
func TestCloseBreaksOffACopy(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.JoinTimeout, c.ViewTime, c.SpoolDir = 10*patience, time.Nanosecond, t.TempDir() })
	full := fullBox(t, 300_000) // more than what sockets hold
	conn := dial(t, h.addr)
	share := xrow.Share{Filter: "hr", Version: 1, New: true}
	h.node.setFilter(&instance.Filter{Share: share})
	h.Handle(&instance.Effects{Replicas: []instance.Replica{{UUID: testUUID(9), Name: "nine", Filter: "hr"}}})
	req := xrow.JoinRequest{InstanceUUID: testUUID(9), Share: &share, Copy: &xrow.Copy{Spaces: []uint32{512}}}
	if err := conn.WriteRow(&xrow.Row{Type: xrow.FetchSnap, Body: req.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	ev := wait(t, h.node, func(instance.CopyRequest) bool { return true })
	view := full.OpenView()
	h.Snapshot(instance.Snapshot{Tag: ev.Tag, View: view})
	p := &peer{Client: conn, t: t}
	p.expectType(xrow.OK)
	p.expectType(xrow.JoinMeta)
	wait(t, h.node, func(instance.CloseView) bool { return true }) // the rest is in a file, and a write waits
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		h.Close()
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("it waits")
	}
}

// The core may order a base copy before the hub begins: where a life before ended in one.
func TestCopyOrderedBeforeStart(t *testing.T) {
	h, err := New(testConfig(9, newMemLog()))
	if err != nil {
		t.Fatal(err)
	}
	h.Handle(&instance.Effects{Copy: &instance.CopyOrder{Order: 1, Spaces: []uint32{512}}})
	h.wg.Wait() // what runs has nobody to tell
	node := newFakeNode(9)
	h.Start(node)
	t.Cleanup(h.Close)
	wait(t, node, func(end instance.CopyEnds) bool { return end.Order == 1 })
}

// noFilters is how a replica with a filter refuses what a Tarantool would send it.
const noFilters = "Tarantool does not support filters: a replica with a filter ('hr') takes nothing from it, for it would be sent all spaces"

// A Tarantool passes over the key that asks for a share, and would send all: its stream is refused by name before
// a row of it is read, and looked at again later.
func TestShareOfTarantool(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	node := newFakeNode(1)
	node.info.Share = &instance.ShareState{Gen: 1, Share: &xrow.Share{Filter: "hr", Version: 1, Spaces: []uint32{512}}}
	h := newTestHubOf(t, 1, node, func(c *Config) { c.Peers, c.Anon, c.Filter = []Peer{{Addr: s.addr}}, true, "hr" })
	c := s.accept(2, vclock.VClock{})
	row := testRow(2, 1, 1, true, 1, 10)
	c.send(&row)
	h.waitLog("upstream failed")
	if up := h.Status()[0].Upstream; up.Status != StateStopped || up.Message != noFilters {
		t.Errorf("%+v", up)
	}
	h.Close()
	for {
		select {
		case ev := <-node.events:
			switch ev.(type) {
			case instance.Rows, instance.Upstream:
				t.Errorf("the core got %+v", ev)
			}
			continue
		default:
		}
		break
	}
}

// So is its state, and its answer to who asks for a base copy.
func TestStateOfTarantoolWithAFilter(t *testing.T) {
	for name, rows := range map[string][]string{
		"2.6.0": {joinOK26, snapSchema, endOK26},
		"3.8.0": {joinOK38, joinMeta, metaRaft, metaOwner, joinSnap, snapSchema, endOK38},
	} {
		addr, _ := answering(t, name, testUUID(1), frames(t, rows...))
		var sink memSink
		var told Progress
		id := Identity{UUID: testUUID(2), Anon: true, Filter: "hr"}
		err := Join(context.Background(), Peer{Addr: addr}, id, time.Minute, &sink, &told)
		if !errors.Is(err, errCutsNothing) || err.Error() != noFilters {
			t.Errorf("%s: %v", name, err)
		}
		if len(sink.tuples) > 0 {
			t.Errorf("%s: %d tuples were taken", name, len(sink.tuples))
		}
		addr, _ = answering(t, name, testUUID(1), frames(t, rows...))
		h, err := New(testConfig(9, newMemLog()))
		if err != nil {
			t.Fatal(err)
		}
		h.cfg.JoinTimeout, h.cfg.Filter = time.Minute, "hr"
		begun, err := h.bringFrom(context.Background(), &Peer{Addr: addr}, &instance.CopyOrder{Order: 1, Share: &xrow.Share{Filter: "hr"}, Spaces: []uint32{512}}, nil)
		if begun || err == nil || name == "3.8.0" && !errors.Is(err, errCutsNothing) {
			t.Errorf("%s: a base copy: begun %v, %v", name, begun, err)
		}
	}
}
