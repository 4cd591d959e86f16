package box

import "fmt"

// Load puts a tuple of a checkpoint or a JOIN into a box that has seen no
// transaction yet. Tuples come in any order in which those of a system space come before
// what they define, as those of [View.Next] and of a JOIN do, and passed
// mp.Scan. In ascending primary-key order they load fastest. After an error the box is of no use.
func (b *Box) Load(space uint32, tuple []byte) error {
	if b.last != 0 {
		panic("box: Load behind a transaction")
	}
	b.loading = true
	sp, pk, err := b.dict.loadable(space, tuple)
	if err != nil {
		return err
	}
	r, err := b.mem.newVersion(0, 0, tuple)
	if err != nil {
		return err
	}
	if err := b.loadKey(sp, pk, tuple, r); err != nil {
		return err
	}
	sp.stats.rows++
	sp.stats.bytes += len(tuple)
	if !sp.system() {
		return nil
	}
	w := walker{b: tuple}
	for _, ix := range sp.indexes[1:] {
		ix.point(&w, r)
	}
	// The dictionary of an empty box is changed in place: nobody reads it yet.
	t := Txn{box: b, dict: b.dict}
	if err = t.trigger(&stmt{sp: sp, new: r}, actor{}); err == nil {
		err = t.settleWork()
	}
	for _, g := range t.dropped {
		b.garbage.add(b, g, 0)
	}
	b.version += t.schemaOps
	return err
}

// loadable finds where a tuple that is no statement's goes, and checks its shape.
func (s *Schema) loadable(id uint32, tuple []byte) (sp *space, pk *index, err error) {
	if sp, err = s.needSpace(id); err != nil {
		return nil, nil, err
	}
	if pk, err = sp.needIndex(0); err != nil {
		return nil, nil, err
	}
	if err := checkExts(tuple); err != nil {
		return nil, nil, err
	}
	return sp, pk, sp.format.check(tuple)
}

// loadKey adds a tuple to the primary index, without a search when it is the last.
func (b *Box) loadKey(sp *space, pk *index, tuple []byte, r ref) error {
	p := pk.tupleProbe(tuple)
	if last := pk.previous(place{}); last.leaf == 0 || pk.isBefore(last, &p) {
		pk.append(p.hint, r)
		return nil
	}
	var way path
	if pk.descend(&p, &way) {
		at := way.steps[pk.tree.height]
		return duplicate(sp, pk, b.mem.tuple(pk.pool.leaf(at.node).refs[at.slot]), tuple)
	}
	pk.insert(&way, p.hint, r)
	return nil
}

// isBefore tells whether an entry comes before the probe.
func (ix *index) isBefore(at place, p *probe) bool {
	if hint := ix.pool.leaf(at.leaf).hints[at.pos]; hint != p.hint {
		return hint < p.hint
	}
	return ix.compare(ix.refAt(at), p) < 0
}

// LoadDone builds the secondary indexes, but for those that are left out. No transaction may begin before it.
func (b *Box) LoadDone() error {
	b.loading = false
	t := Txn{box: b, dict: b.dict}
	t.align()
	for _, g := range t.dropped {
		b.garbage.add(b, g, 0)
	}
	t.setLimits()
	for _, id := range b.dict.ids {
		sp := b.dict.spaces[id]
		if sp.system() || len(sp.indexes) < 2 {
			continue
		}
		refs := sp.indexes[0].liveRefs()
		for _, ix := range sp.indexes[1:] {
			if old, with := ix.build(refs); with != 0 {
				return fmt.Errorf("load: %w", duplicate(sp, ix, b.mem.tuple(old), b.mem.tuple(with)))
			}
		}
	}
	return nil
}
