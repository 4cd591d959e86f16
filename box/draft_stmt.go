package box

// find is the live tuple that the draft sees under a full unique key; 0: none. but is
// not looked at.
func (d *Draft) find(sp *space, ix *index, values []byte, but ref) ref {
	o := d.overlay(sp)
	if own := o.index(ix); own != nil {
		if r, _ := own.find(values); r != 0 && r != but {
			return r // whatever others have there
		}
	}
	s := d.looks.point(sp, ix, values)
	bound := d.boundOf(sp)
	for w := s.entries(nil); s.there(&w); s.step(&w) {
		top := ix.refAt(w.at)
		d.saw(sp, ix.mem.madeBy(top), bound)
		r := ix.visible(top, bound)
		if r == 0 || r == but || o.hides(ix.mem.tuple(r)) {
			continue
		}
		if len(s.keys) == 0 || ix.oneKey(&walker{b: ix.mem.tuple(r)}, values) {
			return r
		}
	}
	return 0
}

// findOf is find for the key that a tuple has.
func (d *Draft) findOf(sp *space, ix *index, tuple []byte) ref {
	d.key = ix.appendKey(d.key[:0], tuple, len(ix.parts))
	return d.find(sp, ix, d.key, 0)
}

// saw takes down who made what the draft sees.
func (d *Draft) saw(sp *space, by, bound uint64) {
	if by <= bound && !d.box.Seen(by) {
		d.tx.saw.look(&d.tx, sp, by)
	}
}

// overlay is what the draft has changed in a space; nil: nothing.
func (d *Draft) overlay(sp *space) *overlay {
	for _, o := range d.overlays {
		if o.sp == sp {
			return o
		}
	}
	return nil
}

// overlayOf is overlay for a space that is about to be changed.
func (d *Draft) overlayOf(sp *space) *overlay {
	o := d.overlay(sp)
	if o == nil {
		if o = d.spareOverlayOf(sp); o != nil {
			o.begin(d.box)
		} else {
			o = d.box.newOverlay(sp)
		}
		d.overlays = append(d.overlays, o)
	}
	return o
}

// store makes tuple the draft's own version of its primary key. It fails before it
// changes anything. A REPLACE does not look at what was there: it stands on nothing.
func (d *Draft) store(sp *space, tuple []byte, insert bool) (s stmt, err error) {
	mem, pk := &d.box.mem, sp.indexes[0]
	s.sp = sp
	if insert || pk.mixes || d.tx.hooked != nil {
		s.old = d.findOf(sp, pk, tuple)
	}
	if insert && s.old != 0 {
		return s, duplicate(sp, pk, mem.tuple(s.old), tuple)
	}
	if err := d.unique(sp, tuple); err != nil {
		return s, err
	}
	if d.tx.bounded {
		if err := d.box.room(len(tuple), len(sp.indexes)); err != nil {
			return stmt{}, err
		}
	}
	if s.new, err = mem.newVersion(draftSeq, 0, tuple); err != nil {
		return stmt{}, err
	}
	if d.tx.hooked != nil {
		err = d.tx.onReplace(sp, s.old, s.new)
	}
	if err == nil && s.old != 0 && !pk.sameKey(mem.tuple(s.old), tuple) {
		err = d.bury(sp, s.old)
	}
	if err != nil {
		mem.freeVersion(s.new)
		return stmt{}, err
	}
	d.drop(d.overlayOf(sp).put(s.new))
	return s, nil
}

// unique refuses a tuple of which another one has a unique key of a secondary index.
func (d *Draft) unique(sp *space, tuple []byte) error {
	for _, ix := range sp.indexes[1:] {
		if !ix.unique || ix.nullable && ix.hasNil(tuple, false) {
			continue
		}
		r := d.findOf(sp, ix, tuple)
		if r != 0 && !sp.primary().keepsKey(d.box.mem.tuple(r), tuple) {
			return duplicate(sp, ix, d.box.mem.tuple(r), tuple)
		}
	}
	return nil
}

// bury deletes a live tuple that the draft sees.
func (d *Draft) bury(sp *space, old ref) error {
	mem, o := &d.box.mem, d.overlayOf(sp)
	r, err := mem.newVersion(draftSeq, 0, mem.tuple(old))
	if err != nil {
		return err
	}
	mem.setEnd(r, dead)
	d.drop(o.put(r))
	return nil
}

// drop frees a version of the draft's own behind the present statement, whose answer may
// be its tuple.
func (d *Draft) drop(r ref) {
	if r != 0 {
		d.freed = append(d.freed, r)
	}
}
