package sim

import (
	"errors"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
)

// baseCopy is a base copy on its way to a filtered reader.
type baseCopy struct {
	order *instance.CopyOrder // nil: none is asked for
	from  *node               // whose view it is; nil: nobody was asked
	life  int                 // of that one
	view  *box.View           // nil: it is not open
	at    box.Cursor
	ready bool
}

// told takes orders of the core.
func (b *baseCopy) told(s *shadow, eff *instance.Effects) {
	if eff.Copy != nil {
		b.end(s)
		order := *eff.Copy
		*b = baseCopy{order: &order}
		s.f.c.met.Ordered++
	}
	if b.order != nil && eff.CopyReady == b.order.Order {
		b.ready = true
	}
	if eff.Checkpoint {
		s.f.c.met.Copied++
		*b = baseCopy{}
		if s.rng.IntN(2) == 0 {
			s.f.wantsCheckpoint = true
		}
	}
}

// end lets the view go.
func (b *baseCopy) end(s *shadow) {
	if b.view != nil && b.from.life == b.life {
		b.from.post(instance.CloseView{View: b.view})
	}
	b.view = nil
}

// goOn asks for the copy, or takes the next slice of it.
func (b *baseCopy) goOn(s *shadow, n *node) {
	switch {
	case b.order == nil:
	case b.from == nil && s.registeredAt(n):
		b.ask(s, n)
	case b.from == nil:
	case b.from != n && s.f.w.plan.filterFault == "resumed" && b.view != nil:
		b.resume(s, n)
	case b.from != n || b.from.life != b.life || b.view != nil && !s.registeredAt(n):
		b.end(s)
		s.step(instance.CopyEnds{Order: b.order.Order, Err: errors.New("the sender is gone")})
		if b.from != nil {
			*b = baseCopy{}
		}
		s.f.c.met.Broken++
	case b.view != nil && b.ready:
		b.slice(s)
	}
}

func (b *baseCopy) ask(s *shadow, n *node) {
	b.from, b.life = n, n.life
	asked, order := b.order, *b.order
	if s.f.w.plan.filterFault == "view at once" {
		v := n.core.Decided()
		b.view = n.box.OpenView()
		b.view.Among(order.Spaces)
		s.step(instance.CopyBegins{Order: order.Order, VClock: v, Tuples: b.view.Rows()})
		return
	}
	n.tag++
	n.snaps[n.tag] = func(snap instance.Snapshot) {
		switch {
		case s.copy.order != asked || s.copy.from != n || s.core == nil:
			if snap.View != nil {
				n.post(instance.CloseView{View: snap.View})
			}
		case snap.Err != nil:
			s.copy = baseCopy{}
			s.step(instance.CopyEnds{Order: order.Order, Err: snap.Err})
			s.f.c.met.Broken++
		case !s.registeredAt(n): // it was dropped meanwhile
			n.post(instance.CloseView{View: snap.View})
			s.copy = baseCopy{}
			s.step(instance.CopyEnds{Order: order.Order, Err: errors.New("the sender gives it none")})
			s.f.c.met.Broken++
		default:
			s.f.c.given(s, n, "a base copy")
			s.copy.view = snap.View
			s.step(instance.CopyBegins{Order: order.Order, VClock: snap.State.VClock, Tuples: snap.View.Rows()})
		}
	}
	n.post(instance.CopyRequest{Tag: n.tag, CopyOrder: order})
}

// resume is a planted fault: the rest is taken from another view.
func (b *baseCopy) resume(s *shadow, n *node) {
	b.end(s)
	b.from, b.life = n, n.life
	b.view = n.box.OpenView()
	b.view.Among(b.order.Spaces)
}

// slice takes some tuples.
func (b *baseCopy) slice(s *shadow) {
	order := b.order.Order
	part, more, err := slice(b.view, &b.at, 1+s.rng.IntN(20), false)
	if err != nil {
		s.fail("%v", err)
		return
	}
	for _, t := range part {
		s.step(instance.CopyRows{Order: order, Space: t.space, Tuples: [][]byte{t.tuple}})
		if b.order == nil || b.order.Order != order {
			return
		}
	}
	if !more {
		b.end(s)
		s.step(instance.CopyEnds{Order: order})
	}
}
