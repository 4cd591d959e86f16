package sim

import "tarragon.dev/tarragon/xrow"

// leaderChecker: a term has one leader, and one PROMOTE.
type leaderChecker struct {
	w       *World
	leaders map[uint64]uint32
	changes int // leaders after the first
}

const (
	stateCandidate = 2
	stateLeader    = 3
)

func (c *leaderChecker) init(w *World) {
	c.w = w
	c.leaders = map[uint64]uint32{}
}

func (c *leaderChecker) shown(n *node, r *xrow.Raft) {
	if r.State == stateLeader {
		c.leads(n, r.Term)
	}
}

// wrote sees the rows of an author. All rows of a term come from its leader.
func (c *leaderChecker) wrote(n *node, r *row) {
	if r.kind == xrow.Promote {
		if r.synchro.Term != r.term {
			c.w.fail("one leader", "%s writes PROMOTE of term %d stamped %d", n.label(), r.synchro.Term, r.term)
		}
		c.leads(n, r.synchro.Term)
		return
	}
	if leader, ok := c.leaders[r.term]; r.term != 0 && (!ok || leader != n.id) {
		c.w.fail("one leader", "%s writes %v in term %d, whose leader is %d", n.label(), r.kind, r.term, leader)
	}
}

func (c *leaderChecker) leads(n *node, term uint64) {
	old, ok := c.leaders[term]
	if !ok {
		c.leaders[term] = n.id
		c.changes = len(c.leaders) - 1
		return
	}
	if old != n.id {
		c.w.fail("one leader", "term %d has two leaders: %d and %d", term, old, n.id)
	}
}
