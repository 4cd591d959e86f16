package xlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// load finds out what there is after Open.
func (s *Store) load() error {
	for _, step := range []func() error{s.clearOld, s.loadCores, s.loadOwners, s.loadSlots, s.clearSlots} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) loadSlots() error {
	for i := range s.cores {
		c := &s.cores[i]
		if err := c.slot.load(); err != nil {
			if c.ID != 0 {
				err = fmt.Errorf("Core %d: %w", c.ID, err)
			}
			return err
		}
	}
	return nil
}

// ends are the positions of the oldest and the newest group; 0: the log is empty.
func (s *Store) ends() (first, last uint64, err error) {
	it, err := s.newIter(logKey(0), logEnd())
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = it.Close() }()
	if it.First() {
		first, _ = parseLogKey(it.Key())
	}
	if err := it.Error(); err != nil { // Last forgets it
		return 0, 0, s.readError("the log", err)
	}
	if it.Last() {
		last, _ = parseLogKey(it.Key())
	}
	if err := it.Error(); err != nil {
		return 0, 0, s.readError("the log", err)
	}
	return first, last, nil
}

// loadOwners finds out whose the groups of the log are: those behind the newest
// owner list say it themselves, the others the lists.
func (s *Store) loadOwners() error {
	first, last, err := s.ends()
	if err != nil || last == 0 {
		return err
	}
	s.last.Store(last)
	s.tail = last
	list, at, err := s.readTail(first, last)
	if err != nil {
		return err
	}
	var lists []uint64 // newest first
	for at != 0 {
		lists = append(lists, at)
		if list.back < first {
			break
		}
		at = list.back
		if list, err = s.listAt(at); err != nil {
			return err
		}
	}
	slices.Reverse(lists)
	upTo := first // all in front of it is placed, or gone
	for _, at := range lists {
		if list, err = s.listAt(at); err != nil {
			return err
		}
		for _, r := range list.runs {
			upTo = s.place(r, upTo)
		}
	}
	for _, r := range s.owners.next.runs {
		upTo = s.place(r, upTo)
	}
	if upTo != last+1 {
		return damaged("group at %d: whose it is cannot be told", upTo)
	}
	return nil
}

// place tells a slot where a run of it is, as far as that was not told before.
func (s *Store) place(r run, upTo uint64) uint64 {
	s.nextSlot = max(s.nextSlot, r.slot+1)
	if r.pos+r.n <= upTo {
		return upTo
	}
	if r.pos < upTo {
		known := upTo - r.pos
		r.no, r.pos, r.n = r.no+known, upTo, r.n-known
	}
	if sl := s.slots[r.slot]; sl != nil {
		sl.where.add(r)
	}
	return r.pos + r.n
}

// readTail reads the log from its end to the newest owner list, or to its
// beginning, and lets the appender go on from there.
func (s *Store) readTail(first, last uint64) (list *ownerList, at uint64, err error) {
	it, err := s.newIter(logKey(first), logEnd())
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = it.Close() }()
	o := &s.owners
	pos := last + 1
	for ok := it.Last(); ok && list == nil; ok = list == nil && it.Prev() {
		h, err := s.headOf(it, pos-1)
		if err != nil {
			return nil, 0, err
		}
		pos--
		o.groups++
		o.bytes += h.bytes
		o.addBefore(run{h.slot, h.no, pos, 1})
		list = h.list
	}
	if err := it.Error(); err != nil {
		return nil, 0, s.readError("the log", err)
	}
	slices.Reverse(o.next.runs)
	if list == nil {
		if pos != first {
			return nil, 0, atPosition(pos-1, damaged("missing"))
		}
		return nil, 0, nil
	}
	o.goOn(list, pos)
	return list, pos, nil
}

// addBefore takes runs from the newest on.
func (o *owners) addBefore(r run) {
	if n := len(o.next.runs); n > 0 {
		if behind := &o.next.runs[n-1]; r.follows(behind.slot, behind.no, behind.pos) {
			behind.no, behind.pos, behind.n = r.no, r.pos, r.n+behind.n
			return
		}
	}
	o.next.runs = append(o.next.runs, r)
}

// goOn joins what is behind a list to it.
func (o *owners) goOn(list *ownerList, at uint64) {
	o.next.back = at
	n := len(list.runs)
	if n == 0 {
		return
	}
	last, r := list.runs[n-1], &o.next.runs[0]
	if !last.follows(r.slot, r.no, r.pos) {
		return
	}
	r.no, r.pos, r.n = last.no, last.pos, r.n+last.n
	if n == 1 {
		o.next.back = list.back
	}
}

// headOf is the head of the group that an iterator stands at.
func (s *Store) headOf(it *pebble.Iterator, pos uint64) (h head, err error) {
	if found, ok := parseLogKey(it.Key()); !ok || found != pos {
		return h, atPosition(pos, damaged("missing"))
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return h, s.readError(fmt.Sprintf("the group at %d", pos), err)
	}
	return s.located(value, pos)
}

// located is the head of the group at a position.
func (s *Store) located(value []byte, pos uint64) (h head, err error) {
	h, _, err = decodeHead(value)
	if err == nil && h.list != nil && !h.list.located(pos) {
		err = damaged("bad owner list")
	}
	if err != nil {
		return h, atPosition(pos, err)
	}
	return h, nil
}

// listAt is the owner list of the group at a position, which must have one.
func (s *Store) listAt(pos uint64) (*ownerList, error) {
	value, closer, err := s.db.Get(logKey(pos))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, atPosition(pos, damaged("missing"))
	}
	if err != nil {
		return nil, s.readError(fmt.Sprintf("the group at %d", pos), err)
	}
	defer func() { _ = closer.Close() }()
	h, err := s.located(value, pos)
	if err == nil && h.list == nil {
		err = atPosition(pos, damaged("has no owner list"))
	}
	return h.list, err
}

// atPosition adds a position in the log to what went wrong.
func atPosition(pos uint64, err error) error {
	return fmt.Errorf("group at %d of the log: %w", pos, err)
}

// clearOld removes what an upgrade has left of format 1.
func (s *Store) clearOld() error {
	if s.readOnly {
		return nil
	}
	it, err := s.newIter(nil, oldEnd())
	if err != nil {
		return err
	}
	found := it.First()
	err = it.Error()
	if _ = it.Close(); err != nil {
		return s.readError("what there is of format 1", err)
	}
	if !found {
		return nil
	}
	return s.excise("remove what there is of format 1", []byte{0}, oldEnd())
}

// load finds the ends of the slot's log and its checkpoints.
func (sl *Slot) load() error {
	if err := sl.loadCheckpoints(); err != nil {
		return err
	}
	next, clock := uint64(1), sl.before
	if len(sl.ckpts) > 0 {
		next, clock = sl.ckpts[0].State.NextGroup, sl.ckpts[0].State.VClock
	}
	first, last := sl.where.ends()
	if next > last+1 && last > 0 {
		// The log lost its end (mode Write or None): what is left of it is
		// older than the checkpoint. It is passed over until it is pruned.
		sl.s.log(Warn, nil, "groups %d to %d are dropped: checkpoint %d goes on with %d", first, last, sl.ckpts[0].ID, next)
		sl.where, last = positions{}, 0
	}
	if last == 0 {
		sl.startAt(next, clock)
		return nil
	}
	sl.first = first
	sl.last.Store(last)
	if err := sl.clockBeforeFirst(); err != nil {
		return err
	}
	// after is that in front of a group that is not there: walk to the end.
	after, err := sl.clockBefore(last)
	if err != nil {
		return err
	}
	err = sl.walk(last, func(_ uint64, h head, table reader) (bool, error) {
		return false, follow(&after, h, table)
	})
	if next == last+1 {
		after = clock // a checkpoint that came by JOIN may be ahead
	}
	sl.after, sl.tail, sl.end = after, last, after
	return err
}
