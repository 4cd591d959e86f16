package sim

import (
	"math/rand/v2"
	"strings"
	"time"

	"tarragon.dev/tarragon/instance"
)

// preferredKinds are not drawn: they strike in worlds of their own (TestPreferred), in which a leader is
// preferred, and flaps.
var preferredKinds = []faultKind{{"prefer", strikePrefer}}

// prefer draws who is preferred, and for how long it has to be well.
func (p *plan) prefer(rng *rand.Rand) {
	slot := rng.IntN(p.hosts)
	if slot == p.voter {
		slot = 0
	}
	p.config.Preferred = nameOf(slot)
	p.config.PreferredCalm = time.Duration(2+rng.IntN(4)) * p.config.DeathTimeout
}

// strikePrefer takes the preferred leader away for a moment: a process that starts again at once, and one that
// is silent for longer than a death timeout.
func strikePrefer(w *World) {
	n := w.hostNamed(w.plan.config.Preferred)
	if n == nil || !n.running() || n.paused {
		return
	}
	if w.chance(2) {
		n.crash(false)
		n.restartLater(10*time.Millisecond, 300*time.Millisecond)
		return
	}
	n.pause()
	life, death := n.life, w.plan.config.DeathTimeout
	w.later(2*death, 4*death, func() {
		if n.life == life {
			n.resume()
		}
	})
}

// Returned counts what worlds with a preferred leader met.
type Returned struct {
	Begun  int // moves to it
	Broken int // times that it was away before it was well for the calm time
}

// Add sums counts.
func (r *Returned) Add(o Returned) {
	r.Begun += o.Begun
	r.Broken += o.Broken
}

// preferredChecker: leadership goes back to who is preferred, and to nobody else, and not before that was there for the
// calm time.
type preferredChecker struct {
	w      *World
	well   time.Duration // since when it is there
	paused time.Duration
	met    Returned
}

func (c *preferredChecker) init(w *World) { c.w = w }

func (c *preferredChecker) is(n *node) bool {
	return c.w.plan.config.Preferred != "" && n.name == c.w.plan.config.Preferred
}

// calm is the time by a clock of this world that is as slow as any.
func (c *preferredChecker) calm() time.Duration { return c.w.plan.config.PreferredCalm * 98 / 100 }

// started sees each start of a process.
func (c *preferredChecker) started(n *node) {
	if c.is(n) {
		c.broke()
	}
}

func (c *preferredChecker) stood(n *node) {
	if c.is(n) {
		c.paused = c.w.now
	}
}

// woke sees a process go on. A pause that a leader may not have noticed breaks nothing.
func (c *preferredChecker) woke(n *node) {
	if c.is(n) && c.w.now-c.paused >= 2*c.w.plan.config.DeathTimeout {
		c.broke()
	}
}

func (c *preferredChecker) broke() {
	if c.w.now-c.well < c.calm() {
		c.met.Broken++
	}
	c.well = c.w.now
}

// fact sees a core begin to hand over.
func (c *preferredChecker) fact(n *node, f instance.Fact) {
	if f.Kind != instance.FactHandoverBegins || !strings.HasPrefix(f.Text, "it is preferred") {
		return
	}
	c.met.Begun++
	to := c.w.hostNamed(c.w.plan.config.Preferred)
	switch {
	case to == nil || to.id != 0 && to.id != f.Peer: // 0: it has just died
		c.w.fail("preferred", "%s hands over to instance %d, and %q is preferred", n.label(), f.Peer, c.w.plan.config.Preferred)
	case c.w.now-c.well > c.w.plan.config.DeathTimeout*102/100 && c.w.now-c.well < c.calm(): // who is cut off hears of nothing for a death timeout
		c.w.fail("preferred", "%s hands over to %s, which is there for %v of %v", n.label(), to.label(), c.w.now-c.well, c.w.plan.config.PreferredCalm)
	}
}
