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
	Before      *Report  `json:"before"`
	Done        bool     `json:"done"` // false: there was nothing to repair
	First       uint64   `json:"first_group"`
	Last        uint64   `json:"last_group"`
	Checkpoints int      `json:"checkpoints"`
	Dropped     []string `json:"dropped"` // what was readable and is not in the new store
	Backup      string   `json:"backup"`  // where the damaged store is now
}

// Repair makes a new store of what is whole in a damaged one and puts it in
// its place; the damaged one stays beside it. It keeps valid checkpoints and
// the stretch of the log that the newest of them goes on with (without one: the
// stretch from group 1). The new store counts as one that may have lost rows.
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
	err = s.copyTo(to.slot, report)
	if err == nil {
		to.card.lost = true
		err = to.updateCard()
	}
	return errors.Join(err, to.Close())
}

func (s *surveyor) copyTo(to *Slot, report *RepairReport) error {
	keep, base, err := s.choose()
	if err != nil {
		return err
	}
	if base != nil {
		to.startAt(base.NextGroup, base.VClock)
	}
	if err := s.copyGroups(to, keep, report); err != nil {
		return err
	}
	c := copier{to: to, report: report, whole: s.ckpts.whole}
	if err := s.raw.visit(&visitor{chunk: c.chunk, end: c.end, meta: to.SetMeta, lost: c.lost}); err != nil {
		return err
	}
	report.First, report.Last = to.First(), to.Last()
	return to.PutLost(c.voided)
}

// choose tells which run of groups to keep, or, where the newest checkpoint has
// none, what state to begin with.
func (s *surveyor) choose() (keep run, base *State, err error) {
	newest, err := s.newestState()
	if err != nil {
		return run{}, nil, err
	}
	next := uint64(1)
	if newest != nil {
		next = newest.NextGroup
	}
	for _, r := range s.runs {
		if r.first <= next && next <= r.last+1 {
			return r, nil, nil
		}
	}
	if newest == nil {
		return run{}, nil, fmt.Errorf("%w: there is no valid checkpoint, and the log does not begin with group 1", ErrNotFound)
	}
	return run{first: next, last: next - 1}, newest, nil
}

// newestState is the state of the valid checkpoint that goes on furthest.
func (s *surveyor) newestState() (newest *State, err error) {
	err = s.raw.visit(&visitor{end: func(id uint64, value []byte) error {
		end, err := decodeEnd(value)
		if err == nil && slices.Contains(s.ckpts.whole, id) && (newest == nil || end.state.NextGroup >= newest.NextGroup) {
			newest = &end.state
		}
		return nil
	}})
	return newest, err
}

// copyGroups appends the groups of a run.
func (s *surveyor) copyGroups(to *Slot, keep run, report *RepairReport) error {
	clock, err := s.clockBefore(keep)
	if err != nil {
		return err
	}
	dropped := uint64(0)
	err = s.raw.visit(&visitor{group: func(no uint64, value []byte, _ string) error {
		if no < keep.first || no > keep.last {
			dropped++
			return nil
		}
		g, err := decodeValue(slices.Clone(value), clock)
		if err != nil {
			return err
		}
		clock = g.After
		return to.appendAt(no, []*xrow.Group{g}, nil)
	}})
	if dropped > 0 {
		report.Dropped = append(report.Dropped, fmt.Sprintf("%d groups outside of %d to %d", dropped, keep.first, keep.last))
	}
	return err
}

// clockBefore is the vclock in front of a run, told by the first whole one in it.
func (s *surveyor) clockBefore(r run) (clock vclock.VClock, err error) {
	if r.last < r.first {
		return clock, nil
	}
	var between []head
	err = s.raw.visit(&visitor{group: func(no uint64, value []byte, _ string) error {
		if no < r.first || len(between) > 0 && between[len(between)-1].full {
			return nil
		}
		h, _, err := decodeHead(value)
		between = append(between, h)
		return err
	}})
	if err != nil {
		return clock, err
	}
	clock, ok := clockInFront(between)
	if !ok {
		return clock, damaged("no vclock in groups %d to %d", r.first, r.last)
	}
	return clock, nil
}

// copier copies valid checkpoints and voided rows.
type copier struct {
	to     *Slot
	report *RepairReport
	whole  []uint64
	w      *CheckpointWriter
	voided []xrow.LostRow
}

func (c *copier) chunk(id uint64, space uint32, value []byte) (err error) {
	if !slices.Contains(c.whole, id) {
		return nil
	}
	if c.w == nil {
		if c.w, err = c.to.NewCheckpoint(); err != nil {
			return err
		}
	}
	tuples, err := checkChunk(value)
	if err != nil {
		return err
	}
	return eachTuple(tuples, func(tuple []byte) error { return c.w.Add(space, tuple) })
}

func (c *copier) end(id uint64, value []byte) (err error) {
	if !slices.Contains(c.whole, id) {
		c.report.Dropped = append(c.report.Dropped, fmt.Sprintf("checkpoint %d", id))
		return nil
	}
	w := c.w
	c.w = nil
	if w == nil { // it has no tuples
		if w, err = c.to.NewCheckpoint(); err != nil {
			return err
		}
	}
	end, err := decodeEnd(value)
	if err != nil {
		return err
	}
	if end.state.NextGroup > c.to.Last()+1 || end.state.NextGroup < c.to.First() {
		w.Abort()
		c.report.Dropped = append(c.report.Dropped, fmt.Sprintf("checkpoint %d", id))
		return nil
	}
	c.report.Checkpoints++
	_, err = w.Finish(end.state)
	return err
}

func (c *copier) lost(row xrow.LostRow) error {
	row.Frame = slices.Clone(row.Frame)
	c.voided = append(c.voided, row)
	return nil
}
