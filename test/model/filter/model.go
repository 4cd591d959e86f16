// Package filter is a model of the filtered reader: which rows a sender cuts, and
// how a space is added to a replica that runs. It checks every history within small
// bounds; docs/protocol/filters.md has the rules that it tries.
//
// Two leaders, A and then B, write the rows of two spaces, S and T, and rows that add
// S to the filter of a replica R and remove it. R follows either. A row of A is
// committed once B holds it, a row of B at any time, in order: what elections and
// quorums are is not this model's (see test/model). A PROMOTE of B names what B held of
// A; once it is committed all rows of A up to that are, and the rest is void.
package filter

// Kinds of rows.
const (
	rowT       uint8 = iota + 1 // writes a space that R always has
	rowS                        // writes S
	rowAdd                      // adds S to the filter of R
	rowRemove                   // removes it
	rowConfirm                  // what its writer knows to be committed of its own rows
	rowPromote                  // the first row of B
)

type row struct{ kind, arg uint8 }

// maxRows bounds the rows of a leader.
const maxRows = 6

// point is a decided state: how many rows of each leader are, and whether B's PROMOTE is
// in effect.
type point struct {
	a, b    uint8
	promote bool
}

// covers tells whether all that is decided at q is decided at p.
func (p point) covers(q point) bool { return p.a >= q.a && p.b >= q.b && (p.promote || !q.promote) }

// stages of S at R.
const (
	absent  uint8 = iota
	wanted        // R has subscribed with S at its place
	halved        // half of a copy is here
	brought       // all of it is
)

// state of everything. Rows are numbered from 1 by their leader; sets of them are bits.
type state struct {
	rows [2][maxRows]row
	n    [2]uint8 // rows written
	c    [2]uint8 // committed: of A before the PROMOTE, of B after it
	held uint8    // rows of A that B holds
	back uint8    // rows of B that A holds

	from  uint8 // whose stream R follows; 2: nobody's
	mask  bool  // the stream has S
	pos   [2]uint8
	log   [2]uint8 // rows of S in R's log
	stage uint8
	asked [2]uint8 // R's place when it asked for S
	view  point    // of the copy
	copy  [2]uint8 // rows of S in it

	crashes, moves uint8 // of R, left
}

const nobody = 2

// Rules are those that may be left out.
type Rules struct {
	ViewAtOnce    bool // the sender opens the view without having decided what R holds
	OpenAtOnce    bool // R opens S for reads when the copy is there, whatever is decided here
	Unconfirmed   bool // R's filter is that of its newest row, decided or not
	SenderFilters bool // the sender cuts by its own newest row, not by what R has said
	Resumed       bool // a copy goes on at another sender
	Stale         bool // R keeps what it has of S over a removal
}

// Bounds of the histories.
type Bounds struct{ Rows, Crashes, Moves int }

// decided is what one knows to be decided who holds so many rows of each leader.
func (s *state) decided(a, b uint8) (p point) {
	for _, r := range s.rows[1][:b] {
		if r.kind == rowConfirm {
			p.promote, p.b = true, max(p.b, r.arg)
		}
	}
	for _, r := range s.rows[0][:a] {
		if r.kind == rowConfirm {
			p.a = max(p.a, r.arg)
		}
	}
	if p.promote {
		p.a = s.rows[1][0].arg
	}
	return p
}

// here is what R knows to be decided.
func (s *state) here() point { return s.decided(s.pos[0], s.pos[1]) }

// holds is how many rows of each leader a sender has.
func (s *state) holds(sender uint8) (a, b uint8) {
	if sender == 0 {
		return s.n[0], s.back
	}
	return s.held, s.n[1]
}

// knows is what a sender knows to be decided: a leader without a row that says so.
func (s *state) knows(sender uint8) point {
	p := s.decided(s.holds(sender))
	switch {
	case sender == 0 && !p.promote:
		p.a = max(p.a, s.c[0])
	case sender == 1 && s.c[1] > 0:
		p.promote, p.a, p.b = true, s.rows[1][0].arg, max(p.b, s.c[1])
	}
	return p
}

// filterOf tells whether the filter of R has S, by so many rows of each leader.
func (s *state) filterOf(a, b uint8) (has bool) {
	for leader, n := range [2]uint8{a, b} {
		for _, r := range s.rows[leader][:n] {
			has = has && r.kind != rowRemove || r.kind == rowAdd
		}
	}
	return has
}

// wants tells whether R is to have S.
func (s *state) wants(r *Rules) bool {
	if r.Unconfirmed {
		return s.filterOf(s.pos[0], s.pos[1])
	}
	p := s.here()
	return s.filterOf(p.a, p.b)
}

// written are the rows of S that are committed in a decided state.
func (s *state) written(p point) (set [2]uint8) {
	for leader, n := range [2]uint8{p.a, p.b} {
		for i, r := range s.rows[leader][:n] {
			if r.kind == rowS {
				set[leader] |= 1 << i
			}
		}
	}
	return set
}

// shown are the rows of S that R serves.
func (s *state) shown() (set [2]uint8) {
	p := s.here()
	for leader, n := range [2]uint8{p.a, p.b} {
		covered := [2]uint8{s.view.a, s.view.b}[leader]
		decided := uint8(1)<<n - 1
		set[leader] = s.copy[leader] | s.log[leader]&decided&^(1<<covered-1)
	}
	return set
}

// open tells whether R serves S.
func (s *state) open(r *Rules) bool {
	return s.stage == brought && (r.OpenAtOnce || s.here().covers(s.view))
}

// wrong says what must not be; empty: nothing is.
func (s *state) wrong(r *Rules) string {
	if !s.open(r) {
		return ""
	}
	p := s.here()
	if !s.filterOf(p.a, p.b) {
		if s.mask == s.wants(r) {
			return "R serves S, which its filter leaves out"
		}
		return "" // it is about to subscribe anew
	}
	if s.shown() != s.written(p) {
		return "what R has of S is not what was decided"
	}
	return ""
}
