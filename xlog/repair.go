package xlog

import (
	"errors"
	"fmt"
	"slices"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// RepairReport is what Repair did.
type RepairReport struct {
	Before  *Report      `json:"before"`
	Done    bool         `json:"done"` // false: there was nothing to repair
	Cores   []CoreRepair `json:"cores"`
	Dropped []string     `json:"dropped"` // what was readable and is not in the new store
	Backup  string       `json:"backup"`  // where the damaged store is now
}

// CoreRepair is what the new store has of a Core.
type CoreRepair struct {
	ID          uint32 `json:"core"`
	First       uint64 `json:"first_group"`
	Last        uint64 `json:"last_group"`
	Checkpoints int    `json:"checkpoints"`
}

// Repair makes a new store of what is whole in a damaged one, of the present format
// or the one before it, and puts it in its place; the damaged one stays beside it.
// It keeps valid checkpoints and of each Core the stretch of the log that the newest
// of them goes on with (without one: the stretch from group 1). Former slots stay in the damaged store. The new store counts as one that may have lost rows.
// The store must not be in use. fs nil is the operating system's.
func Repair(fs vfs.FS, dir string) (*RepairReport, error) {
	if fs == nil {
		fs = osFS(0, 0)
	}
	s, err := survey(fs, dir)
	if err != nil {
		return nil, err
	}
	if s.raw.inUse {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	report := &RepairReport{Before: s.finish()}
	if report.Before.OK() {
		return report, nil
	}
	l, err := lock(fs, dir)
	if err != nil {
		return nil, err
	}
	fresh := dir + ".repaired"
	err = s.rebuild(fresh, report)
	if err = errors.Join(err, l.Close()); err != nil {
		return nil, fmt.Errorf("xlog: repair: %w", err)
	}
	if report.Backup, err = freeName(fs, dir+".damaged"); err != nil {
		return nil, err
	}
	if err := fs.Rename(dir, report.Backup); err != nil {
		return nil, fmt.Errorf("xlog: repair: %w", err)
	}
	if err := fs.Rename(fresh, dir); err != nil {
		return nil, fmt.Errorf("xlog: repair: the repaired store is %s, the damaged one %s: %w", fresh, report.Backup, err)
	}
	if err := syncDir(fs, fs.PathDir(dir)); err != nil {
		return nil, fmt.Errorf("xlog: repair: %w", err)
	}
	report.Done = true
	return report, nil
}

// freeName is the first of name, name.2, name.3 ... that is not there.
func freeName(fs vfs.FS, name string) (string, error) {
	for n, try := 2, name; ; n++ {
		if _, err := fs.Stat(try); oserror.IsNotExist(err) {
			return try, nil
		} else if err != nil {
			return "", fmt.Errorf("xlog: %w", err)
		}
		try = fmt.Sprintf("%s.%d", name, n)
	}
}

// rebuild writes the new store.
func (s *surveyor) rebuild(fresh string, report *RepairReport) error {
	fs := s.raw.fs
	if err := fs.RemoveAll(fresh); err != nil && !oserror.IsNotExist(err) {
		return err
	}
	to, err := Open(Options{Dir: fresh, FS: fs})
	if err != nil {
		return err
	}
	err = s.copyTo(to, report)
	if err == nil {
		to.card.lost = to.mayHaveLost(true)
		err = to.updateCard()
	}
	return errors.Join(err, to.Close())
}

func (s *surveyor) copyTo(to *Store, report *RepairReport) error {
	if !slices.ContainsFunc(s.present(), func(c CoreInfo) bool { return c.ID == 0 }) {
		return fmt.Errorf("%w: there is nothing left of the replica set", ErrNotFound)
	}
	c := copier{to: to, report: report, slots: map[uint32]*slotCopier{}}
	for _, core := range s.present() {
		if err := c.begin(s, core); err != nil {
			return err
		}
	}
	for _, f := range s.holders.formers() {
		c.drop("former %s", f)
	}
	return c.copy(s.raw, &visitor{group: c.group}, s.present())
}

// copy takes groups by a visitor, and then the rest.
func (c *copier) copy(from *rawStore, groups *visitor, cores []CoreInfo) error {
	if err := from.visit(groups); err != nil {
		return err
	}
	if err := from.visit(&visitor{chunk: c.chunk, end: c.end, meta: c.meta, lost: c.lost}); err != nil {
		return err
	}
	return c.finish(cores)
}

// choose tells which groups of a slot to keep, or, where the newest checkpoint has
// none, what state to begin with.
func (s *surveyor) choose(c CoreInfo) (keep stretch, base *State, err error) {
	slot := c.Slot
	newest, err := s.newestState(slot)
	if err != nil {
		return stretch{}, nil, err
	}
	next := uint64(1)
	if newest != nil {
		next = newest.NextGroup
	}
	for _, r := range s.of(slot).stretches {
		if r.first <= next && next <= r.last+1 {
			return r, nil, nil
		}
	}
	if newest == nil && (c.ID == 0 || s.of(slot).report.Groups > 0) {
		return stretch{}, nil, fmt.Errorf("%w: there is no valid checkpoint, and the log does not begin with group 1", ErrNotFound)
	}
	return stretch{first: next, last: next - 1}, newest, nil
}

// newestState is the state of the slot's valid checkpoint that goes on furthest.
func (s *surveyor) newestState(slot uint32) (newest *State, err error) {
	whole := s.of(slot).ckpts.whole
	err = s.raw.visit(&visitor{end: func(of uint32, id uint64, value []byte) error {
		end, err := decodeEnd(value)
		if err == nil && of == slot && slices.Contains(whole, id) && (newest == nil || end.state.NextGroup >= newest.NextGroup) {
			newest = &end.state
		}
		return nil
	}})
	return newest, err
}

// clockBefore is the vclock in front of a stretch, told by the first whole one in it.
func (s *surveyor) clockBefore(slot uint32, r stretch) (clock vclock.VClock, err error) {
	if r.last < r.first {
		return clock, nil
	}
	var between []head
	look := func(at uint64, value []byte, _ string) error {
		h, _, err := decodeHead(value)
		o := h.ownerAt(at)
		if err != nil || o.slot != slot || o.no < r.first || len(between) > 0 && between[len(between)-1].full {
			return nil
		}
		between = append(between, h)
		return nil
	}
	v := visitor{group: look}
	if s.holders.isFormer(slot) {
		v = visitor{kept: func(_ uint32, no uint64, value []byte, file string) error { return look(no, value, file) }}
	}
	err = s.raw.visit(&v)
	if err != nil {
		return clock, err
	}
	clock, ok := clockInFront(between)
	if !ok {
		return clock, damaged("no vclock in groups %d to %d", r.first, r.last)
	}
	return clock, nil
}

// copier copies what is whole to a new store.
type copier struct {
	to     *Store
	report *RepairReport
	slots  map[uint32]*slotCopier // by the number of the old slot
}

// slotCopier copies groups of one slot, then valid checkpoints and voided rows.
type slotCopier struct {
	to      *Slot
	keep    stretch
	clock   vclock.VClock // in front of the next group
	dropped uint64        // groups
	whole   []uint64      // IDs of valid checkpoints
	w       *CheckpointWriter
	copied  int // checkpoints
	voided  []xrow.LostRow
}

func (c *copier) begin(s *surveyor, core CoreInfo) error {
	to, err := c.to.AddCore(core.ID, core.Name)
	if err != nil {
		return err
	}
	sl := &slotCopier{to: to, whole: s.of(core.Slot).ckpts.whole}
	var base *State
	if sl.keep, base, err = s.choose(core); err != nil {
		return err
	}
	if base != nil {
		to.startAt(base.NextGroup, base.VClock)
	}
	sl.clock, err = s.clockBefore(core.Slot, sl.keep)
	c.slots[core.Slot] = sl
	return err
}

// kept takes a group of a former slot.
func (c *copier) kept(_ uint32, no uint64, value []byte, file string) error {
	return c.group(no, value, file)
}

func (c *copier) group(pos uint64, value []byte, _ string) error {
	h, _, err := decodeHead(value)
	if err != nil {
		return nil
	}
	o := h.ownerAt(pos)
	sl := c.slots[o.slot]
	if sl == nil {
		return nil
	}
	if o.no < sl.keep.first || o.no > sl.keep.last {
		sl.dropped++
		return nil
	}
	_, g, err := decodeValue(slices.Clone(value), sl.clock)
	if err != nil {
		return err
	}
	sl.clock = g.After
	return sl.to.appendAt(o.no, []*xrow.Group{g}, nil)
}

func (c *copier) chunk(slot uint32, id uint64, space uint32, value []byte) (err error) {
	sl := c.slots[slot]
	if sl == nil || !slices.Contains(sl.whole, id) {
		return nil
	}
	if sl.w == nil {
		if sl.w, err = sl.to.NewCheckpoint(); err != nil {
			return err
		}
	}
	tuples, err := checkChunk(value)
	if err != nil {
		return err
	}
	return eachTuple(tuples, func(tuple []byte) error { return sl.w.Add(space, tuple) })
}

func (c *copier) end(slot uint32, id uint64, value []byte) (err error) {
	sl := c.slots[slot]
	if sl == nil {
		return nil
	}
	if !slices.Contains(sl.whole, id) {
		c.drop("checkpoint %d", id)
		return nil
	}
	w := sl.w
	sl.w = nil
	if w == nil { // it has no tuples
		if w, err = sl.to.NewCheckpoint(); err != nil {
			return err
		}
	}
	end, err := decodeEnd(value)
	if err != nil {
		return err
	}
	if end.state.NextGroup > sl.to.Last()+1 || end.state.NextGroup < sl.to.First() {
		w.Abort()
		c.drop("checkpoint %d", id)
		return nil
	}
	sl.copied++
	_, err = w.Finish(end.state)
	return err
}

func (c *copier) meta(slot uint32, name string, value []byte) error {
	if sl := c.slots[slot]; sl != nil {
		return sl.to.SetMeta(name, value)
	}
	return nil
}

func (c *copier) lost(slot uint32, row xrow.LostRow) error {
	if sl := c.slots[slot]; sl != nil {
		row.Frame = slices.Clone(row.Frame)
		sl.voided = append(sl.voided, row)
	}
	return nil
}

func (c *copier) drop(format string, args ...any) {
	c.report.Dropped = append(c.report.Dropped, fmt.Sprintf(format, args...))
}

// finish keeps the voided rows and says what there is.
func (c *copier) finish(cores []CoreInfo) error {
	for _, core := range cores {
		sl := c.slots[core.Slot]
		if sl.dropped > 0 {
			c.drop("%d groups outside of %d to %d%s", sl.dropped, sl.keep.first, sl.keep.last, sl.to.ofCore())
		}
		if err := sl.to.PutLost(sl.voided); err != nil {
			return err
		}
		c.report.Cores = append(c.report.Cores, CoreRepair{core.ID, sl.to.First(), sl.to.Last(), sl.copied})
	}
	return nil
}
