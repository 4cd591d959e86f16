package sim

import (
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// A mixed world has hosts of Tarantool's kind among its members: cores that
// follow Tarantool's rules only (instance.Config.Kind). The checkers that
// follow the chain of strong PROMOTEs do not apply. What is left to check:
//
//   - promises: nothing is told that is not on disk; one leader per term;
//   - no core of ours is in doubt about its disk, whatever Tarantools do;
//   - an acknowledged synchronous write is there in the end, at the owner of the
//     newest term; where somebody reported a split brain only those that one of
//     ours has acknowledged;
//   - unless somebody reported a split brain, all instances end equal, and
//     nothing is there that was answered by a final error.

// Met counts what mixed worlds met.
type Met struct {
	Tarantools     int // terms under Tarantool's rules that took effect, on some node
	Strong         int
	RulesChanges   int
	HiddenPromotes int // void PROMOTEs that went out as NOP
	LateRows       int
}

func (m *Met) fact(f instance.Fact) {
	switch f.Kind {
	case instance.FactRulesChange:
		m.RulesChanges++
	case instance.FactLate:
		m.LateRows++
	}
}

// Add sums counts.
func (m *Met) Add(o Met) {
	m.Tarantools += o.Tarantools
	m.Strong += o.Strong
	m.RulesChanges += o.RulesChanges
	m.HiddenPromotes += o.HiddenPromotes
	m.LateRows += o.LateRows
}

// writable is whether a core took writes after a number of Steps.
type writable struct {
	core  *instance.Core
	steps uint64
	yes   bool
}

func (w *World) mixed() bool { return w.plan.tarantools != nil }

// promoted is the leader if it takes writes, else nil.
func (w *World) promoted(n *node) *node {
	if n == nil || !n.active() {
		return nil
	}
	if n.writable.core != n.core || n.writable.steps != n.steps { // this is asked after each event
		n.writable = writable{n.core, n.steps, !n.core.Info(n.mono()).RO}
	}
	if !n.writable.yes {
		return nil
	}
	return n
}

// toleratesRefusal: in a mixed world rows may contradict each other, which is
// reported; what comes later is then anybody's guess.
func (w *World) toleratesRefusal(err *xrow.Error) bool {
	if !w.mixed() {
		return false
	}
	w.split = w.split || err.Code == xrow.ErrSplitBrain
	return w.split
}

// endMixed judges a mixed world.
func (w *World) endMixed() {
	if !w.split && !w.comesToRest(w.now+convergeLimit) && !w.split {
		w.fail("convergence", "no rest in time: %s", w.describe())
		return
	}
	if w.split {
		w.run(w.now+convergeLimit/4, nil)
	}
	var newest *node
	owned, inEffect := uint64(0), uint64(0)
	for _, n := range w.nodes {
		if n.core == nil {
			continue
		}
		i := n.core.Info(n.mono())
		inEffect = max(inEffect, i.QueueTerm)
		if i.QueueOwner == i.ID && (newest == nil || i.QueueTerm > owned) {
			newest, owned = n, i.QueueTerm
		}
		if i.Tarantool {
			w.met.Tarantools++
		} else {
			w.met.Strong++
		}
	}
	if w.split && w.movesOnly() {
		w.fail("handover", "a move of leadership split the set: %s", w.describe())
		return
	}
	if newest == nil {
		if !w.split {
			w.fail("convergence", "nobody owns the queue: %s", w.describe())
		}
		return
	}
	if w.split && owned < inEffect {
		return // it does not know that it is deposed, for it hears nobody any more
	}
	w.hasAcknowledged(newest)
	if !w.split {
		w.allEqual(newest)
	}
}

// hasAcknowledged looks for the inserts that clients were told are done.
func (w *World) hasAcknowledged(n *node) {
	there := w.inserts(n)
	for _, o := range w.load.ops {
		switch {
		case o.kind != opInsert && o.kind != opPair:
		case w.split && o.node.isTarantool():
			// It confirms by a PROMOTE that nobody may have taken: then it has
			// answered, and stands alone with that.
		case o.outcome == acknowledged && !there[o.id]:
			w.fail("acknowledged", "op %d was acknowledged by n%d at %v, and %s, the newest owner, lacks it (split brain: %t): %s",
				o.id, o.node.slot, o.ended, n.label(), w.split, w.describe())
		case o.outcome == refused && there[o.id] && !w.split:
			w.fail("answers", "op %d was refused by n%d at %v and is there", o.id, o.node.slot, o.ended)
		}
	}
}

// inserts are the ops whose row of the journal a node shows.
func (w *World) inserts(n *node) map[opID]bool {
	there := map[opID]bool{}
	for _, t := range readAll(w, n.box.OpenView()) {
		if t.space == spaceJournal {
			if _, id, err := readTuple(t.tuple); err == nil {
				there[id] = true
			}
		}
	}
	return there
}

// allEqual compares the confirmed tuples of all nodes.
func (w *World) allEqual(a *node) {
	want := readAll(w, a.box.OpenView())
	for _, b := range w.nodes {
		got := readAll(w, b.box.OpenView())
		if i := firstDifference(want, got); i >= 0 {
			w.fail("convergence", "%s has other tuples than %s, and nobody reported a split brain: number %d of %d and %d: %s; %s",
				b.label(), a.label(), i, len(got), len(want), differ(want, got, i), w.describe())
			return
		}
	}
}
