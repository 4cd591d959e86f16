package sim

import (
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// fenceKinds are not drawn: they strike in worlds of their own (TestFences), where operators fence an instance, let it
// again, and have routers lead no writes to it.
var fenceKinds = []faultKind{{"fence", strikeFence}}

// Fenced counts what worlds with fences met.
type Fenced struct {
	Asked  int // changes that an operator was told are there
	Barred int // times that an instance learned that it shall not lead
	Moved  int // leaders that handed over for that
}

// Add sums counts.
func (f *Fenced) Add(o Fenced) {
	f.Asked += o.Asked
	f.Barred += o.Barred
	f.Moved += o.Moved
}

// strikeFence lets an operator say of one instance that it shall not lead, or of none. One at most is barred at a time,
// and nobody in a world with a voter: else a majority that is healed may have nobody who begins an election.
func strikeFence(w *World) {
	n := w.leader()
	if n == nil || n.core == nil || w.plan.voter >= 0 {
		return
	}
	target := w.nodes[w.rng.IntN(len(w.nodes))]
	how, lift, yes, no := w.rng.IntN(3), w.chance(4), true, false
	w.tell(n, "is told that %s shall not lead (%d), all others may; lifted at once: %v", target.name, how, lift)
	raised := w.load.begin(n, opByHand, 0)
	n.post(instance.RaiseFeature{Conn: 1, Sync: uint64(raised.id)})
	say := func(of *node, fence, writes *bool) {
		o := w.load.begin(n, opByHand, 0)
		o.answered = func(*xrow.Error) {
			if o.outcome == acknowledged {
				w.check.fence.met.Asked++
			}
		}
		n.post(instance.SetNode{Conn: 1, Sync: uint64(o.id), Who: of.name, Fence: fence, Writes: writes})
	}
	for _, o := range w.nodes {
		if o != target || lift {
			say(o, &no, &yes)
		}
	}
	if lift {
		return
	}
	switch how {
	case 0:
		say(target, &yes, nil)
	case 1:
		say(target, nil, &no)
	case 2:
		say(target, &yes, &no)
	}
}

// yieldLimit is how long a leader that shall not lead may go on where nothing is broken: it tries each election timeout
// to hand over.
const yieldLimit = 10

// leadersYield waits until nobody leads who shall not, behind all that has happened.
func (w *World) leadersYield() {
	if w.check.fence.met.Asked == 0 || w.failure != nil {
		return
	}
	limit := w.now + yieldLimit*w.plan.config.ElectionTimeout
	if !w.run(limit, func() bool { n := w.inEffect(); return n != nil && !barredBy(n) }) && w.failure == nil {
		w.fail("fence", "there is no leader who may lead, %v after all was healed: %s", time.Duration(yieldLimit)*w.plan.config.ElectionTimeout, w.describe())
	}
}
