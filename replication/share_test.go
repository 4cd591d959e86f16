package replication

import (
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
	ok := xrow.SubscribeOK{ReplicasetUUID: testSet}
	first.send(&xrow.Row{Type: xrow.OK, ReplicaID: 2, Body: ok.AppendBody(nil)})
	second := s.accept(2, vclock.VClock{})
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
	req := xrow.JoinRequest{InstanceUUID: testUUID(9), Copy: &xrow.Copy{Spaces: []uint32{512}}}
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
