package box

import (
	"bytes"

	"tarragon.dev/tarragon/xrow"
)

// statement executes a DML on a space and leaves a stmt behind when a tuple
// changed. Nothing is changed when it fails.
func (t *Txn) statement(sp *space, d *xrow.DML) (s stmt, result []byte, err error) {
	if sp.engine == engineSysview || sp.view {
		return s, nil, xrow.Errorf(xrow.ErrViewIsRO, sp.name)
	}
	if sp.engine == engineService {
		return s, nil, settingsRefuse(d.Type)
	}
	for _, b := range [...][]byte{d.Key, d.Tuple, d.Ops} {
		if err := checkExts(b); err != nil {
			return s, nil, err
		}
	}
	indexID := d.IndexID
	if d.Type != xrow.Update && d.Type != xrow.Delete {
		indexID = 0 // Tarantool does not look at it
	}
	ix, err := sp.needIndex(indexID)
	if err != nil {
		return s, nil, err
	}
	if t.hooked != nil {
		if t.hooked.op = d.Type; len(t.hooked.Before) > 0 {
			if d, err = t.before(sp, ix, d); err != nil {
				return s, nil, err
			}
		}
		switch t.hooked.instead {
		case nil:
		case &nop:
			return s, nil, nil
		default:
			ix = sp.primary()
		}
	}
	switch d.Type {
	case xrow.Insert, xrow.Replace:
		s, err = t.put(sp, d.Tuple, d.Type == xrow.Insert)
		if err == nil {
			result = t.box.mem.tuple(s.new)
		}
		return s, result, err
	case xrow.Update:
		return t.update(sp, ix, d)
	case xrow.Delete:
		return t.delete(sp, ix, d)
	case xrow.Upsert:
		s, err = t.upsert(sp, d)
		return s, nil, err
	}
	return s, nil, unsupported("rows of type " + d.Type.String() + " (space '" + sp.name + "')")
}

// updater prepares the box's updater for a statement.
func (b *Box) updater(sp *space, d *xrow.DML, lenient bool) *updater {
	u := &b.updates
	u.format, u.base, u.lenient, u.maxSize = sp.format, int64(d.IndexBase), lenient, b.config.MaxTupleSize
	return u
}

// lookup finds the live tuple of a full key of a unique index.
func (t *Txn) lookup(sp *space, ix *index, key []byte) (ref, error) {
	values, _, err := ix.checkKey(key, true)
	if err != nil {
		return 0, aboutIndex(err, sp, ix)
	}
	if t.draft != nil {
		return t.draft.find(sp, ix, values, 0), nil
	}
	r, by := ix.find(values)
	t.saw.look(t, sp, by)
	return r, nil
}

func (t *Txn) update(sp *space, ix *index, d *xrow.DML) (s stmt, result []byte, err error) {
	old, err := t.lookup(sp, ix, d.Key)
	if err != nil || old == 0 {
		return s, nil, err
	}
	u := t.box.updater(sp, d, false)
	t.work, err = u.apply(t.work[:0], t.box.mem.tuple(old), d.Tuple)
	if err != nil {
		return s, nil, aboutIndex(err, sp, ix)
	}
	if err := t.checkTuple(sp, t.work); err != nil {
		return s, nil, aboutIndex(err, sp, ix)
	}
	if pk := sp.primary(); !pk.keepsKey(t.box.mem.tuple(old), t.work) {
		if other := t.present(sp, t.work); other != 0 {
			return s, nil, duplicate(sp, pk, t.box.mem.tuple(other), t.work)
		}
		return s, nil, cantUpdateKey(sp, t.box.mem.tuple(old), t.work)
	}
	s, err = t.store(sp, t.work, false)
	if err == nil {
		result = t.box.mem.tuple(s.new)
	}
	return s, result, err
}

func (t *Txn) delete(sp *space, ix *index, d *xrow.DML) (s stmt, result []byte, err error) {
	old, err := t.lookup(sp, ix, d.Key)
	if err != nil || old == 0 {
		return s, nil, err
	}
	s = stmt{sp: sp, old: old}
	if t.draft != nil {
		if t.hooked != nil {
			err = t.onReplace(sp, old, 0)
		}
		if err == nil {
			err = t.draft.bury(sp, old)
		}
		return s, t.box.mem.tuple(old), err
	}
	t.box.mem.setEnd(old, t.seq)
	sp.stats.touched = t.seq
	t.stmts = append(t.stmts, s)
	return s, t.box.mem.tuple(old), nil
}

// upsert inserts the tuple, or applies the operations to the one that is there.
// Operations that do not fit it are left out, and so is all if the primary key
// would change; what remains must have the space's shape.
func (t *Txn) upsert(sp *space, d *xrow.DML) (s stmt, err error) {
	if err := t.checkTuple(sp, d.Tuple); err != nil {
		return s, aboutSpace(err, sp)
	}
	u := t.box.updater(sp, d, true)
	if err := u.check(d.Ops); err != nil {
		return s, aboutSpace(err, sp)
	}
	pk := sp.primary()
	old := t.present(sp, d.Tuple)
	if old == 0 {
		return t.store(sp, d.Tuple, true)
	}
	before := t.box.mem.tuple(old)
	if t.work, err = u.apply(t.work[:0], before, d.Ops); err != nil {
		return s, aboutSpace(err, sp)
	}
	if bytes.Equal(t.work, before) {
		return stmt{sp: sp}, nil
	}
	if err := t.checkTuple(sp, t.work); err != nil {
		if sp.engine == engineVinyl { // it does the operations later and leaves out what fails
			return stmt{sp: sp}, nil
		}
		return s, aboutSpace(err, sp)
	}
	if !pk.keepsKey(before, t.work) {
		return stmt{sp: sp}, nil
	}
	return t.store(sp, t.work, false)
}

// present is the live tuple that has the primary key of another one; 0: none.
func (t *Txn) present(sp *space, tuple []byte) ref {
	pk := sp.primary()
	if t.draft != nil {
		return t.draft.findOf(sp, pk, tuple)
	}
	p := pk.tupleProbe(tuple)
	var way path
	if pk.descend(&p, &way) {
		at := way.steps[pk.tree.height]
		r := pk.refAt(place{at.node, at.slot})
		t.saw.look(t, sp, t.box.mem.madeBy(r))
		if t.box.mem.live(r) {
			return r
		}
	}
	r, by := pk.rivalOf(tuple, 0)
	t.saw.look(t, sp, by)
	return r
}

// checkTuple tells whether a tuple may be stored in a space.
func (t *Txn) checkTuple(sp *space, tuple []byte) error {
	if err := sp.format.check(tuple); err != nil {
		return about(err, "tuple", xrow.Raw(tuple))
	}
	if versionHead+len(tuple) > t.box.config.MaxTupleSize {
		return tooLarge(len(tuple), t.box.config.MaxTupleSize)
	}
	return nil
}

// put stores a tuple as INSERT or REPLACE do.
func (t *Txn) put(sp *space, tuple []byte, insert bool) (stmt, error) {
	if err := t.checkTuple(sp, tuple); err != nil {
		return stmt{}, aboutSpace(err, sp)
	}
	return t.store(sp, tuple, insert)
}

// store makes tuple the newest version of its primary key. It fails before it
// changes anything.
func (t *Txn) store(sp *space, tuple []byte, insert bool) (s stmt, err error) {
	if t.draft != nil {
		return t.draft.store(sp, tuple, insert)
	}
	mem, pk := &t.box.mem, sp.indexes[0]
	p := pk.tupleProbe(tuple)
	var way path
	found := pk.descend(&p, &way)
	var top ref // newest version of the key, dead or alive
	if found {
		at := way.steps[pk.tree.height]
		top = pk.pool.leaf(at.node).refs[at.slot]
	}
	s = stmt{sp: sp}
	if mem.live(top) {
		s.old = top
	}
	t.saw.look(t, sp, mem.madeBy(top))
	if s.old == 0 && pk.mixes {
		r, by := pk.rivalOf(tuple, 0)
		t.saw.look(t, sp, by)
		s.old = r // has a place of its own in the tree
	}
	if insert && s.old != 0 {
		return s, duplicate(sp, pk, mem.tuple(s.old), tuple)
	}
	for _, ix := range sp.indexes[1:] {
		if !ix.unique {
			continue
		}
		r, by := ix.conflict(tuple, s.old)
		t.saw.look(t, sp, by)
		if r != 0 {
			return s, duplicate(sp, ix, mem.tuple(r), tuple)
		}
	}
	if t.bounded {
		if err := t.box.room(len(tuple), len(sp.indexes)); err != nil {
			return stmt{}, err
		}
	}
	if s.new, err = mem.newVersion(t.seq, top, tuple); err != nil {
		return stmt{}, err
	}
	sp.stats.touched = t.seq
	if found {
		pk.set(&way, s.new)
	} else {
		pk.insert(&way, p.hint, s.new)
	}
	w := walker{b: tuple}
	for _, ix := range sp.indexes[1:] {
		ix.point(&w, s.new)
	}
	if s.old != 0 {
		mem.setEnd(s.old, t.seq)
	}
	t.stmts = append(t.stmts, s)
	return s, nil
}

// point makes the entry of the walker's tuple lead to r.
func (ix *index) point(w *walker, r ref) {
	if ix.leavesOut(w.b) {
		return
	}
	p := ix.walkerProbe(w)
	var way path
	if ix.descend(&p, &way) {
		ix.set(&way, r)
	} else {
		ix.insert(&way, p.hint, r)
	}
}

// unpoint takes r out of the index: the entry that leads to it leads to the
// newest version below with the same key from now on, or goes.
func (ix *index) unpoint(r, below ref) {
	tuple := ix.mem.tuple(r)
	p := ix.tupleProbe(tuple)
	ix.unpointKey(&p, r, below)
}

// unpointKey is unpoint with the probe of r's tuple.
func (ix *index) unpointKey(p *probe, r, below ref) {
	tuple := p.data
	var way path
	if ix.leavesOut(tuple) || !ix.descendTo(p, r, &way) {
		return
	}
	at := way.steps[ix.tree.height]
	if ix.pool.leaf(at.node).refs[at.slot] != r {
		return
	}
	for ; below != 0; below = ix.mem.prev(below) {
		other := ix.mem.tuple(below)
		if !ix.leavesOut(other) && ix.sameKey(tuple, other) {
			ix.set(&way, below)
			return
		}
	}
	ix.remove(&way)
}

// undo takes a statement back; those after it were undone before.
func (b *Box) undo(s *stmt) {
	if s.new != 0 {
		below := b.mem.prev(s.new)
		for _, ix := range s.sp.indexes {
			ix.unpoint(s.new, below)
		}
		b.mem.freeVersion(s.new)
	}
	if s.old != 0 {
		b.mem.setEnd(s.old, noEnd)
	}
}

// settle is called when a statement is decided: counts change, and what it
// replaced is freed as soon as no view needs it.
func (b *Box) settle(s *stmt, seq uint64, byWrite bool) {
	if s.new != 0 {
		s.sp.stats.rows++
		s.sp.stats.bytes += len(b.mem.tuple(s.new))
	}
	if s.old == 0 {
		return
	}
	s.sp.stats.rows--
	s.sp.stats.bytes -= len(b.mem.tuple(s.old))
	if b.garbage.behind(b, seq, byWrite) {
		b.garbage.addVersion(b, s, seq, byWrite)
		return
	}
	b.freeOld(s)
}

// freeOld frees the version that a decided statement replaced or deleted, and
// tells how many indexes it looked at.
func (b *Box) freeOld(s *stmt) (indexes int) {
	pk := s.sp.indexes[0]
	old := walker{b: b.mem.tuple(s.old)}
	var now walker
	if s.new != 0 {
		now.b = b.mem.tuple(s.new)
	}
	for _, ix := range s.sp.indexes[1:] {
		p := ix.walkerProbe(&old)
		// Values that are equal have one hint.
		if s.new == 0 || p.hint != ix.walkerProbe(&now).hint || !ix.sameKey(old.b, now.b) {
			ix.unpointKey(&p, s.old, 0)
		}
	}
	if s.new != 0 && (!pk.mixes || pk.sameKey(b.mem.tuple(s.old), b.mem.tuple(s.new))) {
		b.mem.setPrev(s.new, 0)
	} else {
		b.unchain(pk, s.old)
	}
	b.mem.freeVersion(s.old)
	return len(s.sp.indexes)
}

// unchain takes a deleted version out of the primary index, or out of the chain
// below the tuple that was inserted after it.
func (b *Box) unchain(pk *index, r ref) {
	p := pk.tupleProbe(b.mem.tuple(r))
	var way path
	if !pk.descendTo(&p, r, &way) {
		return
	}
	at := way.steps[pk.tree.height]
	top := pk.pool.leaf(at.node).refs[at.slot]
	if top == r {
		pk.remove(&way)
		return
	}
	for ; top != 0; top = b.mem.prev(top) {
		if b.mem.prev(top) == r {
			b.mem.setPrev(top, 0)
			return
		}
	}
}

func cantUpdateKey(sp *space, old, new []byte) error {
	return xrow.Errorf(xrow.ErrCantUpdatePrimaryKey, sp.name, sp.id, xrow.Raw(old), xrow.Raw(new))
}

// duplicate is ER_TUPLE_FOUND.
func duplicate(sp *space, ix *index, old, new []byte) error {
	return xrow.Errorf(xrow.ErrTupleFound, ix.name, sp.name, tupleText(old), tupleText(new), xrow.Raw(old), xrow.Raw(new))
}
