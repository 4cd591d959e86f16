package xlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Report is what Verify found.
type Report struct {
	Dir         string         `json:"dir"`
	Format      uint64         `json:"format"`
	Mode        string         `json:"mode"`          // of the last opening
	MayHaveLost bool           `json:"may_have_lost"` // as far as the card tells
	InUse       bool           `json:"in_use"`        // a process has it open: the tail may move
	Tables      int            `json:"tables"`
	Journals    int            `json:"journals"`
	Cores       []CoreReport   `json:"cores"`
	Formers     []FormerReport `json:"former,omitempty"`
	Problems    []Problem      `json:"problems"`
	Notes       []string       `json:"notes,omitempty"`
}

// CoreReport tells of one Core.
type CoreReport struct {
	ID   uint32 `json:"core"`
	Name string `json:"name,omitempty"`
	SlotReport
}

// FormerReport tells of one former slot.
type FormerReport struct {
	Former
	SlotReport
}

// SlotReport tells what there is of a slot.
type SlotReport struct {
	Groups      uint64             `json:"groups"`
	Rows        uint64             `json:"rows"`
	First       uint64             `json:"first_group"`
	Last        uint64             `json:"last_group"`
	VClock      string             `json:"vclock"`
	Lost        uint64             `json:"voided_rows"`
	Checkpoints []CheckpointReport `json:"checkpoints"`
}

// CheckpointReport tells of one checkpoint.
type CheckpointReport struct {
	ID        uint64 `json:"id"`
	Tuples    uint64 `json:"tuples"`
	Bytes     uint64 `json:"bytes"`
	NextGroup uint64 `json:"next_group"`
	VClock    string `json:"vclock"`
	Term      uint64 `json:"term"`
	Problem   string `json:"problem,omitempty"`
}

// OK tells that nothing is damaged.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// String is the report as text.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: format %d, mode %s, %d tables, %d journals\n", r.Dir, r.Format, r.Mode, r.Tables, r.Journals)
	for i := range r.Cores {
		if r.Cores[i].ID != 0 {
			fmt.Fprintf(&b, "Core %d %s\n", r.Cores[i].ID, r.Cores[i].Name)
		}
		r.Cores[i].write(&b)
	}
	for i := range r.Formers {
		fmt.Fprintf(&b, "former %s\n", r.Formers[i].Former)
		r.Formers[i].write(&b)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "DAMAGE: %s\n", p)
	}
	if r.OK() {
		b.WriteString("no damage\n")
	}
	return b.String()
}

func (r *SlotReport) write(b *strings.Builder) {
	fmt.Fprintf(b, "log: groups %d to %d, %d groups, %d rows, vclock %s\n", r.First, r.Last, r.Groups, r.Rows, r.VClock)
	for _, c := range r.Checkpoints {
		state := "valid"
		if c.Problem != "" {
			state = c.Problem
		}
		fmt.Fprintf(b, "checkpoint %d: %d tuples, %d bytes, vclock %s, term %d, next group %d: %s\n",
			c.ID, c.Tuples, c.Bytes, c.VClock, c.Term, c.NextGroup, state)
	}
	fmt.Fprintf(b, "voided rows: %d\n", r.Lost)
}

// Verify goes over every byte of a store that is worth something, of the present
// format or the one before it. The store need not open and may be in use. fs nil is
// the operating system's. The error says why there is no report; damage is in
// the report.
func Verify(fs vfs.FS, dir string) (*Report, error) {
	if fs == nil {
		fs = osFS(0, 0)
	}
	s, err := survey(fs, dir)
	if err != nil {
		return nil, err
	}
	return s.finish(), nil
}

// surveyor is one pass over a store with all that Verify and Repair ask.
type surveyor struct {
	raw     *rawStore
	card    card
	report  Report
	holders holders
	slots   map[uint32]*slotSurvey
	kept    map[uint32]*slotSurvey // logs of former slots
	last    uint64                 // position of the newest group
	gaps    []*positionGap
}

// slotSurvey is what there is of a slot.
type slotSurvey struct {
	core      uint32 // as its groups say
	report    SlotReport
	ckpts     checkpointCheck
	clock     vclock.VClock
	known     bool      // clock is that behind group report.Last
	pos       uint64    // of that group
	stretches []stretch // of the log
	gaps      []Problem
}

// stretch is whole groups without a gap.
type stretch struct{ first, last uint64 }

// positionGap is positions without a group.
type positionGap struct {
	from, to uint64
	file     string
	told     uint64 // so many of them are missing in slots
}

func survey(fs vfs.FS, dir string) (*surveyor, error) {
	c, known, err := readCard(fs, dir)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return nil, err
	}
	if err == nil && !known {
		return nil, fmt.Errorf("%w: %s has no file %s", ErrForeign, dir, cardName)
	}
	raw, rawErr := openRaw(fs, dir)
	if rawErr != nil {
		return nil, rawErr
	}
	s := &surveyor{raw: raw, card: c, holders: raw.holders(), slots: map[uint32]*slotSurvey{}, kept: map[uint32]*slotSurvey{}}
	if err != nil {
		raw.problem(Problem{File: cardName, Text: err.Error()})
	}
	s.report = Report{Dir: dir, Format: c.version, Mode: c.mode.String(), MayHaveLost: len(c.lost) > 0 || c.badStop(bootID()),
		InUse: raw.inUse}
	if raw.openErr != nil {
		raw.problem(Problem{Text: "does not open: " + raw.openErr.Error()})
	}
	err = raw.visit(&visitor{core: s.core, group: s.group, kept: s.keptGroup,
		chunk: func(slot uint32, id uint64, _ uint32, value []byte) error { return s.slot(slot).ckpts.chunk(id, value) },
		end:   func(slot uint32, id uint64, value []byte) error { return s.slot(slot).ckpts.end(id, value) },
		lost:  func(slot uint32, _ xrow.LostRow) error { s.slot(slot).report.Lost++; return nil }})
	s.guessHolders()
	return s, err
}

func (s *surveyor) slot(number uint32) *slotSurvey { return surveyIn(s.slots, number) }

// of is the survey that has the log of a slot. For a former one it is complete behind
// finish.
func (s *surveyor) of(number uint32) *slotSurvey {
	if s.holders.isFormer(number) {
		return surveyIn(s.kept, number)
	}
	return s.slot(number)
}

func surveyIn(slots map[uint32]*slotSurvey, number uint32) *slotSurvey {
	sl := slots[number]
	if sl == nil {
		sl = &slotSurvey{}
		slots[number] = sl
	}
	return sl
}

func (s *surveyor) core(id uint32, value []byte) error {
	if _, err := decodeCore(id, value); err != nil {
		s.raw.problem(Problem{Text: err.Error()})
	}
	return s.holders.core(id, value)
}

// guessHolders gives a Core whose record is not there the slot of its newest group.
func (s *surveyor) guessHolders() {
	newest := map[uint32]uint32{}
	for number, sl := range s.slots {
		if other, ok := newest[sl.core]; sl.pos > 0 && (!ok || s.slots[other].pos < sl.pos) {
			newest[sl.core] = number
		}
	}
	for _, c := range s.holders.present {
		delete(newest, c.ID)
	}
	for core, number := range newest {
		s.raw.problem(Problem{Text: fmt.Sprintf("there is no record of Core %d; its newest groups are of slot %d", core, number)})
		s.holders.present[number] = CoreInfo{ID: core, Slot: number}
	}
}

// present are the Cores by ID.
func (s *surveyor) present() (cores []CoreInfo) {
	for _, c := range s.holders.present {
		cores = append(cores, c)
	}
	slices.SortFunc(cores, func(a, b CoreInfo) int { return cmpUint(uint64(a.ID), uint64(b.ID)) })
	return cores
}

// group checks a group and that it follows the one before it, in the log and in
// its slot.
func (s *surveyor) group(pos uint64, value []byte, file string) error {
	h, _, err := decodeHead(value)
	if err != nil {
		s.raw.problem(Problem{File: file, Group: pos, Text: err.Error()})
		return nil
	}
	o := h.ownerAt(pos)
	clock := vclock.VClock{}
	if sl := s.slots[o.slot]; sl != nil {
		clock = sl.clock
	}
	g, err := wholeGroup(value, clock)
	if err == nil && h.list != nil && !h.list.located(pos) {
		err = damaged("bad owner list")
	}
	if err != nil {
		s.raw.problem(Problem{File: file, Group: o.no, Text: err.Error()})
		return nil
	}
	if s.last != 0 && pos != s.last+1 {
		s.gaps = append(s.gaps, &positionGap{from: s.last + 1, to: pos - 1, file: file})
	}
	s.last = pos
	sl := s.slot(o.slot)
	if missing := sl.take(o.no, file); missing > 0 {
		s.account(missing, pos, sl.pos)
	}
	sl.core, sl.pos = o.core, pos
	sl.count(&h, g)
	return nil
}

// wholeGroup reads a group with all its rows.
func wholeGroup(value []byte, before vclock.VClock) (*xrow.Group, error) {
	_, g, err := decodeValue(value, before)
	for i := 0; err == nil && i < len(g.Table); i++ {
		_, err = readRow(g, i)
	}
	return g, err
}

// keptGroup checks a group of a former slot, and that it follows the one before it.
func (s *surveyor) keptGroup(slot uint32, no uint64, value []byte, file string) error {
	sl := surveyIn(s.kept, slot)
	h, _, err := decodeHead(value)
	if o := h.ownerAt(no); err == nil && (o.slot != slot || o.no != no) {
		err = damaged("is group %d of slot %d", o.no, o.slot)
	}
	var g *xrow.Group
	if err == nil {
		g, err = wholeGroup(value, sl.clock)
	}
	if err != nil {
		s.raw.problem(Problem{File: file, Group: no, Text: err.Error()})
		return nil
	}
	sl.take(no, file)
	sl.count(&h, g)
	return nil
}

// count adds a group that was taken.
func (sl *slotSurvey) count(h *head, g *xrow.Group) {
	if sl.known = sl.known || h.full; sl.known {
		sl.clock = g.After
	}
	sl.report.Groups++
	sl.report.Rows += uint64(len(g.Table))
}

// take notes a group of the slot, and how many are missing in front of it.
func (sl *slotSurvey) take(no uint64, file string) (missing uint64) {
	r := &sl.report
	if r.First == 0 {
		r.First = no
	} else if no != r.Last+1 {
		missing = no - r.Last - 1
		sl.gaps = append(sl.gaps, Problem{File: file, Group: r.Last + 1, Text: fmt.Sprintf("groups %d to %d are missing", r.Last+1, no-1)})
	}
	if len(sl.stretches) == 0 || no != r.Last+1 {
		sl.stretches = append(sl.stretches, stretch{first: no})
		sl.known = false
	}
	sl.stretches[len(sl.stretches)-1].last = no
	r.Last = no
	return missing
}

// account tells gaps of the log that groups of a slot between two of its positions
// would fill them.
func (s *surveyor) account(missing, pos, before uint64) {
	for _, gap := range s.gaps {
		if gap.from > before && gap.to < pos {
			gap.told += missing
		}
	}
}

// finish sums up. A gap before what the newest checkpoint of a Core needs is no
// damage: there were groups that had been removed and whose table is still
// there.
func (s *surveyor) finish() *Report {
	r := &s.report
	end := s.last
	for _, c := range s.present() {
		sl := s.slot(c.Slot)
		needed := s.finishSlot(sl, "")
		if r.Format == oldVersion {
			end = max(end, max(needed, 1)-1)
		}
		r.Cores = append(r.Cores, CoreReport{c.ID, c.Name, sl.report})
	}
	for _, f := range s.holders.formers() {
		sl := surveyIn(s.kept, f.Slot)
		sl.ckpts, sl.report.Lost = s.slot(f.Slot).ckpts, s.slot(f.Slot).report.Lost
		s.finishSlot(sl, fmt.Sprintf("former slot %d: ", f.Slot))
		r.Formers = append(r.Formers, FormerReport{f, sl.report})
	}
	for number, sl := range s.slots {
		if !s.holders.isPresent(number) && !s.holders.isFormer(number) && sl.report.Groups > 0 {
			s.raw.notes = append(s.raw.notes, fmt.Sprintf("%d groups are of data that a Core has left (slot %d)", sl.report.Groups, number))
		}
	}
	for _, gap := range s.gaps {
		if missing := gap.to + 1 - gap.from; missing > gap.told {
			s.raw.problem(Problem{File: gap.file, Text: fmt.Sprintf("%d groups are missing in the log at %d", missing, gap.from)})
		}
	}
	if s.card.closed && !s.card.badStop(bootID()) && end < s.card.last {
		s.raw.problem(Problem{Group: end + 1, Text: fmt.Sprintf("the log was closed with group %d and ends with group %d", s.card.last, end)})
	}
	r.Tables, r.Journals = s.raw.tables, s.raw.files
	r.Problems, r.Notes = s.raw.problems, s.raw.notes
	return r
}

// finishSlot sums a slot up, which messages name by of. needed is the group that its
// newest checkpoint goes on with.
func (s *surveyor) finishSlot(sl *slotSurvey, of string) (needed uint64) {
	r := &sl.report
	r.Checkpoints = sl.ckpts.reports()
	for _, cp := range r.Checkpoints {
		if cp.Problem == noEndRecord { // left over from a removal; a damaged table was told already
			s.raw.notes = append(s.raw.notes, fmt.Sprintf("%scheckpoint %d: %s", of, cp.ID, cp.Problem))
		} else if cp.Problem != "" {
			s.raw.problem(Problem{Text: fmt.Sprintf("%scheckpoint %d: %s", of, cp.ID, cp.Problem)})
		} else {
			needed = max(needed, cp.NextGroup)
		}
	}
	for _, gap := range sl.gaps {
		gap.Text = of + gap.Text
		if sl.resumes(gap.Group) > needed {
			s.raw.problem(gap)
		} else {
			s.raw.notes = append(s.raw.notes, gap.String())
		}
	}
	if r.Groups > 0 && needed > r.Last+1 {
		s.raw.problem(Problem{Group: r.Last + 1, Text: fmt.Sprintf("%sthe newest checkpoint goes on with group %d", of, needed)})
	}
	r.VClock = "unknown"
	if sl.known {
		r.VClock = sl.clock.String()
	}
	return needed
}

// resumes is the first group behind a gap.
func (sl *slotSurvey) resumes(gap uint64) uint64 {
	for _, s := range sl.stretches {
		if s.first >= gap {
			return s.first
		}
	}
	return 0
}

const noEndRecord = "no end record"

// checkpointCheck adds up chunks, which come in order, and compares them with
// the end records.
type checkpointCheck struct {
	id    uint64
	sum   endRecord
	bad   error
	done  []CheckpointReport
	whole []uint64 // IDs of the valid ones
}

func (c *checkpointCheck) begin(id uint64) {
	if c.id == id {
		return
	}
	if c.id != 0 {
		c.done = append(c.done, CheckpointReport{ID: c.id, Problem: noEndRecord})
	}
	*c = checkpointCheck{id: id, done: c.done, whole: c.whole}
}

func (c *checkpointCheck) chunk(id uint64, value []byte) error {
	c.begin(id)
	tuples, err := checkChunk(value)
	if err != nil {
		c.bad = err
		return nil
	}
	c.sum.chunks++
	c.sum.checksum = crc32.Update(c.sum.checksum, castagnoli, value)
	c.bad = errors.Join(c.bad, eachTuple(tuples, func(tuple []byte) error {
		c.sum.tuples++
		c.sum.bytes += uint64(len(tuple))
		return nil
	}))
	return nil
}

func (c *checkpointCheck) end(id uint64, value []byte) error {
	c.begin(id)
	end, err := decodeEnd(value)
	r := CheckpointReport{ID: id, Tuples: end.tuples, Bytes: end.bytes, NextGroup: end.state.NextGroup,
		VClock: end.state.VClock.String(), Term: end.state.Term}
	sum := c.sum
	switch {
	case err != nil:
		r.Problem = err.Error()
	case c.bad != nil:
		r.Problem = c.bad.Error()
	case end.chunks != sum.chunks || end.tuples != sum.tuples || end.bytes != sum.bytes || end.checksum != sum.checksum:
		r.Problem = fmt.Sprintf("has %d of %d chunks, %d of %d tuples", sum.chunks, end.chunks, sum.tuples, end.tuples)
	default:
		c.whole = append(c.whole, id)
	}
	c.done = append(c.done, r)
	*c = checkpointCheck{done: c.done, whole: c.whole}
	return nil
}

// reports are the checkpoints, newest last.
func (c *checkpointCheck) reports() []CheckpointReport {
	c.begin(0)
	return c.done
}
