package xlog

import (
	"fmt"
	"math"

	"tarragon.dev/tarragon/vclock"

	"github.com/cockroachdb/pebble/v2"
)

// clockBeforeFirst finds s.before. The first whole vclock behind it says it of
// all authors but those of the groups between, and these groups themselves say
// what came before them.
func (sl *Slot) clockBeforeFirst() error {
	var between []head
	err := sl.walk(sl.first, func(_ uint64, h head, _ reader) (bool, error) {
		between = append(between, h)
		return !h.full && len(between) <= anchorEvery, nil
	})
	if err != nil {
		return err
	}
	clock, ok := clockInFront(between)
	if !ok {
		return damaged("group %d: no vclock before it or in the groups behind it", sl.first)
	}
	sl.before = clock
	return nil
}

// clockInFront is the vclock in front of the first of the groups, of which the
// last one has a whole vclock.
func clockInFront(groups []head) (clock vclock.VClock, ok bool) {
	n := len(groups) - 1
	if n < 0 || !groups[n].full {
		return clock, false
	}
	clock = groups[n].before
	for i := n - 1; i >= 0; i-- {
		groups[i].raise(&clock)
	}
	return clock, true
}

// Prune drops groups that nobody needs: those in front of group before, where the
// other Cores need none of what lies there. The newest group stays, unless the newest
// checkpoint stands behind it. Space is given back in whole tables, so some groups
// that nobody needs may stay; First tells. Readers that are behind get a gap.
//
// A Core needs all that it has before it has called Prune once.
func (sl *Slot) Prune(before uint64) error {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return err
	}
	if err := s.partTables(); err != nil {
		return err
	}
	if last := sl.last.Load(); before > last && (len(sl.ckpts) == 0 || sl.ckpts[0].State.NextGroup != last+1) {
		before = last
	}
	sl.mu.Lock()
	sl.need = before
	sl.mu.Unlock()
	return s.prune()
}

// needs is the position of the oldest group that the Core needs; none: it needs
// nothing of what there is.
func (sl *Slot) needs() uint64 {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	r, ok := sl.where.find(max(sl.need, sl.first))
	if !ok {
		return noPosition
	}
	return r.pos + max(sl.need, sl.first) - r.no
}

const noPosition = math.MaxUint64

// prune drops tables in front of the least position that any slot needs.
func (s *Store) prune() error {
	least := s.last.Load()
	for _, sl := range s.slots {
		least = min(least, sl.needs())
	}
	boundary, err := s.tableBoundary(least)
	if err != nil || boundary == 0 {
		return err
	}
	var cuts []cut
	for _, sl := range s.slots {
		c, ok, err := sl.cutAt(boundary)
		if err != nil || !ok {
			return err
		}
		if c.first > c.was {
			cuts = append(cuts, c)
		}
	}
	if !s.show(cuts) {
		return nil // the next call finds more
	}
	for i := range cuts {
		c := &cuts[i]
		s.log(Info, nil, "log%s: groups %d to %d removed", c.slot.ofCore(), c.was, c.first-1)
	}
	return s.excise("remove groups", logKey(0), logKey(boundary))
}

// cut is where the log of a slot begins when tables were dropped.
type cut struct {
	slot       *Slot
	was, first uint64
	seen       uint64 // Last, when that was looked at
	before     vclock.VClock
}

// cutAt looks for the beginning of a slot's log at a position or behind it; not ok:
// the next Open would not find the vclock in front of it.
func (sl *Slot) cutAt(pos uint64) (c cut, ok bool, err error) {
	sl.mu.Lock()
	c = cut{slot: sl, was: sl.first, first: sl.first, seen: sl.last.Load(), before: sl.before}
	first, found := sl.where.from(pos)
	if !found {
		first = c.seen + 1
	}
	after := sl.after
	sl.mu.Unlock()
	switch {
	case first <= c.first:
		return c, true, nil
	case !found:
		c.first, c.before = first, after
		return c, true, nil
	}
	c.first = first
	if c.before, err = sl.clockBefore(first); err != nil {
		return c, false, err
	}
	ok, err = sl.hasAnchor(first)
	return c, ok, err
}

// show lets readers see the new beginnings; false: a slot that was to be empty has
// got a group.
func (s *Store) show(cuts []cut) bool {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	for i := range cuts {
		if c := &cuts[i]; c.first > c.seen && c.slot.last.Load() != c.seen {
			return false
		}
	}
	for i := range cuts {
		c := &cuts[i]
		c.slot.mu.Lock()
		c.slot.first, c.slot.before = c.first, c.before
		c.slot.where.drop(c.first)
		c.slot.mu.Unlock()
	}
	return true
}

// HeldBack is how many bytes of the log are there for this Core alone: no other one
// needs them any more.
func (sl *Slot) HeldBack() (bytes uint64, err error) {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := sl.usable(); err != nil {
		return 0, err
	}
	mine, others := sl.needs(), s.last.Load()
	for _, other := range s.slots {
		if other != sl {
			others = min(others, other.needs())
		}
	}
	if len(s.slots) < 2 || mine >= others {
		return 0, nil
	}
	if bytes, err = s.db.EstimateDiskUsage(logKey(mine), logKey(others)); err != nil {
		return 0, s.readError("sizes of tables", err)
	}
	return bytes, nil
}

// partTables brings all voided rows into one table of their own once some have
// come into a table of the log, with the groups that voided them: such a table
// overlaps others, and would keep its space for their sake also when its groups
// are gone.
func (s *Store) partTables() error {
	if mixed, err := s.mixedTable(); err != nil || !mixed {
		return err
	}
	s.appendMu.Lock() // none may be added between reading and replacing them
	defer s.appendMu.Unlock()
	span := pebble.KeyRange{Start: lostStart(0), End: lostEnd()}
	if err := s.checkEdges(span); err != nil {
		return err
	}
	path, err := s.copyToTable(span)
	if err != nil {
		return err
	}
	return s.ingestAndExcise("part tables", []string{path}, span)
}

// copyToTable writes a table with all that is in a span.
func (s *Store) copyToTable(span pebble.KeyRange) (path string, err error) {
	it, err := s.newIter(span.Start, span.End)
	if err != nil {
		return "", err
	}
	defer func() { _ = it.Close() }()
	w, err := s.newTable()
	if err != nil {
		return "", err
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			w.abort()
			return "", s.readError("a table", err)
		}
		if err := w.set(it.Key(), value); err != nil {
			return "", err
		}
	}
	if err := it.Error(); err != nil {
		w.abort()
		return "", s.readError("a table", err)
	}
	return w.finish()
}

// mixedTable tells whether a table has voided rows behind groups, or had when it
// was cut.
func (s *Store) mixedTable() (bool, error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return false, s.readError("tables", err)
	}
	for _, tables := range levels {
		for i := range tables {
			t := &tables[i]
			if t.Largest.UserKey[0] == spaceLost && (t.Virtual || t.Smallest.UserKey[0] != spaceLost) {
				return true, nil
			}
		}
	}
	return false, nil
}

// tableBoundary is the position behind the newest group in a table that has only
// groups in front of a position; 0: there is none.
func (s *Store) tableBoundary(before uint64) (uint64, error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return 0, s.readError("tables", err)
	}
	boundary := uint64(0)
	for _, tables := range levels {
		for i := range tables {
			if pos, ok := parseLogKey(tables[i].Largest.UserKey); ok && pos < before {
				boundary = max(boundary, pos+1)
			}
		}
	}
	return boundary, nil
}

// hasAnchor tells whether a whole vclock is near enough behind group no for
// clockBeforeFirst to find it after the next Open.
func (sl *Slot) hasAnchor(no uint64) (found bool, err error) {
	left := anchorEvery
	err = sl.walk(no, func(_ uint64, h head, _ reader) (bool, error) {
		left--
		found = h.full
		return !found && left > 0, nil
	})
	if err != nil {
		return false, fmt.Errorf("xlog: prune: %w", err)
	}
	return found, nil
}
