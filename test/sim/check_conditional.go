package sim

import (
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// conditionalChecker: writes that depend on what is there, and their answers, are
// linearizable together with quorum reads. An answer tells a state: a duplicate
// key shows the tuple that is in the way, a swap or a delete what it found, be it
// nothing. The committed rows give the order of the states, so an answer without
// a row needs a place between two of them that contradicts no clock: behind all
// that ended before it began and before all that began when it had ended.
type conditionalChecker struct {
	w     *World
	looks [locks + 1][]glance
}

// glance is an answer that wrote nothing, or a read.
type glance struct {
	op           opID
	began, ended time.Duration
	saw          opID // 0: nothing there
}

// read notes what a quorum read shows of all locks.
func (c *conditionalChecker) read(o *op) {
	q := box.Query{Space: spaceLocks, Iterator: box.ALL, Key: []byte{0x90}, Limit: locks + 1}
	tuples, n, err := o.node.box.Select(admin, &q, nil)
	if err != nil {
		c.w.fail("reads", "%s cannot read the locks: %v", o.node.label(), err)
		return
	}
	var shown [locks + 1]opID
	for range n {
		key, id, err := readTuple(tuples)
		if err != nil || key == 0 || key > locks {
			c.w.fail("reads", "%s has a strange tuple in lock %d: %v", o.node.label(), key, err)
			return
		}
		shown[key] = id
		tuples = tuples[len(pair(key, id)):]
	}
	for key := 1; key <= locks; key++ {
		c.looks[key] = append(c.looks[key], glance{o.id, o.began, c.w.now, shown[key]})
	}
}

// state is what a lock was between two committed rows.
type state struct {
	op           opID // who wrote it; 0: nothing there
	by           opID // whose row made it; 0: the beginning
	began, ended time.Duration
	acknowledged bool
}

// judge is called in the end, with all committed rows in their order.
func (c *conditionalChecker) judge(rows []*row) {
	var states [locks + 1][]state
	for key := range states {
		states[key] = []state{{acknowledged: true}}
	}
	for _, r := range rows {
		if r.space != spaceLocks {
			continue
		}
		o := c.w.load.ops[r.op-1]
		s := state{op: r.op, by: r.op, began: o.began, ended: o.ended, acknowledged: o.outcome == acknowledged}
		if r.kind == xrow.Delete {
			s.op = 0
		}
		was := states[r.key][len(states[r.key])-1]
		if s.acknowledged && o.kind != opLock && o.saw != was.op || o.kind == opLock && was.op != 0 {
			c.w.fail("conditional", "op %d is committed on lock %d over op %d; it was told %d", o.id, r.key, was.op, o.saw)
			return
		}
		states[r.key] = append(states[r.key], s)
	}
	for _, o := range c.w.load.ops {
		if o.kind.isConditional() && (o.outcome == acknowledged && o.empty || o.outcome == refused && o.saw != 0) {
			c.looks[o.key] = append(c.looks[o.key], glance{o.id, o.began, o.ended, o.saw})
		}
	}
	for key := 1; key <= locks && c.w.failure == nil; key++ {
		c.place(key, states[key], c.looks[key])
	}
}

// place finds for each answer the first state that it may have seen: no earlier
// than what ended before it began has shown, writes and answers alike.
func (c *conditionalChecker) place(key int, states []state, looks []glance) {
	latest := time.Duration(0) // beginning of anything in front of a state
	for i, s := range states {
		if s.acknowledged && s.ended < latest {
			c.w.fail("conditional", "op %d wrote lock %d behind one that began after it had ended", s.by, key)
			return
		}
		latest = max(latest, s.began)
		states[i].began = latest
	}
	slices.SortStableFunc(looks, func(a, b glance) int { return int(a.began - b.began) })
	var open []known // what has not ended before the answer at hand began
	for i, s := range states {
		if s.acknowledged {
			open = append(open, known{s.ended, i})
		}
	}
	from := 0
	for _, g := range looks {
		open = slices.DeleteFunc(open, func(k known) bool {
			over := k.ended < g.began
			if over {
				from = max(from, k.at)
			}
			return over
		})
		at := from
		for at < len(states) && states[at].began <= g.ended && states[at].op != g.saw {
			at++
		}
		if at == len(states) || states[at].began > g.ended {
			c.w.fail("conditional", "%s was told that lock %d is %s; from %s, which was done before, to %s, which was not begun, that was never so",
				c.tell(g.op), key, whose(g.saw), c.tell(states[from].by), c.tell(by(states, at)))
			return
		}
		open = append(open, known{g.ended, at})
	}
}

// known is a place in the order that is taken from a moment on.
type known struct {
	ended time.Duration
	at    int
}

// tell says of an op who, where and when.
func (c *conditionalChecker) tell(id opID) string {
	if id == 0 {
		return "the end"
	}
	o := c.w.load.ops[id-1]
	what := map[opKind]string{opLock: "lock", opUnlock: "unlock", opSwap: "swap", opLinear: "read"}[o.kind]
	return fmt.Sprintf("op %d (%s at n%d, %v to %v)", id, what, o.node.slot, o.began, o.ended)
}

func whose(id opID) string {
	if id == 0 {
		return "free"
	}
	return fmt.Sprintf("op %d's", id)
}

func by(states []state, at int) opID {
	if at >= len(states) {
		return 0
	}
	return states[at].by
}
