package sim

import (
	"strings"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// fenceChecker: nobody becomes a candidate of its own accord who knows a decided row by which it is fenced or takes no
// writes, but for whom a leader hands over to, and for that leader where this fails. It reads the row from the spaces;
// what a core makes of it, it does not ask. That others lead, and that writes go on, is for the liveness half.
type fenceChecker struct {
	w    *World
	bars []bar // by slot
	met  Fenced
}

// bar is the word on one process as it has it.
type bar struct {
	core   *instance.Core
	since  time.Duration // when it was read first, by the clock of the world; 0: it may lead
	byHand time.Duration // when somebody asked this host last to lead
	handed time.Duration // when the journal got its last group
}

func (c *fenceChecker) init(w *World) { c.w, c.bars = w, make([]bar, len(w.hosts)) }

// stepped follows the row.
func (c *fenceChecker) stepped(n *node, batch []instance.Event) {
	b := &c.bars[n.slot]
	for _, ev := range batch {
		if _, ok := ev.(instance.PromoteRequest); ok {
			b.byHand = c.w.now
		}
	}
	if b.core != n.core {
		*b = bar{core: n.core, byHand: b.byHand, handed: b.handed}
	}
	switch barred := barredBy(n); {
	case !barred:
		b.since = 0
	case b.since == 0:
		b.since = c.w.now
		c.met.Barred++
	}
}

// barredBy tells whether a decided row says that a process shall not lead: ["node.UUID", {fence, writes, priority}].
func barredBy(n *node) bool {
	for _, tuple := range n.box.OwnRows(&box.OwnSet) {
		key, rest, err := msgp.ReadStringBytes(tuple[1:])
		if err != nil || strings.TrimPrefix(key, "node.") != n.uuid {
			continue
		}
		said := struct {
			Fence  bool `msgpack:"fence"`
			Writes bool `msgpack:"writes"`
		}{Writes: true}
		if err := mp.Decode(rest, &said); err != nil {
			n.w.fail("fence", "a row of a node does not decode: %v", err)
		}
		return said.Fence || !said.Writes
	}
	return false
}

// logged finds candidacies. One that waited for the journal began before its group, so only a row that was there well
// before counts.
func (c *fenceChecker) logged(n *node, g *xrow.Group) {
	b := &c.bars[n.slot]
	term, began := campaigns(n, g), b.handed
	b.handed = c.w.now
	if b.core != n.core || b.since == 0 || term == 0 || inherits(n, g) || c.w.check.handover.takesBack(n, term) {
		return
	}
	slack := c.w.plan.config.DeathTimeout / 2
	if c.w.now-b.byHand < slack || b.byHand >= began && b.byHand > 0 || c.w.now < b.since+slack {
		return
	}
	c.w.fail("fence", "%s is a candidate of term %d, and knows for %v that it shall not lead", n.label(), term, c.w.now-b.since)
}

// fact sees a leader hand over because it shall not lead.
func (c *fenceChecker) fact(f instance.Fact) {
	if f.Kind == instance.FactHandoverBegins && strings.HasPrefix(f.Text, "this instance is fenced") {
		c.met.Moved++
	}
}
