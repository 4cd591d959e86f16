package xlog

import (
	"bytes"
	"slices"

	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2"
)

// setLost puts voided rows into a batch of groups.
func (sl *Slot) setLost(b *pebble.Batch, rows []xrow.LostRow) error {
	for i := range rows {
		if err := b.Set(lostKey(sl.number, rows[i].Term, rows[i].Origin, rows[i].LSN), rows[i].Frame, nil); err != nil {
			return sl.s.writeError("encode a voided row", err)
		}
	}
	return nil
}

// PutLost keeps voided rows of another store; they are on disk when it returns.
// Those of our own log are written with the group that voids them, see
// [Journal.Append]. A row that is there already is written again.
func (sl *Slot) PutLost(rows []xrow.LostRow) error {
	if len(rows) == 0 {
		return nil
	}
	sl.s.metaMu.Lock()
	defer sl.s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return err
	}
	type pair struct{ key, frame []byte }
	pairs := make([]pair, len(rows))
	for i := range rows {
		pairs[i] = pair{lostKey(sl.number, rows[i].Term, rows[i].Origin, rows[i].LSN), rows[i].Frame}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	pairs = slices.CompactFunc(pairs, func(a, b pair) bool { return bytes.Equal(a.key, b.key) })
	w, err := sl.s.newTable()
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if err := w.set(p.key, p.frame); err != nil {
			return err
		}
	}
	path, err := w.finish()
	if err != nil {
		return err
	}
	return sl.s.ingest("keep voided rows", []string{path})
}

// EachLost goes over the voided rows by term, origin and LSN until f returns
// false. A frame is valid during the call.
func (sl *Slot) EachLost(f func(xrow.LostRow) bool) error { return sl.EachLostFrom(0, 0, 0, f) }

// EachLostFrom is EachLost from a name on.
func (sl *Slot) EachLostFrom(term uint64, origin uint32, lsn uint64, f func(xrow.LostRow) bool) error {
	if err := sl.usable(); err != nil {
		return err
	}
	it, err := sl.s.newIter(lostKey(sl.number, term, origin, lsn), lostStart(sl.number+1))
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		row := xrow.LostRow{}
		_, row.Term, row.Origin, row.LSN, ok = parseLostKey(it.Key())
		if row.Frame, err = it.ValueAndErr(); err != nil || !ok {
			return sl.s.readError("voided rows", err)
		}
		if !f(row) {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return sl.s.readError("voided rows", err)
	}
	return nil
}

// LostCount is how many voided transactions are kept of a term and an author.
type LostCount struct {
	Term   uint64
	Origin uint32
	Count  uint64
}

// CountLost calls f for each term and author of voided rows, in this order. It reads keys
// only, but all of them, until the store is closed or fails.
func (sl *Slot) CountLost(f func(LostCount)) error {
	if err := sl.usable(); err != nil {
		return err
	}
	it, err := sl.s.newIter(lostStart(sl.number), lostStart(sl.number+1))
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	var c LostCount
	for ok := it.First(); ok; ok = it.Next() {
		_, term, origin, _, _ := parseLostKey(it.Key())
		if c.Count > 0 && (c.Term != term || c.Origin != origin) {
			f(c)
			c.Count = 0
		}
		c = LostCount{term, origin, c.Count + 1}
		if c.Count%4096 == 0 && sl.usable() != nil {
			return sl.usable()
		}
	}
	if c.Count > 0 {
		f(c)
	}
	if err := it.Error(); err != nil {
		return sl.s.readError("voided rows", err)
	}
	return nil
}
