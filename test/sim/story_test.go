package sim

import (
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
)

// tale is a world that a test leads by hand: booted hosts, mostly three, even delays,
// no faults but the test's own. Stories that once broke the code are told here.
type tale struct {
	*World
	t *testing.T
}

func newTale(t *testing.T, b Break) *tale { return newTaleOf(t, 3, b) }

func newTaleOf(t *testing.T, hosts int, b Break) *tale {
	w := newWorld(1, Options{Hosts: hosts, Break: b, Faults: []string{"clock", "checkpoint", "prune"}}, nil)
	w.plan.wire = spread{time.Millisecond, time.Millisecond}
	w.plan.sync = spread{time.Millisecond, time.Millisecond}
	w.plan.config.Fencing = instance.FencingOff
	w.plan.config.QueueMaxSize = 0
	w.boot()
	w.half = safety
	return &tale{w, t}
}

func (s *tale) wait(d time.Duration) { s.run(s.now+d, nil) }

// write lets a client of a node ask for something.
func (s *tale) write(n *node, kind opKind) *op {
	o := s.load.begin(n, kind, 1)
	n.post(instance.Write{Requests: []instance.Request{s.load.request(o)}})
	return o
}

// isolate cuts a node off from all others.
func (s *tale) isolate(n *node) {
	for _, peer := range s.nodes {
		if peer != n {
			s.net.sever(n.slot, peer.slot)
			s.net.sever(peer.slot, n.slot)
		}
	}
}

// ends heals everything; all instances must become equal.
func (s *tale) ends() {
	s.t.Helper()
	if s.failure == nil {
		s.healEverything()
	}
	if s.failure != nil {
		s.t.Error(s.failure)
	}
}

// A checkpoint is asked for while a group gathers, and more rows join that
// group after it: a restart from the checkpoint must have them.
func TestCheckpointWhileGroupGathers(t *testing.T) {
	s := newTale(t, Break{})
	leader := s.nodes[0]
	leader.disk.slow = 50 * time.Millisecond
	s.write(leader, opInsert) // its group is with the journal
	s.wait(5 * time.Millisecond)
	s.write(leader, opInsert) // the next group gathers
	s.wait(time.Millisecond)
	leader.checkpoint()
	s.wait(time.Millisecond)
	late := s.write(leader, opInsert)
	s.wait(400 * time.Millisecond)
	if late.outcome != acknowledged || len(leader.disk.checkpoints) == 0 {
		t.Fatalf("the story did not happen: outcome %d, %d checkpoints", late.outcome, len(leader.disk.checkpoints))
	}
	leader.crash(false)
	leader.start()
	s.ends()
}

// C was away for so long that nobody has the log that it needs, and now B is
// gone too. A needs C's vote before anything can be written, and C needs A's
// state before it can follow A.
func TestJoinAnewWhileNobodyLeads(t *testing.T) {
	s := newTale(t, Break{})
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	c.crash(true)
	for range 20 {
		s.write(a, opInsert)
	}
	s.wait(100 * time.Millisecond)
	for _, n := range []*node{a, b} {
		n.checkpoint()
	}
	s.wait(200 * time.Millisecond)
	a.prune(true)
	b.prune(true)
	a.crash(true) // or it would still lead when C is back
	b.crash(true)
	a.start()
	c.start()
	s.wait(20 * time.Second)
	if n := s.inEffect(); n == nil {
		t.Errorf("no leader: %s", s.describe())
	} else {
		o := s.write(n, opInsert)
		s.wait(time.Second)
		if o.outcome != acknowledged {
			t.Errorf("the leader does not commit: %s", s.describe())
		}
	}
	if s.table[JoinedAnew] == 0 {
		t.Error("nobody joined anew: the story did not happen")
	}
	s.ends()
}

// Two of five were away for so long that nobody else has the log that they need. They
// can follow each other, and must not wait for each other's rows.
func TestTwoFallBehind(t *testing.T) {
	s := newTaleOf(t, 5, Break{})
	away, others := s.nodes[3:], s.nodes[:3]
	for _, n := range away {
		n.crash(true)
	}
	for range 20 {
		s.write(s.nodes[0], opInsert)
	}
	s.wait(100 * time.Millisecond)
	for _, n := range others {
		n.checkpoint()
	}
	s.wait(200 * time.Millisecond)
	for _, n := range others {
		n.prune(true)
	}
	for _, n := range away {
		n.start()
	}
	s.wait(20 * time.Second)
	if got := s.table[JoinedAnew]; got != 2 {
		t.Errorf("%d joined anew: %s", got, s.describe())
	}
	s.ends()
}

// A transaction with rows of a local and of a replicated space is undecided at
// a checkpoint. The local row is decided: it is among the checkpoint's tuples,
// and must not be applied again with the rest.
func TestMixedTransactionAcrossCheckpoint(t *testing.T) {
	s := newTale(t, Break{})
	leader := s.nodes[0]
	s.isolate(leader)
	s.write(leader, opRegister)
	s.write(leader, opMixed)
	s.wait(20 * time.Millisecond)
	leader.checkpoint()
	s.wait(200 * time.Millisecond)
	if p := leader.disk.newest(); p == nil || len(p.state.Undecided.Table) < 2 {
		t.Fatal("the story did not happen: no checkpoint with undecided rows")
	}
	leader.crash(false)
	leader.start()
	s.ends()
}
