package sim

import (
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// prevoteChecker: nobody raises its term by itself while a quorum sees a leader,
// or while it hears no quorum. Who is cut off would come back with a greater
// term and depose a healthy leader.
type prevoteChecker struct {
	w      *World
	free   []time.Duration // by slot: when a quorum that sees no leader was in touch last
	before []time.Duration // by slot: the Step before this one
	handed []time.Duration // by slot: when the journal got its last group
	synced []time.Duration // by slot: when it answered last
	byHand []time.Duration // by slot: when somebody asked it last to lead
}

func (c *prevoteChecker) init(w *World) {
	c.w = w
	k := len(w.hosts)
	c.free, c.before, c.handed = make([]time.Duration, k), make([]time.Duration, k), make([]time.Duration, k)
	c.synced, c.byHand = make([]time.Duration, k), make([]time.Duration, k)
}

// look is called before something changes in what a node hears of its peers.
func (c *prevoteChecker) look(n *node) {
	if n.core != nil && c.mayCampaign(n) {
		c.free[n.slot] = c.w.now
	}
}

// mayCampaign tells whether a quorum is in touch and sees no leader in the newest
// term that anybody has.
func (c *prevoteChecker) mayCampaign(n *node) bool {
	term := uint64(0)
	for _, r := range c.w.check.vote.disk {
		term = max(term, r.term)
	}
	with := 1
	for _, a := range n.links {
		if a == nil || !a.subscribed {
			continue
		}
		if sees := a.raft.IsLeaderSeen || a.raft.State == stateLeader; !sees || a.raft.Term < term {
			with++
		}
	}
	return with >= n.voters/2+1
}

func (c *prevoteChecker) stepped(n *node, batch []instance.Event, slept time.Duration) {
	c.before[n.slot] = c.w.now - slept
	for _, ev := range batch {
		if _, ok := ev.(instance.PromoteRequest); ok {
			c.byHand[n.slot] = c.w.now
		}
	}
}

func (c *prevoteChecker) answered(n *node) { c.synced[n.slot] = c.w.now }

// logged finds candidacies: votes for the own ID in a new term. One that waited
// for the journal began at some time after the journal got what it is busy with.
func (c *prevoteChecker) logged(n *node, g *xrow.Group) {
	began := c.before[n.slot]
	if c.synced[n.slot] >= began {
		began = min(began, c.handed[n.slot])
	}
	began -= 5 * time.Millisecond // what has arrived waits for a Step
	c.handed[n.slot] = c.w.now
	term := campaigns(n, g)
	if c.w.half == booting || c.w.mixed() || c.byHand[n.slot] >= began || term == 0 || inherits(n, g) || c.w.check.handover.takesBack(n, term) {
		return
	}
	if c.look(n); c.free[n.slot] < began {
		c.w.fail("pre-vote", "%s is a candidate; a quorum that sees no leader was in touch %v ago", n.label(), c.w.now-c.free[n.slot])
	}
}

// campaigns is the term in which a group has a vote of a node for itself, 0 if it has none.
func campaigns(n *node, g *xrow.Group) uint64 {
	for i, ref := range g.Table {
		if ref.Origin != 0 || ref.Type != xrow.RaftState {
			continue
		}
		if row, err := g.Row(i); err == nil {
			if r, err := xrow.DecodeRaft(row.Body); err == nil && r.Vote == n.id && n.id != 0 {
				return r.Term
			}
		}
	}
	return 0
}

// inherits tells whether a group has the row that hands over to a node, and right behind
// it the vote of that for itself in the next term.
func inherits(n *node, g *xrow.Group) bool {
	var term uint64
	for i, ref := range g.Table {
		row, err := g.Row(i)
		if err != nil {
			return false
		}
		switch {
		case ref.Origin != 0 && ref.Type == xrow.Confirm:
			if s, err := xrow.DecodeSynchro(row.Body); err == nil && s.Move != nil && s.Move.To == n.id {
				term = row.Term
			}
		case ref.Type == xrow.RaftState:
			if r, err := xrow.DecodeRaft(row.Body); err == nil && r.Vote == n.id {
				return term != 0 && r.Term == term+1
			}
		}
	}
	return false
}
