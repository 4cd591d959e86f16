package sim

import (
	"slices"
)

// txnChecker: transactions of several requests are serializable. One that has changed
// something is as if it had run alone where its rows are among the committed ones: all that
// it has read is the newest there, and all that it wrote is there, together. One that has
// only read saw the state between two of them. Who may not see what is undecided has seen
// nothing that was never committed, whatever became of it.
type txnChecker struct {
	w   *World
	all []*interactive
	met TxnMet
}

// TxnMet counts what worlds with interactive transactions met.
type TxnMet struct {
	Committed int // with changes
	ReadOnly  int
	Refused   int
	Reads     int // of registers, in those that committed
	Over      int // of values that were overwritten before the COMMIT, by those that only read
}

// Add sums counts.
func (m *TxnMet) Add(o TxnMet) {
	m.Committed += o.Committed
	m.ReadOnly += o.ReadOnly
	m.Refused += o.Refused
	m.Reads += o.Reads
	m.Over += o.Over
}

// value of a register, from a place among the committed rows on.
type value struct {
	op opID
	at int
}

// judge is called in the end, with all committed rows in their order.
func (c *txnChecker) judge(rows []*row) {
	var values [registers + 1][]value
	for key := range values {
		values[key] = []value{{0, -1}}
	}
	wrote := map[opID][]int{} // places of rows
	for at, r := range rows {
		if r.space == spaceRegisters {
			values[r.key] = append(values[r.key], value{r.op, at})
		}
		wrote[r.op] = append(wrote[r.op], at)
	}
	for _, t := range c.all {
		if c.w.failure != nil {
			return
		}
		c.judgeDirty(t, values)
		switch at := wrote[t.o.id]; {
		case len(at) > 0:
			c.judgeWrites(t, at, rows)
			c.judgeReads(t, at[0], values)
		case t.o.outcome == acknowledged:
			c.judgeReadOnly(t, values)
		case t.o.outcome == refused:
			c.met.Refused++
		}
	}
}

// judgeDirty: what was read was committed once.
func (c *txnChecker) judgeDirty(t *interactive, values [registers + 1][]value) {
	for _, r := range t.reads {
		known := slices.ContainsFunc(values[r.key], func(v value) bool { return v.op == r.saw })
		if r.confirmed && !known {
			c.w.fail("transactions", "op %d at %s (level %d) saw register %d of op %d, which was never committed", t.o.id, t.o.node.label(), t.level, r.key, r.saw)
			return
		}
	}
}

// judgeWrites: all rows are there, with nobody else's between them.
func (c *txnChecker) judgeWrites(t *interactive, at []int, rows []*row) {
	c.met.Committed++
	want := len(t.wrote)
	if t.noted {
		want++
	}
	if len(at) != want || at[len(at)-1]-at[0] != want-1 {
		c.w.fail("transactions", "op %d of %d changes has rows at %v", t.o.id, want, at)
		return
	}
	for i, key := range t.wrote {
		if !slices.ContainsFunc(at, func(k int) bool { return rows[k].space == spaceRegisters && rows[k].key == key }) {
			c.w.fail("transactions", "op %d has no row for its change %d, of register %d", t.o.id, i, key)
		}
	}
}

// judgeReads: at the place of its rows, what it has read is so.
func (c *txnChecker) judgeReads(t *interactive, at int, values [registers + 1][]value) {
	for _, r := range t.reads {
		if r.saw == t.o.id && slices.Contains(t.wrote, r.key) {
			continue
		}
		c.met.Reads++
		newest := values[r.key][0]
		for _, v := range values[r.key] {
			if v.at < at {
				newest = v
			}
		}
		if newest.op != r.saw {
			c.w.fail("transactions", "op %d at %s (level %d) is committed behind op %d in register %d, where it had seen op %d", t.o.id, t.o.node.label(), t.level, newest.op, r.key, r.saw)
			return
		}
	}
}

// judgeReadOnly: there is a place at which all that it has read is so.
func (c *txnChecker) judgeReadOnly(t *interactive, values [registers + 1][]value) {
	c.met.ReadOnly++
	from, to := -1, 1<<62
	for _, r := range t.reads {
		c.met.Reads++
		i := len(values[r.key]) - 1
		for i >= 0 && values[r.key][i].op != r.saw { // its last change, if it has several
			i--
		}
		if i < 0 {
			c.w.fail("transactions", "op %d at %s (level %d) has committed what it saw of op %d in register %d, which is not committed", t.o.id, t.o.node.label(), t.level, r.saw, r.key)
			return
		}
		from = max(from, values[r.key][i].at)
		if i+1 < len(values[r.key]) {
			to = min(to, values[r.key][i+1].at)
			c.met.Over++
		}
	}
	if from >= to {
		c.w.fail("transactions", "op %d at %s (level %d) saw no state that there ever was: %v", t.o.id, t.o.node.label(), t.level, t.reads)
	}
}
