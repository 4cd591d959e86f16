package sim

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// numberedChecker: each number is executed once or never, and what its client was told
// is so. Who is told that its copy is void had come behind no row of it that is committed. No session
// ends before its leader has led for as long as sessions live.
type numberedChecker struct {
	w     *World
	met   NumberedMet
	lanes []*lane
	all   []*numbered
	keys  uint64
	void  []voidCopy
	rows  map[numberKey][]numberRow // by author
	slots map[numberKey][]slotStep
	ends  map[numberKey]bool // sessions that an instance has ended
	leads map[*node]time.Duration
}

// voidCopy is a copy that an instance has called void.
type voidCopy struct {
	q    *numbered
	by   uint32
	came time.Duration
}

// numberRow is a row of a number, and when its author wrote it.
type numberRow struct {
	place
	at time.Duration
}

// numberKey names the row of a number by who wrote it.
type numberKey struct {
	by      uint32
	session string
	slot    uint64
	no      uint64
}

// slotStep: some instance has written the row of a number.
type slotStep struct {
	no uint64
	at time.Duration
}

// NumberedMet counts what worlds with sessions met.
type NumberedMet struct {
	Opened   int // sessions
	Ended    int // sessions that were gone when they were used
	Done     int // numbers
	Failed   int
	Unknown  int
	Repeated int // copies
	Stuck    int
	Void     int
}

// Add sums counts.
func (m *NumberedMet) Add(o NumberedMet) {
	m.Opened += o.Opened
	m.Ended += o.Ended
	m.Done += o.Done
	m.Failed += o.Failed
	m.Unknown += o.Unknown
	m.Repeated += o.Repeated
	m.Stuck += o.Stuck
	m.Void += o.Void
}

// fact follows who leads, and which sessions end.
func (c *numberedChecker) fact(n *node, f instance.Fact) {
	switch {
	case !c.w.plan.sessions:
	case f.Kind == instance.FactInEffect && f.Peer == n.id:
		c.leads[n] = c.w.now
	case f.Kind == instance.FactSessionIdle:
		if led := c.w.now - c.leads[n]; led < simSessionIdle*98/100 { // clocks drift
			c.w.fail("sessions", "%s ends session %s, and has led for %v", n.label(), f.Text, led)
		}
	}
}

// logged takes down the rows of numbers that an instance writes.
func (c *numberedChecker) logged(n *node, g *xrow.Group) {
	if !c.w.plan.sessions {
		return
	}
	for i := range g.Table {
		ref := &g.Table[i]
		if ref.Origin != n.id || ref.SpaceID <= spaceTally {
			continue
		}
		r, err := g.Row(i)
		if err != nil || !r.Type.IsDML() {
			continue
		}
		d, err := xrow.DecodeDML(r.Type, r.Body)
		if err != nil {
			continue
		}
		if r.Type == xrow.Delete { // of a session's row, or a slot's
			if _, rest, err := msgp.ReadArrayHeaderBytes(d.Key); err == nil {
				session, _, _ := msgp.ReadStringBytes(rest)
				c.ends[numberKey{by: n.id, session: session}] = true
			}
			continue
		}
		if k, ok := readNumberRow(d.Tuple); ok {
			k.by = n.id
			c.w.tell(n, "writes %d/%d, of number %d of slot %d of %s", r.LSN, r.Term, k.no, k.slot, k.session)
			slot := numberKey{session: k.session, slot: k.slot}
			c.slots[slot] = append(c.slots[slot], slotStep{k.no, c.w.now})
			c.rows[k] = append(c.rows[k], numberRow{place{r.Term, r.LSN}, c.w.now})
		}
	}
}

// readNumberRow reads [session, slot, number, ...] of a slot.
func readNumberRow(tuple []byte) (k numberKey, ok bool) {
	_, rest, err := msgp.ReadArrayHeaderBytes(tuple)
	if err == nil {
		k.session, rest, err = msgp.ReadStringBytes(rest)
	}
	if err == nil {
		k.slot, rest, err = msgp.ReadUint64Bytes(rest)
	}
	if err == nil {
		k.no, _, err = msgp.ReadUint64Bytes(rest)
	}
	return k, err == nil && k.slot > 0
}

// judge is called in the end, with all tuples that there are.
func (c *numberedChecker) judge(tuples []spaceTuple) {
	counts := map[uint64]opID{}
	for _, t := range tuples {
		if t.space == spaceTally {
			key, n, err := readTuple(t.tuple)
			if err != nil {
				c.w.fail("sessions", "a strange tuple: %v", err)
			}
			counts[key] = n
		}
	}
	for _, q := range c.all {
		n := counts[q.key]
		switch {
		case n > 1:
			c.w.fail("sessions", "%v was executed %d times", q, n)
		case n == 0 && (q.done || q.told == toldDone):
			c.w.fail("sessions", "%v was told to be done, and is not", q)
		case n == 1 && q.told == toldFailed:
			c.w.fail("sessions", "%v was told to have failed, and is done", q)
		}
		switch q.told {
		case toldDone:
			c.met.Done++
		case toldFailed:
			c.met.Failed++
		case toldUnknown:
			c.met.Unknown++
		}
	}
	uuid := len("00000000-0000-0000-0000-000000000000/")
	for _, v := range c.void {
		c.met.Void++
		n := &v.q.n
		rows := c.rows[numberKey{v.by, n.Session[uuid:], n.Slot, n.No}]
		if c.ends[numberKey{by: v.by, session: n.Session[uuid:]}] {
			continue // that is what it has met
		}
		steps := c.slots[numberKey{session: n.Session[uuid:], slot: n.Slot}]
		if slices.ContainsFunc(steps, func(s slotStep) bool { return s.no > n.No && s.at <= v.came }) {
			continue // it was refused because of that
		}
		if len(rows) == 1 && rows[0].at < v.came && c.w.check.history.committed(rows[0].place) {
			c.w.fail("sessions", "a copy of %v was told by instance %d to be void, and its row there is committed", v.q, v.by)
		}
	}
}
