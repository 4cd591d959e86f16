package xlog

import (
	"context"
	"fmt"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2"
)

// load finds the ends of the log and the checkpoints after Open.
func (sl *Slot) load() error {
	if err := sl.loadCheckpoints(); err != nil {
		return err
	}
	first, last, err := sl.ends()
	if err != nil {
		return err
	}
	next, clock := uint64(1), vclock.VClock{}
	if len(sl.ckpts) > 0 {
		next, clock = sl.ckpts[0].State.NextGroup, sl.ckpts[0].State.VClock
	}
	if next > last+1 && last > 0 {
		// The log lost its end (mode Write or None): what is left of it is
		// older than the checkpoint.
		sl.s.log(Warn, nil, "groups %d to %d are dropped: checkpoint %d goes on with %d", first, last, sl.ckpts[0].ID, next)
		if err := sl.s.excise("remove groups", logKey(0), logEnd()); err != nil {
			return err
		}
		last = 0
	}
	if last == 0 {
		sl.startAt(next, clock)
		return nil
	}
	sl.first = first
	if err := sl.clockBeforeFirst(); err != nil {
		return err
	}
	// after is that in front of a group that is not there: walk to the end.
	sl.last.Store(last)
	if sl.after, err = sl.clockBefore(last); err != nil {
		return err
	}
	err = sl.walk(last, func(_ uint64, h head, table reader) (bool, error) {
		return false, follow(&sl.after, h, table)
	})
	if next == last+1 {
		sl.after = clock // a checkpoint that came by JOIN may be ahead
	}
	sl.tail, sl.end = last, sl.after
	return err
}

// ends are the numbers of the oldest and the newest group; 0: the log is empty.
func (sl *Slot) ends() (first, last uint64, err error) {
	it, err := sl.s.newIter(logKey(0), logEnd())
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = it.Close() }()
	if it.First() {
		first, _ = parseLogKey(it.Key())
	}
	if err := it.Error(); err != nil { // Last forgets it
		return 0, 0, sl.s.readError("the log", err)
	}
	if it.Last() {
		last, _ = parseLogKey(it.Key())
	}
	if err := it.Error(); err != nil {
		return 0, 0, sl.s.readError("the log", err)
	}
	return first, last, nil
}

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

// Prune drops groups below a number, never the newest one. Space is given back
// in whole tables, so some groups below it may stay; First tells. Readers that
// are behind get a gap.
func (sl *Slot) Prune(before uint64) error {
	if err := sl.s.writable(); err != nil {
		return err
	}
	if err := sl.s.partTables(); err != nil {
		return err
	}
	sl.s.metaMu.Lock()
	defer sl.s.metaMu.Unlock()
	boundary, err := sl.s.tableBoundary(min(before, sl.last.Load()))
	first := sl.First()
	if err != nil || boundary <= first {
		return err
	}
	clock, err := sl.clockBefore(boundary)
	if err != nil {
		return err
	}
	if ok, err := sl.hasAnchor(boundary); err != nil || !ok {
		return err
	}
	sl.mu.Lock()
	sl.first, sl.before = boundary, clock
	sl.mu.Unlock()
	sl.s.log(Info, nil, "log: groups %d to %d removed", first, boundary-1)
	return sl.s.excise("remove groups", logKey(0), logKey(boundary))
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
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	span := pebble.KeyRange{Start: lostKey(0, 0, 0), End: appendPrefix(nil, spaceLost+1)}
	if err := s.checkEdges(span); err != nil {
		return err
	}
	w, err := s.newTable()
	if err != nil {
		return err
	}
	if err := s.slot.EachLost(func(row xrow.LostRow) bool {
		err = w.set(lostKey(row.Term, row.Origin, row.LSN), row.Frame)
		return err == nil
	}); err != nil {
		w.abort()
		return err
	}
	if err != nil {
		return err
	}
	path, err := w.finish()
	if err != nil {
		return err
	}
	_, err = s.db.IngestAndExcise(context.Background(), []string{path}, nil, nil, span)
	return s.writeError("part tables", err)
}

// mixedTable tells whether a table has voided rows behind groups, or had when it
// was cut at the key of a named value.
func (s *Store) mixedTable() (bool, error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return false, s.readError("tables", err)
	}
	for _, tables := range levels {
		for i := range tables {
			t := &tables[i]
			if hasPrefix(t.Largest.UserKey, spaceLost) && (t.Virtual || !hasPrefix(t.Smallest.UserKey, spaceLost)) {
				return true, nil
			}
		}
	}
	return false, nil
}

// tableBoundary is the number behind the newest group in a table that has only
// groups below before; 0: there is none.
func (s *Store) tableBoundary(before uint64) (uint64, error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return 0, s.readError("tables", err)
	}
	boundary := uint64(0)
	for _, tables := range levels {
		for i := range tables {
			if no, ok := parseLogKey(tables[i].Largest.UserKey); ok && no < before {
				boundary = max(boundary, no+1)
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
