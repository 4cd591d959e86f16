package xlog

import (
	"fmt"
	"io"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2"
)

// Last is the number of the newest synced group; 0: there was none yet. Where
// the log has no groups, but a checkpoint, it is the one before its NextGroup.
func (sl *Slot) Last() uint64 { return sl.last.Load() }

// First is the number of the oldest group, Last()+1 where there is none.
func (sl *Slot) First() uint64 {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	return sl.first
}

// Oldest is the vclock in front of the oldest group.
func (sl *Slot) Oldest() vclock.VClock {
	_, _, before, _ := sl.bounds()
	return before
}

// VClock is the vclock behind the newest group.
func (sl *Slot) VClock() vclock.VClock {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	return sl.after
}

// bounds is one consistent look at the ends of the log.
func (sl *Slot) bounds() (first, last uint64, before, after vclock.VClock) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	return sl.first, sl.last.Load(), sl.before, sl.after
}

// cursor goes over the groups of a slot by their numbers.
type cursor struct {
	slot *Slot
	it   *pebble.Iterator
	pos  uint64 // where it stands
	run  run    // that was looked up last
}

// value is that of a group, valid until the next call. An iterator sees what was
// there when it was made.
func (c *cursor) value(no uint64) (value []byte, err error) {
	s := c.slot.s
	if no < c.run.no || no >= c.run.no+c.run.n {
		if c.run, err = c.slot.runOf(no); err != nil {
			return nil, err
		}
	}
	pos := c.run.pos + no - c.run.no
	found := false
	switch {
	case c.it == nil:
	case pos == c.pos+1:
		found = c.it.Next()
	default:
		found = c.it.SeekGE(logKey(pos))
	}
	if !found {
		c.close()
		if c.it, err = s.newIter(logKey(pos), logEnd()); err != nil {
			return nil, err
		}
		found = c.it.First()
	}
	if err := c.it.Error(); err != nil {
		return nil, s.readError(fmt.Sprintf("group %d", no), err)
	}
	if c.pos = pos; found {
		at, ok := parseLogKey(c.it.Key())
		found = ok && at == pos
	}
	if !found {
		return nil, c.slot.missing(no)
	}
	if value, err = c.it.ValueAndErr(); err != nil {
		return nil, s.readError(fmt.Sprintf("group %d", no), err)
	}
	return value, nil
}

func (c *cursor) close() {
	if c.it != nil {
		_ = c.it.Close() // its error was seen by value
		c.it = nil
	}
}

// runOf finds the run that a group is in.
func (sl *Slot) runOf(no uint64) (run, error) {
	sl.mu.Lock()
	r, ok := sl.where.find(no)
	ok = ok && no >= sl.first
	sl.mu.Unlock()
	if !ok {
		return run{}, sl.missing(no)
	}
	return r, nil
}

// isFor tells whether a value is that of the slot's group.
func (h *head) isFor(sl *Slot, no uint64) error {
	if h.slot != sl.number || h.no != no {
		return damaged("is group %d of slot %d", h.no, h.slot)
	}
	return nil
}

// Reader reads groups in order while others are appended. It belongs to one
// goroutine and must be closed before the store.
type Reader struct {
	slot   *Slot
	next   uint64
	before vclock.VClock // in front of next
	known  bool          // before is set
	at     cursor
	left   int // groups until its iterator is given back
}

// readerSpan is how many groups are read from one iterator: it holds back the
// removal of tables and memtables that it may still need.
const readerSpan = 256

// Read starts a reader at group from, which may be one that is not there yet.
func (sl *Slot) Read(from uint64) *Reader {
	return &Reader{slot: sl, next: from, at: cursor{slot: sl}}
}

// Next reads a group. It answers io.EOF when all that is synced was read; a
// later call may find more. An error that wraps ErrGap says that the group is
// no longer there, one that wraps ErrCorrupt names the position of damage.
func (r *Reader) Next() (no uint64, g *xrow.Group, err error) {
	if err := r.slot.usable(); err != nil {
		r.Close()
		return 0, nil, err
	}
	first, last, _, _ := r.slot.bounds()
	if r.next > last {
		r.Close()
		return 0, nil, io.EOF
	}
	if r.next < first {
		r.Close()
		return 0, nil, r.slot.missing(r.next)
	}
	if !r.known {
		if r.before, err = r.slot.clockBefore(r.next); err != nil {
			return 0, nil, err
		}
		r.known = true
	}
	if g, err = r.read(); err != nil {
		r.Close()
		return 0, nil, err
	}
	r.next++
	r.before = g.After
	return r.next - 1, g, nil
}

func (r *Reader) read() (*xrow.Group, error) {
	if r.left == 0 {
		r.Close()
		r.left = readerSpan
	}
	r.left--
	value, err := r.at.value(r.next)
	if err != nil {
		return nil, err
	}
	h, g, err := decodeValue(append([]byte(nil), value...), r.before)
	if err == nil {
		err = h.isFor(r.slot, r.next)
	}
	if err != nil {
		return nil, at(r.next, err)
	}
	return g, nil
}

// Close gives the reader's resources back; Next takes them again.
func (r *Reader) Close() { r.at.close() }

// at adds a position to what went wrong with a group.
func at(no uint64, err error) error { return fmt.Errorf("group %d: %w", no, err) }

// clockBefore is the vclock in front of a group, no <= Last()+1.
func (sl *Slot) clockBefore(no uint64) (vclock.VClock, error) {
	first, last, before, after := sl.bounds()
	if no == last+1 {
		return after, nil
	}
	start := no - no%anchorEvery
	if start < first {
		start = first
	}
	v := before
	err := sl.walk(start, func(at uint64, h head, table reader) (bool, error) {
		if h.full {
			v = h.before
		}
		if at == no {
			return false, nil
		}
		return true, follow(&v, h, table)
	})
	return v, err
}

// follow raises v by the rows of a group.
func follow(v *vclock.VClock, h head, table reader) error {
	g := xrow.Group{Before: *v, After: *v, Table: make([]xrow.Ref, h.rows)}
	if !table.table(&g, h.bytes) {
		return damaged("bad row table of a group")
	}
	*v = g.After
	return nil
}

// walk goes over the heads of groups from number start on, which must be
// there, until f says stop.
func (sl *Slot) walk(start uint64, f func(no uint64, h head, table reader) (more bool, err error)) error {
	c := cursor{slot: sl}
	defer c.close()
	last := sl.last.Load()
	for no := start; no == start || no <= last; no++ {
		value, err := c.value(no)
		if err != nil {
			return err
		}
		h, table, err := decodeHead(value)
		if err == nil {
			err = h.isFor(sl, no)
		}
		more := false
		if err == nil {
			more, err = f(no, h, table)
		}
		if err != nil {
			return at(no, err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// missing tells why a group that was looked for is not there.
func (sl *Slot) missing(no uint64) error {
	if first := sl.First(); no < first {
		return fmt.Errorf("%w: group %d is asked for, the oldest is %d", ErrGap, no, first)
	}
	return at(no, damaged("missing"))
}

// Seek tells where a relay starts for a peer that holds v: the greatest group
// that has nothing but what v covers in front of it. A [GapError] says that
// rows beyond v are no longer in the log. Component 0 does not count.
func (sl *Slot) Seek(v *vclock.VClock) (group uint64, err error) {
	if err := sl.usable(); err != nil {
		return 0, err
	}
	first, last, before, after := sl.bounds()
	if !v.Covers(&before) {
		return 0, &GapError{Peer: v.Global(), Oldest: before.Global()}
	}
	if v.Covers(&after) {
		return last + 1, nil
	}
	start, err := sl.lastAnchor(v, first, last)
	if err != nil {
		return 0, err
	}
	// Where start is no anchor it is first, with before in front of it.
	group, err = sl.seekFrom(v, start, before, last)
	if err == nil && group > last { // a checkpoint put after further than the log goes
		err = &GapError{Peer: v.Global(), Oldest: after.Global()}
	}
	return group, err
}

// lastAnchor is the greatest anchor in [first, last] with a vclock that v
// covers, or first. Anchors' vclocks never go back, so it halves.
func (sl *Slot) lastAnchor(v *vclock.VClock, first, last uint64) (uint64, error) {
	low, high := first/anchorEvery, last/anchorEvery // an anchor's number / anchorEvery; low is covered, or first
	for low < high {
		mid := low + (high-low+1)/2
		covered := false
		err := sl.walk(mid*anchorEvery, func(no uint64, h head, _ reader) (bool, error) {
			if no != mid*anchorEvery || !h.full {
				return false, damaged("has no vclock")
			}
			covered = v.Covers(&h.before)
			return false, nil
		})
		if err != nil {
			return 0, err
		}
		if covered {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return max(low*anchorEvery, first), nil
}

// seekFrom goes on from a group that v covers what is before, group by group.
func (sl *Slot) seekFrom(v *vclock.VClock, start uint64, before vclock.VClock, last uint64) (uint64, error) {
	found, clock := last+1, before
	err := sl.walk(start, func(no uint64, h head, table reader) (bool, error) {
		if no > last {
			return false, nil
		}
		if h.full {
			if !v.Covers(&h.before) { // the clock jumps here
				return false, &GapError{Peer: v.Global(), Oldest: h.before.Global()}
			}
			clock = h.before
		}
		if err := follow(&clock, h, table); err != nil {
			return false, err
		}
		found = no
		return v.Covers(&clock), nil
	})
	if err == nil && v.Covers(&clock) {
		found = last + 1
	}
	return found, err
}
