package box

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/xrow"
)

// Sharing says which spaces have their tuples here, on a replica that has some of them
// only (docs/protocol/filters.md). It is never changed.
type Sharing struct {
	Instance string // for people: who this is
	Share    *xrow.Share
	// Copied are the spaces of the share whose tuples are not all here yet, by
	// ascending IDs.
	Copied []Copied
}

// Copied is a space whose tuples are on their way.
type Copied struct {
	Space   uint32
	Percent int // about
}

// Has tells whether all tuples of a space are here.
func (s *Sharing) Has(space uint32) bool {
	return s == nil || s.Share.Has(space) && s.copied(space) == nil
}

func (s *Sharing) copied(space uint32) *Copied {
	at, ok := slices.BinarySearchFunc(s.Copied, space, func(c Copied, id uint32) int { return int(int64(c.Space) - int64(id)) })
	if !ok {
		return nil
	}
	return &s.Copied[at]
}

// sharing is the place of a Sharing: all dictionaries of a box look there.
type sharing struct {
	now     *Sharing
	leftOut [][2]uint32 // see Box.LeaveOut
}

// absent is the answer to a client that asks for a space whose tuples are not here.
func (s *Schema) absent(sp *space) error {
	now := s.sharing.now
	if s.isHere(now, sp) {
		return nil
	}
	if c := now.copied(sp.id); c != nil {
		return xrow.Errorf(xrow.ErrBeingCopied, sp.name, now.Instance, c.Percent)
	}
	return xrow.Errorf(xrow.ErrNotReplicated, sp.name, now.Instance, now.Share.Filter)
}

// isHere tells whether a replica with a share has the tuples of a space. Local and
// temporary ones are nobody else's, and Tarragon's own are everybody's, but for what sessions
// remember: answers have tuples of any space.
func (s *Schema) isHere(now *Sharing, sp *space) bool {
	if now != nil && sp.id == s.session {
		return false
	}
	return now.Has(sp.id) || sp.decidedByWrite() || s.isOwn(sp.id)
}

// Shareable tells whether a filter may have the space or leave it out. For the owner: it
// looks at the newest dictionary.
func (b *Box) Shareable(space uint32) bool {
	sp := b.head.spaces[space]
	return sp != nil && b.head.isShareable(sp)
}

func (s *Schema) isShareable(sp *space) bool {
	return sp.id >= xrow.FirstUserSpace && sp.id <= xrow.LastSpace && sp.stored() && !sp.decidedByWrite() && !s.isOwn(sp.id)
}

// OwnSpaces are the IDs of Tarragon's own spaces, as a stream with a share has them. For the
// owner: it looks at the newest dictionary. The list never changes.
func (b *Box) OwnSpaces() xrow.Own { return xrow.Own{Always: b.head.shared, Never: b.head.session} }

// Settled tells whether no transaction is open or undecided.
func (b *Box) Settled() bool { return b.current == nil && b.pending.Len() == 0 }

// Defines tells whether a statement changes the definition of a space or empties it, and which
// one that is.
func Defines(d *xrow.DML) (space uint32, ok bool) {
	switch d.SpaceID {
	case xrow.SpaceSpace, xrow.SpaceIndex, xrow.SpaceTruncate:
	default:
		return 0, false
	}
	row := d.Tuple
	if d.Key != nil {
		row = d.Key
	}
	id := splitRow(row).uint(0)
	return uint32(id), id <= xrow.LastSpace
}

// Share says from now on which spaces have their tuples here; nil: all. For the owner
// only.
func (b *Box) Share(s *Sharing) { b.dict.sharing.now = s }

// Empty drops the tuples of spaces whose tuples are not wanted here, or not yet. It is a
// transaction of its own, number seq, that nobody logs; no other one may be undecided.
func (b *Box) Empty(seq uint64, spaces []uint32) {
	if !b.Settled() {
		panic("box: Empty with undecided transactions")
	}
	t := b.Begin(seq)
	for _, id := range spaces {
		if sp := t.dict.spaces[id]; sp != nil && len(sp.indexes) > 0 && sp.stored() {
			t.empty(sp)
		}
	}
	t.close()
	b.head = t.dict
	b.pending.Push(t)
	b.Confirm(seq)
}

// CopyIn puts a tuple of a base copy into a space whose tuples are not here yet: as if it
// had been there before all transactions, so that none that goes takes it away. In ascending
// primary-key order tuples load fastest. An error tells that the copy does not fit, and that it has to begin anew.
func (b *Box) CopyIn(space uint32, tuple []byte) error {
	sp, pk, err := b.head.loadable(space, tuple)
	if err != nil {
		return err
	}
	if err := b.room(len(tuple), len(sp.indexes)); err != nil {
		return err
	}
	for _, ix := range sp.indexes[1:] {
		if !ix.unique {
			continue
		}
		if r, _ := ix.conflict(tuple, 0); r != 0 {
			return fmt.Errorf("base copy: %w", duplicate(sp, ix, b.mem.tuple(r), tuple))
		}
	}
	r, err := b.mem.newVersion(0, 0, tuple)
	if err != nil {
		return err
	}
	if err := b.loadKey(sp, pk, tuple, r); err != nil {
		b.mem.freeVersion(r)
		return fmt.Errorf("base copy: %w", err)
	}
	w := walker{b: tuple}
	for _, ix := range sp.indexes[1:] {
		ix.point(&w, r)
	}
	sp.stats.rows++
	sp.stats.bytes += len(tuple)
	return nil
}
