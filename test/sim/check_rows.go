package sim

import (
	"maps"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// rowChecker: an (origin, LSN) never means two rows; vclocks never go back;
// within a term LSNs have no gaps, so every log holds a prefix of each term.
// Together this is log matching but for NOPs and flags.
type rowChecker struct {
	w     *World
	known [vclock.Max][]*row // by origin and LSN
	byOp  []*row             // by ID
	logs  []logState         // by slot: with what is on its way to the disk
	safe  []logState         // by slot: what survives a crash
}

// logState is what a log holds, in short.
type logState struct {
	vclock vclock.VClock
	last   map[uint64]uint64 // by term: greatest LSN of the term's rows, but for
	term   uint64            // the term of the newest row,
	lsn    uint64            // and its LSN
}

func (s logState) clone() logState {
	s.last = maps.Clone(s.last)
	return s
}

// end is the greatest LSN of a term's rows.
func (s *logState) end(term uint64) (lsn uint64, begun bool) {
	if term == s.term {
		return s.lsn, true
	}
	lsn, begun = s.last[term]
	return lsn, begun
}

func (s *logState) setEnd(term, lsn uint64) {
	if term != s.term && s.term != 0 {
		s.last[s.term] = s.lsn
	}
	s.term, s.lsn = term, lsn
}

// named is the row that the world knows under a name; nil: none.
func (c *rowChecker) named(origin uint32, lsn uint64) *row {
	if origin >= vclock.Max || lsn >= uint64(len(c.known[origin])) {
		return nil
	}
	return c.known[origin][lsn]
}

// of is the row that an operation wrote; nil: it is in no log.
func (c *rowChecker) of(id opID) *row {
	if id >= opID(len(c.byOp)) {
		return nil
	}
	return c.byOp[id]
}

// put makes room and puts a row at its place.
func put(list []*row, i uint64, r *row) []*row {
	for uint64(len(list)) <= i {
		list = append(list, nil)
	}
	list[i] = r
	return list
}

func (c *rowChecker) init(w *World) {
	c.w = w
	c.logs, c.safe = make([]logState, len(w.hosts)), make([]logState, len(w.hosts))
	for i := range c.logs {
		c.logs[i].last, c.safe[i].last = map[uint64]uint64{}, map[uint64]uint64{}
	}
}

func (c *rowChecker) logged(n *node, rows []loggedRow) {
	for _, r := range rows {
		if !c.extend(n, &c.logs[n.slot], r.row) {
			return
		}
		if r.origin != n.id {
			c.register(n, r.row)
		}
	}
}

// synced makes a group's own rows facts: they may leave now.
func (c *rowChecker) synced(n *node, rows []loggedRow) {
	for _, r := range rows {
		if !c.extend(n, &c.safe[n.slot], r.row) {
			return
		}
		c.register(n, r.row)
	}
}

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
			if r, _, err := c.w.check.readRow(u, i); err == nil && r.origin != 0 {
				s.last[r.term] = max(s.last[r.term], r.lsn)
				c.register(n, r)
			}
		}
	}
	for _, g := range n.disk.groups {
		for _, r := range g.rows {
			if !c.extend(n, &s, r.row) {
				return
			}
			c.register(n, r.row)
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
	if last, begun := s.end(r.term); begun && r.lsn != last+1 {
		c.w.fail("log matching", "%s logs LSN %d of %d after %d of the same term %d: a hole", n.label(), r.lsn, r.origin, last, r.term)
		return false
	} else if !begun && r.kind != xrow.Promote && r.kind != xrow.Nop {
		c.w.fail("log matching", "%s logs %v (%d, %d) of term %d without its PROMOTE", n.label(), r.kind, r.origin, r.lsn, r.term)
		return false
	}
	s.setEnd(r.term, r.lsn)
	return true
}

// register compares a row with what the world knows under its name.
func (c *rowChecker) register(n *node, r *row) {
	old := c.named(r.origin, r.lsn)
	switch {
	case old == r:
		return
	case old == nil || old.kind == xrow.Nop && r.kind != xrow.Nop:
		if old != nil && old.term != r.term {
			break
		}
		c.known[r.origin] = put(c.known[r.origin], r.lsn, r)
		if r.op != 0 {
			c.byOp = put(c.byOp, uint64(r.op), r)
		}
		return
	case old.term == r.term && (r.kind == xrow.Nop || old.sum == r.sum):
		return
	}
	c.w.fail("same row", "(%d, %d) is %v of term %d on %s, but %v of term %d elsewhere",
		r.origin, r.lsn, r.kind, r.term, n.label(), old.kind, old.term)
}
