package box

import (
	"math"
	"slices"

	"tarragon.dev/tarragon/xrow"
)

// View is the confirmed state of one moment. The versions it needs live until
// Close.
type View struct {
	box   *Box
	dict  *Schema
	bound uint64 // transactions up to here are seen
	local uint64 // the same for spaces that are decided by their write
	kept  int    // see Pins

	sharing *Sharing // what is not here is not shown; nil: all is
	among   []uint32 // these spaces alone, ascending; nil: all
}

// views are the open ones, oldest first.
type views struct{ open []*View }

// need tells whether an open view sees what transaction seq replaced.
func (v *views) need(seq uint64, byWrite bool) bool {
	if len(v.open) == 0 {
		return false
	}
	if byWrite {
		return v.open[0].local < seq
	}
	return v.open[0].bound < seq
}

// needed tells whether an open view or draft sees what transaction seq replaced.
func (b *Box) needed(seq uint64, byWrite bool) bool {
	return b.views.need(seq, byWrite) || b.pins.need(seq, byWrite)
}

// OpenView pins the confirmed state of this moment. For the owner only.
func (b *Box) OpenView() *View {
	v := &View{box: b, dict: b.dict, bound: b.confirmed, local: b.last, kept: b.garbage.kept, sharing: b.dict.sharing.now}
	if b.current != nil {
		v.local = b.current.seq - 1 // it may be aborted
	}
	b.views.open = append(b.views.open, v)
	return v
}

// Narrow leaves out the spaces that a share does not have.
func (v *View) Narrow(s *xrow.Share) { v.sharing = &Sharing{Share: s} }

// Among leaves out all but some spaces, in whatever order.
func (v *View) Among(spaces []uint32) {
	v.among = slices.Clone(spaces)
	slices.Sort(v.among)
}

// shows tells whether the tuples of a space are in the view.
func (v *View) shows(sp *space) bool {
	switch {
	case sp.temp || sp.primary() == nil || !sp.stored():
		return false
	case v.among != nil:
		if _, found := slices.BinarySearch(v.among, sp.id); !found {
			return false
		}
	}
	return v.dict.isHere(v.sharing, sp)
}

// Rows is about how many tuples Next has: those that there are now. Safe for
// readers.
func (v *View) Rows() (n int) {
	for _, id := range v.dict.ids {
		if sp := v.dict.spaces[id]; v.shows(sp) {
			n += sp.stats.rows
		}
	}
	return n
}

// ViewSpace is a space of a view.
type ViewSpace struct {
	ID   uint32
	Name string
	Rows int // about: those that there are now
}

// Spaces are those that Next has, by ascending IDs. Safe for readers.
func (v *View) Spaces() (out []ViewSpace) {
	for _, id := range v.dict.ids {
		if sp := v.dict.spaces[id]; v.shows(sp) {
			out = append(out, ViewSpace{sp.id, sp.name, sp.stats.rows})
		}
	}
	return out
}

// Pins is the bytes of tuples that were replaced or deleted since the view was
// opened: they stay in memory until it is closed. Safe for readers.
func (v *View) Pins() int { return v.box.garbage.kept - v.kept }

// Close gives the view back; what it alone needed is freed by [Box.Work]. To close
// it again does nothing. For the owner only.
func (v *View) Close() {
	at := slices.Index(v.box.views.open, v)
	if at < 0 {
		return
	}
	v.box.views.open = slices.Delete(v.box.views.open, at, at+1)
	v.box.Work(v.box.config.WorkAtOnce)
}

// Cursor is a place in a View; the zero value is its start. It survives writes.
type Cursor struct {
	space uint32
	key   []byte // primary key of the last tuple; nil: before the first
}

// Next calls f for tuples behind c, in the order of Load: ascending space ID,
// then primary key. It ends behind limit rows. Temporary spaces are left out; local
// ones are not, see IsLocal. tuple is valid during the call. Safe for readers.
func (v *View) Next(c *Cursor, limit int, f func(space uint32, tuple []byte) error) (more bool, err error) {
	left := slice{rows: limit, bytes: math.MaxInt}
	return v.next(c, &left, f)
}

// slice is what one call may still look at, and pass on.
type slice struct{ rows, bytes int }

func (s *slice) over() bool { return s.rows <= 0 || s.bytes <= 0 }

func (v *View) next(c *Cursor, left *slice, f func(space uint32, tuple []byte) error) (more bool, err error) {
	at, _ := slices.BinarySearch(v.dict.ids, c.space)
	for _, id := range v.dict.ids[at:] {
		sp := v.dict.spaces[id]
		if id != c.space {
			c.space, c.key = id, c.key[:0]
		}
		if !v.shows(sp) {
			continue
		}
		if err := v.scan(sp, c, left, f); err != nil || left.over() {
			return err == nil, err
		}
	}
	return false, nil
}

// scan goes on in one space. left passes its bound of bytes by one tuple at most.
func (v *View) scan(sp *space, c *Cursor, left *slice, f func(space uint32, tuple []byte) error) error {
	pk := sp.primary()
	bound := v.bound
	if sp.decidedByWrite() {
		bound = v.local
	}
	at := pk.first()
	if len(c.key) > 0 {
		p := pk.keyProbe(c.key, len(pk.cmp))
		at = pk.seek(&p, true)
	}
	var last ref
	for ; at.leaf != 0 && !left.over(); at = pk.next(at) {
		last = pk.refAt(at) // dead entries count too: a slice must end
		left.rows--
		r := pk.visible(last, bound)
		if r == 0 || v.tempDefinition(sp, v.box.mem.tuple(r)) {
			continue
		}
		tuple := v.box.mem.tuple(r)
		left.bytes -= len(tuple)
		if err := f(sp.id, tuple); err != nil {
			return err
		}
	}
	if last != 0 {
		c.key = pk.appendKey(c.key[:0], v.box.mem.tuple(last), len(pk.cmp))
	}
	return nil
}

// tempDefinition tells whether a row defines a space of type temporary.
func (v *View) tempDefinition(sp *space, tuple []byte) bool {
	if sp.id != xrow.SpaceSpace && sp.id != xrow.SpaceIndex && sp.id != xrow.SpaceTruncate {
		return false
	}
	id, _ := uintOf((&walker{b: tuple}).field(0))
	return v.dict.isTempType(uint32(id))
}

// IsLocal tells whether the space never leaves this instance: a JOIN skips it.
// The view's definitions do not change: no latch is needed.
func (v *View) IsLocal(space uint32) bool {
	sp := v.dict.spaces[space]
	return sp != nil && sp.local
}
