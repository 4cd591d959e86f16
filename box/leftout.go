package box

import (
	"cmp"
	"fmt"
	"slices"

	"tarragon.dev/tarragon/xrow"
)

// An index that a filter leaves out here is kept as a row, and as a definition without a
// tree. When it is not left out any more it is formed while the space is read and written
// on: from its beginning every statement keeps it, as any other index, and a pass over
// the primary one adds what was there before. Nobody reads by it until the pass has ended.
//
// Invariant: an index that is being formed has no entry that an index which was there from
// the beginning would not have, and all of those up to the place of the pass.

// forming is the pass over a space whose index is being formed. It belongs to the tree: what
// gives the index another tree, which is then a complete one, or none, ends it.
type forming struct {
	where        *sharing
	space, index uint32
	tree         *tree
	primary      *tree  // that it passes; another one is passed from its beginning
	key          []byte // primary key of the last entry passed; nil: none yet
	done, total  int    // entries of the primary index; total is about
}

func (f *forming) percent() int {
	if f.total == 0 {
		return 0
	}
	return min(100*f.done/f.total, 99)
}

// compareIndexes orders [space, index].
func compareIndexes(a, b [2]uint32) int {
	return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
}

// leavesOut tells whether an index has to be without a tree here. Primary ones never are.
func (s *sharing) leavesOut(space, index uint32) bool {
	if len(s.leftOut) == 0 || index == 0 {
		return false
	}
	_, found := slices.BinarySearchFunc(s.leftOut, [2]uint32{space, index}, compareIndexes)
	return found
}

// LeaveOut says which indexes, [space, index] in ascending order, have no tree here from
// now on. What is defined from then on follows it at once, and what there is by
// [Box.AlignIndexes]. For the owner only.
func (b *Box) LeaveOut(indexes [][2]uint32) { b.head.sharing.leftOut = indexes }

// LeavesOut tells whether a confirmed index is left out here. Safe for readers.
func (b *Box) LeavesOut(space, index uint32) bool {
	sp := b.dict.spaces[space]
	return sp != nil && slices.ContainsFunc(sp.unusable, func(u unusable) bool { return u.id == index && u.def != nil })
}

// isLeftOut is the answer to a client that asks for an index that is left out here.
func (u *unusable) isLeftOut(sp *space) error {
	instance, filter := u.where.names()
	return xrow.Errorf(xrow.ErrIndexNotReplicated, u.name, sp.name, instance, filter)
}

// isForming is the answer to one that asks for an index that is not complete.
func (ix *index) isForming(sp *space) error {
	instance, _ := ix.tree.forming.where.names()
	return xrow.Errorf(xrow.ErrIndexBeingBuilt, ix.name, sp.name, instance, ix.tree.forming.percent())
}

func (s *sharing) names() (instance, filter string) {
	if s.now == nil {
		return "", ""
	}
	return s.now.Instance, s.now.Share.Filter
}

// misaligned tells whether a space has an index that is to be left out, or lacks one that is not.
func (s *Schema) misaligned(sp *space) bool {
	return slices.ContainsFunc(sp.unusable, func(u unusable) bool { return u.def != nil && !s.sharing.leavesOut(sp.id, u.id) }) ||
		len(s.sharing.leftOut) > 0 && slices.ContainsFunc(sp.indexes, func(ix *index) bool { return s.sharing.leavesOut(sp.id, ix.id) })
}

// Misaligned tells whether [Box.AlignIndexes] has something to do. For the owner only.
func (b *Box) Misaligned() bool {
	return slices.ContainsFunc(b.head.ids, func(id uint32) bool { return b.head.misaligned(b.head.spaces[id]) })
}

// AlignIndexes takes the trees of indexes that are left out, to be freed in slices, and
// begins those of others, which [Box.Form] fills. It is a transaction of its own, number
// seq, that nobody logs; no other one may be undecided.
func (b *Box) AlignIndexes(seq uint64) {
	if !b.Settled() {
		panic("box: AlignIndexes with undecided transactions")
	}
	t := b.Begin(seq)
	t.align()
	t.close()
	b.head = t.dict
	b.pending.Push(t)
	b.Confirm(seq)
}

func (t *Txn) align() {
	from := t.dict
	for _, id := range from.ids {
		if sp := from.spaces[id]; from.misaligned(sp) {
			t.alignSpace(sp)
		}
	}
}

// alignSpace gives a space the indexes that it is to have.
func (t *Txn) alignSpace(sp *space) {
	now := sp.copy()
	now.indexes, now.unusable = nil, nil
	for _, ix := range sp.indexes {
		if !t.dict.sharing.leavesOut(sp.id, ix.id) {
			now.indexes = append(now.indexes, ix)
			continue
		}
		now.unusable = append(now.unusable, ix.leftOut(t.dict.sharing))
		t.dropped = append(t.dropped, garbage{ix: ix})
	}
	for _, u := range sp.unusable {
		if u.def == nil || t.dict.sharing.leavesOut(sp.id, u.id) {
			now.unusable = append(now.unusable, u)
			continue
		}
		ix := *u.def
		ix.setOrder(primaryParts(sp.indexes))
		ix.tree = t.box.newTree()
		if sp.primary().first().leaf != 0 {
			ix.tree.forming = &forming{where: t.dict.sharing, space: sp.id, index: ix.id, tree: ix.tree, total: sp.stats.rows}
			t.box.forms = append(t.box.forms, ix.tree.forming)
		}
		now.indexes = append(now.indexes, &ix)
	}
	slices.SortFunc(now.indexes, func(a, b *index) int { return cmp.Compare(a.id, b.id) })
	now.format = newFormat(sp.format.named, sp.format.fieldCount, now.indexes)
	t.schema().putSpace(now)
	t.schemaOps++
}

// leftOut is the definition of an index without a tree.
func (ix *index) leftOut(where *sharing) unusable {
	def := *ix
	def.tree = nil
	return unusable{id: ix.id, name: ix.name, def: &def, where: where}
}

// Form goes on with indexes that are being formed, by about so many tuples and entries,
// and tells whether more are left. An error is that of an index whose definition does not
// fit what is there: nobody ever reads by it. Transactions may be undecided, none may be open. For the
// owner only.
func (b *Box) Form(work int) (more bool, err error) {
	for at := 0; at < len(b.forms) && work > 0; {
		f := b.forms[at]
		ix, known := b.formed(f)
		switch {
		case !known:
			b.forms = slices.Delete(b.forms, at, at+1)
			continue
		case ix == nil: // an undecided change of the schema has ended it, which may be void
			at++
			continue
		}
		if work, more, err = b.formOn(f, ix, work); more && err == nil {
			continue
		}
		b.forms = slices.Delete(b.forms, at, at+1)
		if err != nil {
			return len(b.forms) > 0, fmt.Errorf("index '%s' of space '%s': %w", ix.name, b.head.spaces[f.space].name, err)
		}
		// Readers of states from before may still miss versions in it.
		ix.tree.forming, ix.tree.since = nil, b.confirmed
	}
	return slices.ContainsFunc(b.forms, func(f *forming) bool { ix, _ := b.formed(f); return ix != nil }), nil
}

// Forms tells whether indexes are being formed. Safe for readers.
func (b *Box) Forms() bool { return len(b.forms) > 0 }

// formed finds the index that is being formed, for the newest transactions; known: at least the
// confirmed dictionary has it.
func (b *Box) formed(f *forming) (ix *index, known bool) {
	of := func(s *Schema) *index {
		if sp := s.spaces[f.space]; sp != nil {
			if ix := sp.index(f.index); ix != nil && ix.tree == f.tree {
				return ix
			}
		}
		return nil
	}
	ix = of(b.head)
	return ix, ix != nil || of(b.dict) != nil
}

// formOn passes entries of the primary index until about work units are spent.
func (b *Box) formOn(f *forming, ix *index, work int) (left int, more bool, err error) {
	sp := b.head.spaces[f.space]
	pk := sp.primary()
	if pk.tree != f.primary {
		f.primary, f.key, f.done = pk.tree, nil, 0
	}
	at := pk.first()
	if f.key != nil {
		p := pk.keyProbe(f.key, len(pk.cmp))
		at = pk.seek(&p, true)
	}
	var last ref
	for ; at.leaf != 0 && work > 0; at = pk.next(at) {
		last = pk.refAt(at)
		f.done++
		work -= 2 + len(b.mem.tuple(last))/bytesPerUnit
		if err := b.formChain(sp.format, ix, last); err != nil {
			return 0, false, err
		}
	}
	if last != 0 {
		f.key = pk.appendKey(f.key[:0], b.mem.tuple(last), len(pk.cmp))
	}
	return work, at.leaf != 0, nil
}

// formChain adds a tuple, and the versions of it that come back when what is undecided is
// void: the newest last, for the entry of several leads to it.
func (b *Box) formChain(fits *format, ix *index, r ref) error {
	if r == 0 || b.mem.end(r) <= b.confirmed {
		return nil // those below ended before
	}
	if err := b.formChain(fits, ix, b.mem.prev(r)); err != nil {
		return err
	}
	tuple := b.mem.tuple(r)
	if err := fits.check(tuple); err != nil {
		return err
	}
	ix.point(&walker{b: tuple}, r)
	return nil
}

// IndexLeftOut is an index that has no tree here, or one that is being formed.
type IndexLeftOut struct {
	Space, Index string
	Building     bool
	Percent      int // about, of one that is built
}

// IndexesLeftOut are those of confirmed spaces whose tuples are here, by the IDs of both. Safe for readers.
func (b *Box) IndexesLeftOut() (all []IndexLeftOut) {
	s := b.dict
	for _, id := range s.ids {
		sp := s.spaces[id]
		for _, u := range sp.unusable {
			if u.def != nil {
				all = append(all, IndexLeftOut{Space: sp.name, Index: u.name})
			}
		}
		for _, ix := range sp.indexes {
			if f := ix.tree.forming; f != nil {
				all = append(all, IndexLeftOut{sp.name, ix.name, true, f.percent()})
			}
		}
	}
	return all
}
