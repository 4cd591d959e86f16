package sim

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// pauseChecker: nobody becomes a candidate of its own accord while elections are
// paused at it, but for whom a leader hands over to, and for that leader where this fails. It reads the row of the pause from the spaces, its fate open or not,
// and counts by the clock of the host; what a core makes of the row it does not ask.
// That elections begin again behind the pause is for the liveness half.
type pauseChecker struct {
	w    *World
	rows []countedPause // by slot
	met  Paused
}

// countedPause is the row of a pause as one process counts it.
type countedPause struct {
	core         *instance.Core
	tuple        string
	since, until time.Duration // by the clock of the host; 0: there is no pause
	known        []countedPause
	byHand       time.Duration // when somebody asked this host last to lead, by the world's clock
	handed       time.Duration // when the journal got its last group, by that clock
}

func (c *pauseChecker) init(w *World) { c.w, c.rows = w, make([]countedPause, len(w.hosts)) }

// stepped follows the row. One that comes back, for a newer one is void, goes on.
func (c *pauseChecker) stepped(n *node, batch []instance.Event) {
	p := &c.rows[n.slot]
	for _, ev := range batch {
		if _, ok := ev.(instance.PromoteRequest); ok {
			p.byHand = c.w.now
		}
	}
	tuple := string(n.box.NewestOwn(&box.OwnSet, "pause"))
	if p.core == n.core && p.tuple == tuple {
		return
	}
	if p.core != n.core {
		*p = countedPause{core: n.core, byHand: p.byHand, handed: p.handed}
	} else {
		p.known = append(p.known, countedPause{tuple: p.tuple, since: p.since, until: p.until})
	}
	p.tuple, p.since, p.until = tuple, 0, 0
	for _, k := range p.known {
		if tuple != "" && k.tuple == tuple {
			p.since, p.until = k.since, k.until
			return
		}
	}
	if span := pauseSpan([]byte(tuple)); span != 0 {
		c.met.Counted++
		p.since, p.until = n.mono(), n.mono()+span
	}
}

// pauseSpan is how long a row says: ["pause", {seconds: n, ...}].
func pauseSpan(tuple []byte) time.Duration {
	if len(tuple) == 0 {
		return 0
	}
	rest, err := msgp.Skip(tuple[1:])
	if err != nil {
		return 0
	}
	_, rest, err = msgp.ReadMapHeaderBytes(rest)
	if err != nil {
		return 0
	}
	if _, rest, err = msgp.ReadStringBytes(rest); err != nil {
		return 0
	}
	s, _, err := msgp.ReadUint64Bytes(rest)
	if err != nil {
		return 0
	}
	return time.Duration(s) * time.Second
}

// logged finds candidacies. One that waited for the journal began before its group;
// so only a pause that began well before counts.
func (c *pauseChecker) logged(n *node, g *xrow.Group) {
	p := &c.rows[n.slot]
	term, began := campaigns(n, g), p.handed
	p.handed = c.w.now
	if p.core != n.core || p.until == 0 || term == 0 || inherits(n, g) || c.w.check.handover.takesBack(n, term) {
		return
	}
	slack := c.w.plan.config.DeathTimeout / 2
	now := n.mono()
	if c.w.now-p.byHand < slack || p.byHand >= began || now < p.since+slack || now >= p.until {
		return
	}
	c.w.fail("pause", "%s is a candidate, %v before the end of a pause that began %v ago", n.label(), p.until-now, now-p.since)
}
