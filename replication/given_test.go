package replication

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// copyTaker asks for base copies of space 512, as replicas do.
type copyTaker struct {
	*peer
	h    *testHub
	view *box.View
}

// register has the replicas with these numbers, ascending, be the registered ones, with a filter
// that has all.
func (h *testHub) register(ids ...uint32) *xrow.Share {
	share := xrow.Share{Filter: "hr", Version: 1, New: true}
	h.node.setFilter(&instance.Filter{Share: share})
	var eff instance.Effects
	for _, id := range ids {
		eff.Replicas = append(eff.Replicas, instance.Replica{UUID: testUUID(id), Name: testUUID(id), Filter: share.Filter})
	}
	h.Handle(&eff)
	return &share
}

// askCopy asks, and nothing more.
func (h *testHub) askCopy(id uint32, name string) *copyTaker {
	h.t.Helper()
	conn := dial(h.t, h.addr)
	h.t.Cleanup(func() { _ = conn.Close() })
	share := h.register(7, 8, 9)
	req := xrow.JoinRequest{InstanceUUID: testUUID(id), InstanceName: name, Share: share, Copy: &xrow.Copy{Spaces: []uint32{512}}}
	if err := conn.WriteRow(&xrow.Row{Type: xrow.FetchSnap, Body: req.AppendBody(nil)}); err != nil {
		h.t.Fatal(err)
	}
	return &copyTaker{peer: &peer{Client: conn, t: h.t}, h: h}
}

// takeCopy asks, gets a view of a box, and reads what goes before the tuples.
func (h *testHub) takeCopy(id uint32, name string, from *box.Box) *copyTaker {
	h.t.Helper()
	c := h.askCopy(id, name)
	ev := wait(h.t, h.node, func(instance.CopyRequest) bool { return true })
	c.view = from.OpenView()
	c.view.Among(ev.Spaces)
	h.Snapshot(instance.Snapshot{Tag: ev.Tag, View: c.view})
	c.expectType(xrow.OK)
	c.expectType(xrow.JoinMeta)
	return c
}

// rest reads to the end: how many tuples came, and the error.
func (c *copyTaker) rest() (tuples int, err error) {
	for {
		row, err := c.ReadRow()
		switch {
		case err != nil:
			return tuples, err
		case row.AsError() != nil:
			return tuples, row.AsError()
		case row.Type == xrow.OK:
			return tuples, nil
		}
		tuples++
	}
}

// refused is the error that is the whole answer.
func (c *copyTaker) refused() error {
	row, err := c.ReadRow()
	if err == nil && row.AsError() != nil {
		return row.AsError()
	}
	return err
}

// viewClosed waits until the view of a copy was given back.
func (c *copyTaker) viewClosed() {
	c.h.t.Helper()
	wait(c.h.t, c.h.node, func(ev instance.CloseView) bool { return ev.View == c.view })
}

func (h *testHub) givenCopies() []GivenCopy {
	list, _, _ := h.GivenCopies()
	return list
}

// noneGiven waits until no base copy has a place.
func (h *testHub) noneGiven() {
	h.t.Helper()
	until(h.t, func() bool {
		for _, c := range h.givenCopies() {
			if c.Stage != GivenRefused {
				return false
			}
		}
		return true
	})
}

// There are so many base copies at once as are allowed; one more is told why not, and shown
// until it comes again.
func TestCopyPlaces(t *testing.T) {
	full := fullBox(t, 300_000) // more than what sockets hold
	h := newTestHub(t, 1, func(c *Config) { c.MaxCopies, c.Name = 2, "i1" })
	first, second := h.takeCopy(7, "seven", full), h.takeCopy(8, "", full)
	third := h.askCopy(9, "nine")
	if err := third.refused(); !errors.Is(err, xrow.ErrLoading) || err.Error() != "as many base copies are under way here as tarragon.max_copies allows: 2" {
		t.Fatalf("%v", err)
	}
	list := h.givenCopies()
	if len(list) != 3 || list[0].ID != "i1.1" || list[0].Name != "seven" || list[0].UUID != testUUID(7) || list[0].Stage != GivenSending || list[0].Total != 300_000 ||
		list[1].ID != "i1.2" || list[2].ID != "" || list[2].Stage != GivenRefused || list[2].Name != "nine" || list[2].Reason == "" {
		t.Fatalf("%+v", list)
	}
	for _, c := range []*copyTaker{first, second} {
		if n, err := c.rest(); n != 300_000 || err != nil {
			t.Fatalf("%d tuples, %v", n, err)
		}
		c.viewClosed()
	}
	h.noneGiven()
	third = h.takeCopy(9, "nine", full)
	if list := h.givenCopies(); len(list) != 1 || list[0].Stage != GivenSending {
		t.Errorf("it came again: %+v", list)
	}
	if n, err := third.rest(); n != 300_000 || err != nil {
		t.Errorf("%d tuples, %v", n, err)
	}
	h.noneGiven()
	if _, counts, _ := h.GivenCopies(); counts != (CopyCounts{Whole: 3, Refused: 1}) {
		t.Errorf("%+v", counts)
	}
}

// A base copy that is cancelled gives its view back at once, though its replica takes
// nothing; one that listens gets to know why.
func TestCancelCopy(t *testing.T) {
	full := fullBox(t, 300_000)
	for _, who := range []string{"seven", "i1.1", testUUID(7)} {
		h := newTestHub(t, 1, func(c *Config) { c.JoinTimeout, c.Name = 10*patience, "i1" })
		c, other := h.takeCopy(7, "seven", full), h.takeCopy(8, "", full)
		if n := h.CancelCopies("nobody") + h.CancelCopies(""); n != 0 {
			t.Fatalf("%d copies of nobody", n)
		}
		if n := h.CancelCopies(who); n != 1 {
			t.Fatalf("%s: %d copies", who, n)
		}
		c.viewClosed()
		if n, err := c.rest(); n == 300_000 || err == nil || (errors.As(err, new(*xrow.Error)) && err.Error() != "The base copy was cancelled at instance 'i1'") {
			t.Errorf("%d tuples, %v", n, err)
		}
		if n, err := other.rest(); n != 300_000 || err != nil {
			t.Errorf("the other one: %d tuples, %v", n, err)
		}
		h.noneGiven()
		if _, counts, _ := h.GivenCopies(); counts != (CopyCounts{Whole: 1, Broken: 1, Cancelled: 1}) {
			t.Errorf("%+v", counts)
		}
	}
}

// One that is cancelled before its view is open ends, too, and so it says.
func TestCancelUndecidedCopy(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.JoinTimeout, c.Name = 10*patience, "i1" })
	c := h.askCopy(7, "seven")
	ev := wait(t, h.node, func(instance.CopyRequest) bool { return true })
	if list := h.givenCopies(); len(list) != 1 || list[0].Stage != GivenDeciding {
		t.Fatalf("%+v", list)
	}
	h.CancelCopies("seven")
	if err := c.refused(); err == nil || err.Error() != "The base copy was cancelled at instance 'i1'" {
		t.Errorf("%v", err)
	}
	view := fullBox(t, 1).OpenView()
	h.Snapshot(instance.Snapshot{Tag: ev.Tag, View: view}) // too late
	wait(t, h.node, func(ev instance.CloseView) bool { return ev.View == view })
}

// Who asks anew gives up what it had, though it takes nothing of that any more.
func TestCopyAskedAnew(t *testing.T) {
	full := fullBox(t, 300_000)
	h := newTestHub(t, 1, func(c *Config) { c.JoinTimeout, c.MaxCopies = 10*patience, 1 })
	old := h.takeCopy(7, "seven", full)
	asked := h.askCopy(7, "seven")
	old.viewClosed()
	ev := wait(t, h.node, func(instance.CopyRequest) bool { return true })
	view := full.OpenView()
	view.Among(ev.Spaces)
	h.Snapshot(instance.Snapshot{Tag: ev.Tag, View: view})
	asked.expectType(xrow.OK)
	asked.expectType(xrow.JoinMeta)
	if n, err := asked.rest(); n != 300_000 || err != nil {
		t.Errorf("%d tuples, %v", n, err)
	}
}

// A replica that takes nothing keeps its view and its place so long as is set, also where
// that was set while it is at it.
func TestSilentReplica(t *testing.T) {
	full := fullBox(t, 300_000)
	for _, atOnce := range []bool{true, false} {
		h := newTestHub(t, 1, func(c *Config) { c.JoinTimeout = 10 * patience })
		if atOnce {
			h.SetCopies(100*time.Millisecond, 1)
		}
		c := h.takeCopy(7, "seven", full)
		if !atOnce {
			until(t, func() bool { return stuck(h) })
			h.SetCopies(time.Millisecond, 1)
		}
		c.viewClosed()
		h.noneGiven()
		if _, counts, _ := h.GivenCopies(); counts != (CopyCounts{Broken: 1}) {
			t.Errorf("%+v", counts)
		}
	}
}

// stuck tells whether nothing more of a copy was sent for a while. No event tells that the
// kernel takes no more of a connection; who looks too early looks again, and a machine that
// stood still makes a test easier, never wrong.
func stuck(h *testHub) bool {
	was := h.givenCopies()[0].Rows
	for range 40 {
		time.Sleep(5 * time.Millisecond)
		if h.givenCopies()[0].Rows != was {
			return false
		}
	}
	return was > 0
}

// The replica tells the core which senders were busy, so that it comes again soon, and what
// each of them said.
func TestCopyBusy(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.MaxCopies, c.Name = 1, "i1" })
	h.askCopy(7, "seven")
	wait(t, h.node, func(instance.CopyRequest) bool { return true })
	node := newFakeNode(9)
	newTestHubOf(t, 9, node, func(c *Config) { c.Peers, c.Anon, c.Filter = []Peer{{Addr: h.addr, Name: "i1"}}, true, "hr" }).
		Handle(order(1))
	end := wait(t, node, func(instance.CopyEnds) bool { return true })
	if !end.Busy || !strings.HasPrefix(end.Err.Error(), "i1: ") || !strings.HasSuffix(end.Err.Error(), "as many base copies are under way here as tarragon.max_copies allows: 1") {
		t.Errorf("%+v", end)
	}
	h.CancelCopies("seven")
	h.noneGiven()
	node = newFakeNode(9)
	newTestHubOf(t, 9, node, func(c *Config) {
		c.Peers, c.Anon, c.Filter, c.JoinTimeout = []Peer{{Addr: "127.0.0.1:1"}}, true, "hr", time.Second
	}).
		Handle(order(1))
	if end := wait(t, node, func(instance.CopyEnds) bool { return true }); end.Busy {
		t.Errorf("nobody is there: %+v", end)
	}
}

// The base copy of a replica that is dropped, or has another filter by now, ends, whether its view is
// open or not; those of others go on.
func TestCopyOfADroppedReplica(t *testing.T) {
	full := fullBox(t, 300_000)
	now := func(change func(r *instance.Replica)) *instance.Effects {
		eff := &instance.Effects{}
		for _, id := range []uint32{7, 8, 9} {
			r := instance.Replica{UUID: testUUID(id), Name: testUUID(id), Filter: "hr"}
			if id != 8 {
				change(&r)
			}
			eff.Replicas = append(eff.Replicas, r)
		}
		return eff
	}
	for what, change := range map[string]func(r *instance.Replica){
		"is dropped":         func(r *instance.Replica) { r.Dropped = true },
		"has another filter": func(r *instance.Replica) { r.Filter = "sales" },
	} {
		h := newTestHub(t, 1, func(c *Config) { c.JoinTimeout, c.MaxCopies = 10*patience, 3 })
		c, other := h.takeCopy(7, "", full), h.takeCopy(8, "", full)
		waits := h.askCopy(9, "")
		wait(t, h.node, func(ev instance.CopyRequest) bool { return true })
		h.Handle(now(change))
		c.viewClosed()
		if n, err := c.rest(); n == 300_000 || err == nil {
			t.Errorf("one that %s got %d tuples, %v", what, n, err)
		}
		if err := waits.refused(); err == nil {
			t.Errorf("one that %s waits", what)
		}
		if n, err := other.rest(); n != 300_000 || err != nil {
			t.Errorf("the other one: %d tuples, %v", n, err)
		}
		h.noneGiven()
	}
}
