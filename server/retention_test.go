package server

import (
	"reflect"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
)

// cp is a checkpoint with an ID, the group behind it, its term and its LSN of
// instance 1.
func cp(id, next, term, lsn uint64) xlog.CheckpointInfo {
	return xlog.CheckpointInfo{ID: id, State: xlog.State{NextGroup: next, VClock: vclock.VClock{0: 7, 1: lsn}, History: []terms.Span{{Term: term, Owner: 1}}}}
}

func TestRetention(t *testing.T) {
	all := []xlog.CheckpointInfo{cp(5, 50, 3, 500), cp(4, 40, 3, 400), cp(3, 30, 2, 300), cp(2, 20, 2, 200), cp(1, 10, 1, 100)}
	acked := func(lsn uint64) need { return need{least: vclock.VClock{1: lsn}, inEffect: 3} }
	for name, c := range map[string]struct {
		need          need
		count         int
		wanted, limit uint64
		want          plan
	}{
		"members are behind the last term":     {acked(250), 2, 25, 0, plan{[]uint64{2, 1}, 25}},
		"they hold more than the log has":      {acked(250), 2, 35, 0, plan{[]uint64{2, 1}, 30}},
		"all hold the elder checkpoint":        {acked(300), 2, 31, 0, plan{[]uint64{3, 2, 1}, 31}},
		"all hold everything":                  {acked(900), 2, 60, 0, plan{[]uint64{3, 2, 1}, 40}},
		"a member has told nothing":            {need{unknown: true, inEffect: 3}, 2, 1, 0, plan{[]uint64{2, 1}, 1}},
		"it is dead, and the cap is reached":   {need{unknown: true, inEffect: 3}, 2, 1, 45, plan{[]uint64{3, 2, 1}, 40}},
		"the cap is below the elder":           {need{unknown: true, inEffect: 3}, 2, 1, 15, plan{[]uint64{2, 1}, 15}},
		"alone":                                {need{alone: true, inEffect: 3}, 2, 60, 0, plan{[]uint64{3, 2, 1}, 40}},
		"one of those to keep is elder anyway": {acked(0), 3, 1, 0, plan{[]uint64{2, 1}, 1}},
		"more to keep than there are":          {acked(900), 9, 60, 0, plan{nil, 10}},
		"count of nothing":                     {need{alone: true, inEffect: 3}, 0, 60, 0, plan{[]uint64{4, 3, 2, 1}, 50}},
	} {
		if got := makePlan(all, &c.need, c.count, c.wanted, c.limit); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := makePlan(nil, &need{}, 2, 9, 9); got.before != 0 {
		t.Errorf("without a checkpoint all of the log is needed: %+v", got)
	}
}

// The first checkpoint of a bootstrapped instance has what bootstrap wrote.
func TestFirstCheckpoint(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	slot := s.nodes[0].server().main().store
	s.until("a checkpoint", func() bool { return len(slot.Checkpoints()) > 0 })
	if c := slot.Checkpoints()[0]; c.Tuples == 0 {
		t.Errorf("%+v", c)
	}
}

// A node whose log nobody needs keeps what its checkpoints need.
func TestNeed(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.level()
	l := s.leader()
	k := l.server().main().engine.Load().keeper
	s.until("acks of both", func() bool { n := k.need(); return !n.unknown })
	var self uint32
	k.core.Read(func(c *instance.Core) { self = c.Info(0).ID })
	if n := k.need(); n.alone || n.least[self] == 0 || n.inEffect == 0 {
		t.Errorf("%+v", n)
	}
}

// An anonymous replica keeps the log from where it is, also where there are no
// other members.
func TestRetentionOfReaders(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	s.fill(0, 20)
	srv := s.nodes[0].server()
	k := srv.main().engine.Load().keeper
	slot := srv.main().store
	last := slot.Last()
	if got := k.wanted(&need{alone: true}); got != last+1 {
		t.Errorf("nobody reads: from group %d, the last is %d", got, last)
	}
	reader := slot.Read(last - 3)
	defer reader.Close()
	no, g, err := reader.Next()
	if err != nil {
		t.Fatal(err)
	}
	if got := k.wanted(&need{alone: true, readers: true, read: g.Before}); got != no {
		t.Errorf("one that stands before group %d: from %d", no, got)
	}
	if got := k.wanted(&need{unknown: true, readers: true, read: g.Before}); got != slot.First() {
		t.Errorf("a member has told nothing: from %d", got)
	}
	if got := k.wanted(&need{least: vclock.VClock{}, readers: true, read: g.Before}); got != slot.First() {
		t.Errorf("a member has nothing: from %d", got)
	}
}

// heldStore is a store whose Core holds back the log of others.
type heldStore struct {
	keptStore
	held uint64
	last uint64
	cps  []xlog.CheckpointInfo
}

func (s *heldStore) HeldBack() (uint64, error)          { return s.held, nil }
func (s *heldStore) Last() uint64                       { return s.last }
func (s *heldStore) Checkpoints() []xlog.CheckpointInfo { return s.cps }

// An idle Core that holds back the log of others is checkpointed, until all checkpoints
// that are kept stand at its end: more of them would gain nothing.
func TestIdleCoreKeepsNothing(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	srv := s.nodes[0].server()
	slot := srv.main().store
	s.until("a checkpoint", func() bool { return len(slot.Checkpoints()) > 0 })
	k := *srv.main().engine.Load().keeper
	k.tuning = new(tuning)
	k.tuning.checkpointBytes.Store(1000)
	k.tuning.checkpointCount.Store(2)
	k.failing = false
	end := slot.Last() + 1
	for name, c := range map[string]struct {
		held uint64
		next []uint64 // of the checkpoints, newest first
		want bool
	}{
		"nothing is held back":             {0, []uint64{end - 1}, false},
		"little is":                        {999, []uint64{end - 1}, false},
		"much is, for the newest":          {1000, []uint64{end - 1}, true},
		"much is, for the older one":       {1000, []uint64{end, end - 1}, true},
		"all that are kept are at the end": {1000, []uint64{end, end, end - 1}, false},
	} {
		st := &heldStore{keptStore: slot, held: c.held, last: end - 1}
		for i, next := range c.next {
			st.cps = append(st.cps, cp(uint64(9-i), next, 1, 1))
		}
		k.store, k.atRows = st, k.rows()
		if got := k.due(time.Now()); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
