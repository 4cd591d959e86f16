package sim

import (
	"strings"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// handoverChecker judges moves of leadership by what is logged, shown and answered.
//
//   - Behind the HANDOVER of a term its leader logs no row of that term. So none is ever
//     committed or acknowledged.
//   - The same behind its word, in a term under Tarantool's rules; and the PROMOTE of the
//     target leaves out no row of that term that anybody holds.
//   - Who holds the row shows no leader seen in its term, and does not ask for votes in the
//     next one before the head start of the target is over, while that gives word.
//   - Who asked for a move is told that the target leads only when a PROMOTE of that, of a
//     later term, is in effect.
//   - Where nothing else goes wrong the target leads, in the next term.
type handoverChecker struct {
	w     *World
	rows  map[uint64]*row   // by term
	words map[uint64]gotTo  // words that were said, by term
	began map[uint64]uint32 // who wrote the newest PROMOTE of a term
	got   []gotRow          // by slot: the newest
	meant []gotTo           // by slot: to whom its core says that it has handed over; a stalled disk shows no row
	onRow func(leader, heir *node)
	met   Moved
}

// gotRow is a HANDOVER that came to a process.
type gotRow struct {
	life int
	term uint64
}

// gotTo is a HANDOVER that a core wrote.
type gotTo struct {
	term uint64
	to   uint32
}

// told sees what a core says of itself: that it hands over, or that it got such a row.
func (c *handoverChecker) told(n *node, f instance.Fact) {
	if h := c.rows[f.Term]; h != nil && h.origin != n.id {
		return // it got that row
	}
	if f.Kind != instance.FactHandedOver || n.shown == nil || n.shown.State != stateLeader {
		return
	}
	c.meant[n.slot] = gotTo{f.Term, f.Peer}
	c.w.check.forward.led[n.slot] = c.w.now // its disk may take the row much later, if there is one
	if f.LSN == 0 {
		c.words[f.Term] = gotTo{f.Term, n.id}
		c.met.Words++
		c.given(n, f.Peer)
	}
}

func (c *handoverChecker) init(w *World) {
	c.w, c.rows, c.got, c.meant = w, map[uint64]*row{}, make([]gotRow, len(w.hosts)), make([]gotTo, len(w.hosts))
	c.words, c.began = map[uint64]gotTo{}, map[uint64]uint32{}
}

// synced sees what is on the disk of a process.
func (c *handoverChecker) synced(n *node, rows []loggedRow) {
	for _, r := range rows {
		if r.kind == xrow.Confirm && r.synchro.Move != nil && r.origin != n.id {
			c.got[n.slot] = gotRow{n.life, r.term}
		}
	}
}

// wrote sees the rows of an author.
func (c *handoverChecker) wrote(n *node, r *row) {
	if h := c.rows[r.term]; h != nil && r.term != 0 && r.lsn > h.lsn {
		c.w.fail("handover", "%s writes LSN %d (%v) in term %d, behind its HANDOVER, LSN %d", n.label(), r.lsn, r.kind, r.term, h.lsn)
		return
	}
	if said, ok := c.words[r.term]; ok && r.term != 0 && said.to == n.id {
		c.w.fail("handover", "%s writes LSN %d (%v) in term %d, behind its word", n.label(), r.lsn, r.kind, r.term)
		return
	}
	if r.kind == xrow.Confirm && r.synchro.Move != nil {
		c.rows[r.term] = r
		c.met.Given++
		c.given(n, r.synchro.Move.To)
	}
	if r.kind == xrow.Promote {
		c.began[r.synchro.Term] = n.id
	}
	if h := c.rows[r.term-1]; r.kind == xrow.Promote && h != nil {
		c.succeeds(n, r, h)
	}
}

// succeeds judges the PROMOTE of the term behind a HANDOVER.
func (c *handoverChecker) succeeds(n *node, p, h *row) {
	if n.id == h.synchro.Move.To || !c.w.calm() {
		return
	}
	c.w.fail("handover", "%s leads term %d, and not instance %d, to which term %d was handed over", n.label(), p.term, h.synchro.Move.To, h.term)
}

// shown sees what an instance shows of elections.
func (c *handoverChecker) shown(n *node, r *xrow.Raft) {
	if got := c.got[n.slot]; !r.IsLeaderSeen || got.term != r.Term || got.life != n.life {
		return
	}
	c.w.fail("handover", "%s sees a leader in term %d, and holds its HANDOVER", n.label(), r.Term)
}

// takesBack tells whether a node stands up behind a handover of its own, and holds no PROMOTE of a
// term since: it asks for the votes itself, where elections are paused.
func (c *handoverChecker) takesBack(n *node, term uint64) bool {
	given := c.meant[n.slot].term
	for t := given + 1; given != 0 && t < term; t++ {
		if p := c.w.check.history.promotes[t]; p != nil && n.disk.vclock[p.origin] >= p.lsn {
			return false
		}
	}
	return given != 0
}

// answered judges what the operator was told.
func (c *handoverChecker) answered(o *op, err *xrow.Error) {
	switch {
	case o.outcome == acknowledged:
		c.met.Led++
		c.led(o)
	case err != nil && strings.Contains(err.Message, "did not come about"):
		if c.w.half == safety { // behind it whoever is not healed is cut off
			c.met.Else++
		}
	case err != nil:
		c.met.GivenUp++
	}
}

// led: a term behind a HANDOVER of the one that was asked is in effect, and led by its
// target.
func (c *handoverChecker) led(o *op) {
	if m := c.meant[o.node.slot]; c.w.mixed() {
		for term, id := range c.began {
			if term > m.term && id == m.to {
				return
			}
		}
	}
	for _, term := range c.w.check.history.effect {
		p := c.w.check.history.promotes[term]
		if m := c.meant[o.node.slot]; m.term < term && p.origin == m.to {
			return
		}
	}
	c.w.fail("handover", "%s says that the target leads, and none is in effect", o.node.label())
}

// calm tells whether nothing goes wrong in this world but that leadership moves.
func (w *World) calm() bool { return w.movesOnly() && w.half == safety }

// movesOnly tells whether nothing ever goes wrong in it.
func (w *World) movesOnly() bool {
	for _, k := range w.plan.faults {
		if k.name != "handover" {
			return false
		}
	}
	return true
}
