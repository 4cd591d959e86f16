package sim

import (
	"maps"
	"slices"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// lostChecker: a transaction that a log held undecided, and that a later row of
// the same log voids, is kept on that disk exactly once, whatever crashes, is
// checkpointed or joined anew. It reads the log as it is on disk and decides by
// the rules of the chain itself; no core is asked.
type lostChecker struct {
	w    *World
	logs []voidLog // by slot
}

// voidLog is what the safe part of a log says about the fate of its transactions.
type voidLog struct {
	term    uint64                  // in effect
	pending map[uint64]xrow.Synchro // by term: PROMOTEs that are not
	open    []lostName              // undecided, in log order
	void    map[lostName]bool
}

func newVoidLog() voidLog {
	return voidLog{pending: map[uint64]xrow.Synchro{}, void: map[lostName]bool{}}
}

func (l voidLog) clone() voidLog {
	l.pending, l.open, l.void = maps.Clone(l.pending), slices.Clone(l.open), maps.Clone(l.void)
	return l
}

func (c *lostChecker) init(w *World) {
	c.w = w
	for range w.hosts {
		c.logs = append(c.logs, newVoidLog())
	}
}

func (c *lostChecker) wiped(n *node) { c.logs[n.slot] = newVoidLog() }

// synced reads the rows of a group that is safe now.
func (c *lostChecker) synced(n *node, rows []loggedRow) { c.logs[n.slot].read(rows) }

// read takes the rows of a group down.
func (l *voidLog) read(rows []loggedRow) {
	changes := false // the transaction has more than NOPs
	for _, r := range rows {
		changes = changes || r.kind.IsDML() && r.kind != xrow.Nop
		switch {
		case r.kind.IsSynchro():
			l.decide(r.row)
		case r.flags&xrow.FlagCommit == 0:
			continue
		case changes && r.term != 0:
			l.open = append(l.open, lostName{r.term, r.origin, r.lsn})
		}
		changes = false
	}
}

// decide draws the conclusions of a PROMOTE or a CONFIRM.
func (l *voidLog) decide(r *row) {
	s := r.synchro
	switch {
	case r.kind == xrow.Promote:
		l.pending[s.Term] = s
		return
	case r.term < l.term:
		return // an older term's: it was settled
	}
	ends := map[uint64]uint64{r.term: s.Strong()} // by term of the chain: its last row
	for term := r.term; term > l.term; {
		p, ok := l.pending[term]
		if !ok {
			break
		}
		ends[p.PrevTerm] = p.Strong()
		term = p.PrevTerm
	}
	l.term = max(l.term, r.term)
	open := l.open[:0]
	for _, name := range l.open {
		switch end, ok := ends[name.term]; {
		case ok && name.lsn <= end: // committed
		case name.term >= l.term:
			open = append(open, name)
		default:
			l.void[name] = true
		}
	}
	l.open = open
}

// joined goes on from a received state and what was kept of the old log.
func (c *lostChecker) joined(n *node, p *checkpoint) {
	l, before := newVoidLog(), &c.logs[n.slot]
	l.void = before.void
	if h := p.state.History; len(h) > 0 {
		l.term = h[len(h)-1].Term
	}
	for _, name := range before.open {
		committed := func(s terms.Span) bool {
			return s.Term == name.term && s.Owner == name.origin && name.lsn <= s.Last
		}
		if name.term < l.term && !slices.ContainsFunc(p.state.History, committed) {
			l.void[name] = true
		}
	}
	var rows []loggedRow
	if u := p.state.Undecided; u != nil {
		var err error
		if rows, err = c.w.check.readRows(u); err != nil {
			c.w.fail("voided rows", "%s joins with a row that does not decode: %v", n.label(), err)
		}
	}
	l.read(rows)
	for _, g := range n.disk.groups {
		l.read(g.rows)
	}
	c.logs[n.slot] = l
}

// compare looks at a disk that nobody writes to now.
func (c *lostChecker) compare(n *node) {
	if c.w.mixed() {
		return // rows come without stamps
	}
	void := c.logs[n.slot].void
	for name := range void {
		if times := n.disk.kept[name]; times != 1 {
			c.w.fail("voided rows", "%s kept %d times what its log voids: (%d, %d) of term %d", n.label(), times, name.origin, name.lsn, name.term)
			return
		}
	}
	for name := range n.disk.kept {
		if !void[name] {
			c.w.fail("voided rows", "%s kept (%d, %d) of term %d, which its log does not void", n.label(), name.origin, name.lsn, name.term)
			return
		}
	}
}
