package filter

import "fmt"

// step is a successor of a state, and what led to it.
type step struct {
	what string
	next state
}

// steps are all that can come next.
func (s *state) steps(r *Rules, b *Bounds) (all []step) {
	add := func(what string, f func(n *state)) {
		n := *s
		f(&n)
		all = append(all, step{what, n})
	}
	s.leaders(b, add)
	s.follows(r, add)
	s.copies(r, add)
	if s.crashes > 0 {
		add("R crashes", func(n *state) {
			n.crashes--
			n.from = nobody
			if n.stage < brought {
				n.stage, n.copy, n.view, n.asked = absent, [2]uint8{}, point{}, [2]uint8{}
			}
		})
	}
	return all
}

// leaders are steps of A and B: they write, commit, confirm, hand rows over.
func (s *state) leaders(b *Bounds, add func(string, func(*state))) {
	for leader := range uint8(2) {
		if leader == 0 && s.back > 0 || leader == 1 && s.c[1] == 0 {
			continue // A knows that it was deposed; B may not write yet
		}
		confirmed := uint8(0)
		for _, r := range s.rows[leader][:s.n[leader]] {
			if r.kind == rowConfirm {
				confirmed = r.arg
			}
		}
		if int(s.n[leader]) == b.Rows {
			continue
		}
		name := "AB"[leader : leader+1]
		if s.c[leader] > confirmed {
			add(name+" writes CONFIRM", func(n *state) { n.write(leader, row{rowConfirm, n.c[leader]}) })
		}
		if leader == 1 && confirmed == 0 {
			continue // the CONFIRM of its PROMOTE comes before all else
		}
		for kind, text := range [...]string{rowT: "T", rowS: "S", rowAdd: "a row that adds S", rowRemove: "a row that removes S"} {
			if text != "" {
				add(name+" writes "+text, func(n *state) { n.write(leader, row{kind: uint8(kind)}) })
			}
		}
	}
	if s.n[1] == 0 {
		if s.held < s.n[0] {
			add("B gets a row of A", func(n *state) { n.held++ })
		}
		if s.c[0] < s.held {
			add("a row of A is committed", func(n *state) { n.c[0]++ })
		}
		add("B writes PROMOTE", func(n *state) { n.write(1, row{rowPromote, n.held}) })
		return
	}
	if s.c[1] < s.n[1] {
		add("a row of B is committed", func(n *state) { n.c[1]++ })
	}
	if s.back < s.n[1] {
		add("A gets a row of B", func(n *state) { n.back++ })
	}
}

func (s *state) write(leader uint8, r row) {
	s.rows[leader][s.n[leader]] = r
	s.n[leader]++
}

// follows are steps of R's stream: it subscribes, and takes the next row.
func (s *state) follows(r *Rules, add func(string, func(*state))) {
	for sender := range uint8(2) {
		moves := sender != s.from && s.from != nobody
		if sender == s.from && s.mask == s.wants(r) || moves && s.moves == 0 {
			continue
		}
		if !moves && s.from != nobody && s.from != sender {
			continue
		}
		add(fmt.Sprintf("R subscribes to %c", "AB"[sender]), func(n *state) {
			if moves {
				n.moves--
			}
			n.subscribe(sender, r)
		})
	}
	if s.from == nobody {
		return
	}
	a, b := s.holds(s.from)
	switch {
	case s.pos[0] < a:
		add("R gets a row of A's", func(n *state) { n.take(0, r) })
	case s.pos[1] < b:
		add("R gets a row of B's", func(n *state) { n.take(1, r) })
	}
}

// subscribe has R ask a sender for what its filter gives now.
func (s *state) subscribe(sender uint8, r *Rules) {
	s.from, s.mask = sender, s.wants(r)
	switch {
	case !s.mask && r.Stale && s.stage == brought:
	case !s.mask:
		s.stage, s.copy, s.view, s.asked = absent, [2]uint8{}, point{}, [2]uint8{}
	case s.stage == halved && r.Resumed:
	case s.stage != brought:
		s.stage, s.copy, s.view, s.asked = wanted, [2]uint8{}, point{}, s.pos
	}
}

// take is R's next row of a leader. Rows of S that are cut leave nothing but their place.
func (s *state) take(leader uint8, r *Rules) {
	at := s.pos[leader]
	s.pos[leader]++
	passes := s.mask
	if r.SenderFilters {
		passes = s.filterOf(s.holds(s.from))
	}
	if s.rows[leader][at].kind == rowS && passes {
		s.log[leader] |= 1 << at
	}
}

// copies are steps of the base copy. Two halves stand for its slices: rows with an odd
// number, and the others.
func (s *state) copies(r *Rules, add func(string, func(*state))) {
	if s.from == nobody {
		return
	}
	switch s.stage {
	case wanted:
		if p := s.knows(s.from); r.ViewAtOnce || s.hasDecided(p) {
			add("a view is opened, and half of it sent", func(n *state) {
				n.stage, n.view = halved, p
				n.copyHalf(p, 0b010101)
			})
		}
	case halved:
		p := s.view
		if r.Resumed {
			p = s.knows(s.from)
		}
		add("the rest of the view is sent", func(n *state) {
			n.stage = brought
			n.copyHalf(p, 0b101010)
		})
	}
}

func (s *state) copyHalf(p point, half uint8) {
	for leader, rows := range s.written(p) {
		s.copy[leader] |= rows & half
	}
}

// hasDecided tells whether all that R held when it asked is committed or void.
func (s *state) hasDecided(p point) bool {
	return (p.promote || p.a >= s.asked[0]) && p.b >= s.asked[1]
}
