package box

// overlay is what a draft has changed in a space.
//
// Invariant: an entry of the primary tree leads to the draft's own version of that key:
// a live one, or a dead one, which says that the draft has deleted it. Those of the
// other trees are live. A tuple of the space whose primary key has an entry is not seen.
type overlay struct {
	sp      *space
	indexes []*index // those of the space, over trees of the draft's own
}

// draftSeq is who makes the versions of drafts: no transaction has that number.
const draftSeq = noEnd - 1

// dead is the end of a version that its own draft has deleted.
const dead = 0

func (b *Box) newOverlay(sp *space) *overlay {
	o := &overlay{sp: sp, indexes: make([]*index, len(sp.indexes))}
	for i, ix := range sp.indexes {
		own := *ix
		own.tree = new(tree)
		o.indexes[i] = &own
	}
	o.begin(b)
	return o
}

// begin makes the overlay an empty one: it is new, or was freed.
func (o *overlay) begin(b *Box) {
	for _, ix := range o.indexes {
		*ix.tree = tree{root: b.nodes.newLeaf()}
	}
}

func (o *overlay) primary() *index { return o.indexes[0] }

// index is the draft's own tree beside an index of the space; nil: there is no overlay.
func (o *overlay) index(of *index) *index {
	if o == nil {
		return nil
	}
	for _, ix := range o.indexes {
		if ix.id == of.id {
			return ix
		}
	}
	return nil
}

// hides tells whether the overlay has its own word on the primary key of a tuple.
func (o *overlay) hides(tuple []byte) bool {
	if o == nil {
		return false
	}
	p := o.primary().tupleProbe(tuple)
	var way path
	return o.primary().descend(&p, &way)
}

// put makes r the version of its primary key, and returns the one that it had; 0: none.
func (o *overlay) put(r ref) (was ref) {
	pk := o.primary()
	w := walker{b: pk.mem.tuple(r)}
	p := pk.walkerProbe(&w)
	var way path
	if pk.descend(&p, &way) {
		at := way.steps[pk.tree.height]
		was = pk.refAt(place{at.node, at.slot})
		if pk.mem.live(was) {
			o.unlist(was)
		}
		pk.set(&way, r)
	} else {
		pk.insert(&way, p.hint, r)
	}
	if pk.mem.live(r) {
		for _, ix := range o.indexes[1:] {
			ix.point(&w, r)
		}
	}
	return was
}

// unlist takes a version out of all trees but the primary one.
func (o *overlay) unlist(r ref) {
	for _, ix := range o.indexes[1:] {
		ix.unpoint(r, 0)
	}
}

// free gives all of it back, by and by.
func (o *overlay) free(b *Box) {
	for i, ix := range o.indexes {
		b.garbage.dismantle(b, garbage{ix: ix, data: i == 0})
	}
}
