package instance

import (
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// What is dropped leaves the lists of all filters in the transaction that drops it,
// whoever drops it and by whichever statement: the rows of the transaction tell, not
// the statements. A space that is made leaves them too: it may have the ID of one that
// was dropped where nobody looked, by a Tarantool that led. So in its newest version a
// filter never names something else than what was meant.

// defined is what the rows of a transaction have made or dropped.
type defined struct {
	spaces    []uint32    // made or dropped
	indexes   [][2]uint32 // dropped
	sequences []uint32    // dropped
}

func (c *Core) defined(rows []box.LogRow) (d defined) {
	for i := range rows {
		row := &rows[i].DML
		dropped := row.Type == xrow.Delete
		switch row.SpaceID {
		case xrow.SpaceSpace:
			if dropped {
				d.addSpace(keyPart(row.Key, 0))
			} else if id := keyPart(row.Tuple, 0); row.Type != xrow.Update && !c.box.HasSpace(id) {
				d.addSpace(id)
			}
		case xrow.SpaceIndex:
			if dropped {
				d.indexes = append(d.indexes, [2]uint32{keyPart(row.Key, 0), keyPart(row.Key, 1)})
			}
		case xrow.SpaceSequence:
			if dropped {
				d.sequences = append(d.sequences, keyPart(row.Key, 0))
			}
		}
	}
	return d
}

// addSpace leaves out those below the first of which a filter decides.
func (d *defined) addSpace(id uint32) {
	if id >= xrow.FirstUserSpace {
		d.spaces = append(d.spaces, id)
	}
}

// keyPart is an ID in a key, or in front of a tuple, that a transaction has taken.
func keyPart(key []byte, n int) uint32 {
	r := filterReader{b: key}
	r.array()
	for range n {
		r.uint()
	}
	return uint32(r.uint())
}

// concerns tells whether a filter names any of it, or is to name it.
func (d *defined) concerns(f *Filter, s *box.Schema) bool {
	return slices.ContainsFunc(d.spaces, func(id uint32) bool {
		sp, _ := s.Named(id)
		return f.Has(id) != (f.New || sp.Own)
	}) || slices.ContainsFunc(d.indexes, func(ix [2]uint32) bool {
		_, listed := slices.BinarySearchFunc(f.Indexes, ix, compareIndexes)
		return listed
	}) || slices.ContainsFunc(d.sequences, func(id uint32) bool {
		_, listed := slices.BinarySearch(f.Sequences, id)
		return listed
	})
}

// tidyFilters has the filters follow what a transaction of ours has made and dropped.
// Where nobody leads nobody could decide their rows: then they stay as they are.
func (c *Core) tidyFilters(tx *box.Txn) error {
	if !c.lead.leading {
		return nil
	}
	d := c.defined(tx.Rows())
	if len(d.spaces)+len(d.indexes)+len(d.sequences) == 0 {
		return nil
	}
	k := openCatalogue(tx)
	for _, tuple := range k.rows {
		was := readFilter(tuple)
		if was == nil || !d.concerns(was, tx.Schema()) {
			continue
		}
		f := was.copy()
		e := k.edit(f)
		for _, id := range d.spaces {
			sp, _ := e.schema.Named(id)
			e.give(id, f.New || sp.Own)
		}
		for _, ix := range d.indexes {
			delete(e.unbuilt, ix)
		}
		for _, id := range d.sequences {
			delete(e.refused, id)
		}
		e.finish()
		if err := k.put(f, was); err != nil {
			return err
		}
	}
	return nil
}
