package sim

import (
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// handoverKinds are not drawn: they strike in worlds of their own (TestHandovers), where
// operators move leadership.
var handoverKinds = []faultKind{
	{"handover", func(w *World) { w.handOver(func(_, _ *node) {}) }},
	{"handdie", strikeHandDie},
	{"heirdie", strikeHeirDie},
	{"handcut", strikeHandCut},
	{"handrival", strikeHandRival},
}

// Moved counts what worlds with handovers met.
type Moved struct {
	Asked   int
	Led     int // the one that was meant leads, and who asked was told so
	Given   int // rows written
	Words   int // said, under Tarantool's rules
	Else    int // and another one was elected, or nobody in time
	GivenUp int // before the row was written, or refused

	Forwarded int // requests that went to another leader
	Lost      int // of them, without an answer
	ReadOwn   int // writes that were found where they were asked for
}

// Add sums counts.
func (m *Moved) Add(o Moved) {
	m.Asked += o.Asked
	m.Led += o.Led
	m.Given += o.Given
	m.Words += o.Words
	m.Else += o.Else
	m.GivenUp += o.GivenUp
	m.Forwarded += o.Forwarded
	m.Lost += o.Lost
	m.ReadOwn += o.ReadOwn
}

// handOver lets an operator move leadership to somebody, and calls written in the moment
// in which the row goes to the disk of the leader.
func (w *World) handOver(written func(leader, heir *node)) {
	n := w.leader()
	if n == nil || n.core == nil || n.isTarantool() && !w.chance(8) {
		return
	}
	ev := instance.SwitchoverRequest{Conn: 1, Fast: w.chance(2), Hold: w.between(5*time.Millisecond, time.Second), By: "admin"}
	if to := w.nodes[w.rng.IntN(len(w.nodes))]; !w.chance(4) {
		ev.To = to.name
	}
	if w.mixed() { // where it is refused
		ev.Fast = ev.Fast && w.chance(8)
		if to := w.hostNamed(ev.To); to != nil && to.isTarantool() && !w.chance(8) {
			ev.To = ""
		}
	}
	w.tell(n, "is told to hand over to %q, fast %t", ev.To, ev.Fast)
	o := w.load.begin(n, opByHand, 0)
	ev.Sync = uint64(o.id)
	c := &w.check.handover
	c.met.Asked++
	o.answered = func(err *xrow.Error) { c.answered(o, err) }
	c.onRow = written
	n.post(ev)
}

// strikeHandDie takes the old leader down behind its row, or before that is on its disk.
func strikeHandDie(w *World) {
	w.handOver(func(leader, _ *node) { w.dieSoon(leader) })
}

// strikeHeirDie takes the target down at about the time at which it gets the row.
func strikeHeirDie(w *World) {
	w.handOver(func(_, heir *node) {
		if heir != nil {
			w.dieSoon(heir)
		}
	})
}

func (w *World) dieSoon(n *node) {
	life := n.life
	w.after(w.between(0, 20*time.Millisecond), func() {
		if n.life == life && n.running() && w.half == safety {
			strikeCrashOf(n)
		}
	})
}

// strikeHandCut lets the row reach some of the others and not the target, for a while.
func strikeHandCut(w *World) {
	w.handOver(func(leader, heir *node) {
		if heir == nil {
			return
		}
		w.net.sever(leader.slot, heir.slot)
		if w.chance(2) {
			w.net.sever(heir.slot, leader.slot)
		}
		w.later(w.plan.config.DeathTimeout/2, 3*w.plan.config.DeathTimeout, func() {
			w.net.heal(leader.slot, heir.slot)
			w.net.heal(heir.slot, leader.slot)
		})
	})
}

// strikeHandRival lets an operator promote somebody while leadership moves to another.
func strikeHandRival(w *World) {
	w.handOver(func(_, _ *node) { strikePromote(w) })
}

// hostNamed finds the host of a name; nil: there is none.
func (w *World) hostNamed(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// hostOf finds the host of an ID.
func (w *World) hostOf(id uint32) *node {
	for _, n := range w.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

// given tells the schedule of a move that its row is written, or its word said.
func (c *handoverChecker) given(leader *node, to uint32) {
	if done := c.onRow; done != nil {
		c.onRow = nil
		done(leader, c.w.hostOf(to))
	}
}
