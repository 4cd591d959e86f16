package sim

import (
	"maps"

	"tarragon/vclock"
	"tarragon/xrow"
)

// rowChecker: an (origin, LSN) never means two rows; vclocks never go back;
// within a term LSNs have no gaps, so every log holds a prefix of each term.
// Together this is log matching but for NOPs and flags.
type rowChecker struct {
	w     *World
	known map[rowID]*row
	byOp  map[opID]*row
	logs  []logState // by slot: with what is on its way to the disk
	safe  []logState // by slot: what survives a crash
	wait  map[*xrow.Group][]*row
}

type rowID struct {
	origin uint32
	lsn    uint64
}

// logState is what a log holds, in short.
type logState struct {
	vclock vclock.VClock
	last   map[uint64]uint64 // by term: greatest LSN of the term's rows
}

func (s logState) clone() logState { return logState{s.vclock, maps.Clone(s.last)} }

func (c *rowChecker) init(w *World) {
	c.w = w
	c.known, c.byOp = map[rowID]*row{}, map[opID]*row{}
	c.wait = map[*xrow.Group][]*row{}
	c.logs, c.safe = make([]logState, len(w.nodes)), make([]logState, len(w.nodes))
	for i := range c.logs {
		c.logs[i].last, c.safe[i].last = map[uint64]uint64{}, map[uint64]uint64{}
	}
}

func (c *rowChecker) logged(n *node, g *xrow.Group, rows []*row) {
	c.wait[g] = rows
	for _, r := range rows {
		if !c.extend(n, &c.logs[n.slot], r) {
			return
		}
		if r.origin != n.id {
			c.register(n, r)
		}
	}
}

// synced makes a group's own rows facts: they may leave now.
func (c *rowChecker) synced(n *node, g *xrow.Group) {
	for _, r := range c.wait[g] {
		if !c.extend(n, &c.safe[n.slot], r) {
			return
		}
		c.register(n, r)
	}
	delete(c.wait, g)
}

func (c *rowChecker) lost(_ *node, g *xrow.Group) { delete(c.wait, g) }

func (c *rowChecker) died(n *node) { c.logs[n.slot] = c.safe[n.slot].clone() }

func (c *rowChecker) wiped(n *node) {
	c.safe[n.slot] = logState{last: map[uint64]uint64{}}
	c.logs[n.slot] = c.safe[n.slot].clone()
}

// joined takes the received state for the log that it stands for.
func (c *rowChecker) joined(n *node, p *checkpoint) {
	before := c.safe[n.slot]
	s := logState{vclock: p.state.VClock, last: map[uint64]uint64{}}
	for _, span := range p.state.History {
		// Rows of the term behind its end may have come late: they are in the vclock
		// as NOPs, and not in the span.
		s.last[span.Term] = max(span.Last, s.vclock[span.Owner])
	}
	if u := p.state.Undecided; u != nil {
		for i := range u.Table {
			if r, err := readRow(u, i); err == nil && r.origin != 0 {
				s.last[r.term] = max(s.last[r.term], r.lsn)
				c.register(n, r)
			}
		}
	}
	for _, g := range n.disk.groups {
		for i := range g.Table {
			if r, err := readRow(g, i); err == nil && r.origin != 0 {
				if !c.extend(n, &s, r) {
					return
				}
				c.register(n, r)
			}
		}
	}
	if own := n.disk.vclock[n.id]; n.id != 0 && before.vclock[n.id] > own {
		c.w.fail("rows", "%s forgot its own LSN %d: joined with %d", n.label(), before.vclock[n.id], own)
	}
	c.safe[n.slot], c.logs[n.slot] = s, s.clone()
}

// extend puts a row behind a log.
func (c *rowChecker) extend(n *node, s *logState, r *row) bool {
	if r.lsn <= s.vclock[r.origin] {
		c.w.fail("vclock", "%s logs LSN %d of %d behind %d", n.label(), r.lsn, r.origin, s.vclock[r.origin])
		return false
	}
	s.vclock[r.origin] = r.lsn
	if r.term == 0 {
		return true
	}
	if last, begun := s.last[r.term]; begun && r.lsn != last+1 {
		c.w.fail("log matching", "%s logs LSN %d of %d after %d of the same term %d: a hole", n.label(), r.lsn, r.origin, last, r.term)
		return false
	} else if !begun && r.kind != xrow.Promote && r.kind != xrow.Nop {
		c.w.fail("log matching", "%s logs %v (%d, %d) of term %d without its PROMOTE", n.label(), r.kind, r.origin, r.lsn, r.term)
		return false
	}
	s.last[r.term] = r.lsn
	return true
}

// register compares a row with what the world knows under its name.
func (c *rowChecker) register(n *node, r *row) {
	id := rowID{r.origin, r.lsn}
	old, ok := c.known[id]
	switch {
	case !ok || old.kind == xrow.Nop && r.kind != xrow.Nop:
		if ok && old.term != r.term {
			break
		}
		c.known[id] = r
		if r.op != 0 {
			c.byOp[r.op] = r
		}
		return
	case old.term == r.term && (r.kind == xrow.Nop || old.sum == r.sum):
		return
	}
	c.w.fail("same row", "(%d, %d) is %v of term %d on %s, but %v of term %d elsewhere",
		r.origin, r.lsn, r.kind, r.term, n.label(), old.kind, old.term)
}
