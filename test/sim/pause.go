package sim

import (
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// pauseKinds are not drawn: they strike in worlds of their own (TestPauses), where
// operators pause elections.
var pauseKinds = []faultKind{{"halt", strikeHalt}, {"haltdie", strikeHaltDie}}

// Paused counts what worlds with pauses met.
type Paused struct {
	Asked   int // pauses that an operator was told are there
	Resumed int
	Alone   int // leaders that died right behind one
	Counted int // new rows of a pause, at each instance
}

// Add sums counts.
func (p *Paused) Add(o Paused) {
	p.Asked += o.Asked
	p.Resumed += o.Resumed
	p.Alone += o.Alone
	p.Counted += o.Counted
}

// strikeHalt lets an operator pause elections for some seconds, and perhaps resume
// them before. The level that this needs is raised by whoever can.
func strikeHalt(w *World) { w.halt(func() {}) }

// strikeHaltDie takes the leader down in the moment in which it says that they are
// paused.
func strikeHaltDie(w *World) {
	leader := w.leader()
	w.halt(func() {
		w.after(0, func() { // its Step has to end
			if w.half == safety && leader.running() {
				w.check.pause.met.Alone++
				strikeCrashOf(leader)
			}
		})
	})
}

// halt calls done when the leader says that elections are paused.
func (w *World) halt(done func()) {
	n := w.leader()
	if n == nil || n.core == nil {
		return
	}
	span := w.between(time.Second, 6*time.Second).Truncate(time.Second)
	w.tell(n, "is told to pause elections for %v", span)
	raised := w.load.begin(n, opByHand, 0)
	n.post(instance.RaiseFeature{Conn: 1, Sync: uint64(raised.id)})
	o := w.load.begin(n, opByHand, 0)
	o.answered = func(*xrow.Error) {
		if o.outcome == acknowledged {
			w.check.pause.met.Asked++
			done()
		}
	}
	n.post(instance.PauseElections{Conn: 1, Sync: uint64(o.id), For: span, By: "admin"})
	if w.chance(3) {
		w.later(100*time.Millisecond, span, func() { w.resumeElections() })
	}
}

func (w *World) resumeElections() {
	n := w.leader()
	if n == nil || n.core == nil {
		return
	}
	o := w.load.begin(n, opByHand, 0)
	o.answered = func(*xrow.Error) {
		if o.outcome == acknowledged {
			w.check.pause.met.Resumed++
		}
	}
	n.post(instance.ResumeElections{Conn: 1, Sync: uint64(o.id)})
}
