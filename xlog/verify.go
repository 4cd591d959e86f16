package xlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Report is what Verify found.
type Report struct {
	Dir         string             `json:"dir"`
	Format      uint64             `json:"format"`
	Mode        string             `json:"mode"`          // of the last opening
	MayHaveLost bool               `json:"may_have_lost"` // as far as the card tells
	InUse       bool               `json:"in_use"`        // a process has it open: the tail may move
	Tables      int                `json:"tables"`
	Journals    int                `json:"journals"`
	Groups      uint64             `json:"groups"`
	Rows        uint64             `json:"rows"`
	First       uint64             `json:"first_group"`
	Last        uint64             `json:"last_group"`
	VClock      string             `json:"vclock"`
	Lost        uint64             `json:"voided_rows"`
	Checkpoints []CheckpointReport `json:"checkpoints"`
	Problems    []Problem          `json:"problems"`
	Notes       []string           `json:"notes,omitempty"`
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
	fmt.Fprintf(&b, "log: groups %d to %d, %d groups, %d rows, vclock %s\n", r.First, r.Last, r.Groups, r.Rows, r.VClock)
	for _, c := range r.Checkpoints {
		state := "valid"
		if c.Problem != "" {
			state = c.Problem
		}
		fmt.Fprintf(&b, "checkpoint %d: %d tuples, %d bytes, vclock %s, term %d, next group %d: %s\n",
			c.ID, c.Tuples, c.Bytes, c.VClock, c.Term, c.NextGroup, state)
	}
	fmt.Fprintf(&b, "voided rows: %d\n", r.Lost)
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

// Verify goes over every byte of a store that is worth something. The store
// need not open and may be in use. fs nil is the operating system's. The error
// says why there is no report; damage is in the report.
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

// survey is one pass over a store with all that Verify and Repair ask.
type surveyor struct {
	raw    *rawStore
	card   card
	report Report
	ckpts  checkpointCheck
	clock  vclock.VClock
	known  bool // clock is that behind group report.Last
	runs   []run
	gaps   []Problem
}

// run is a stretch of whole groups without a gap.
type run struct{ first, last uint64 }

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
	s := &surveyor{raw: raw, card: c}
	if err != nil {
		raw.problem(Problem{File: cardName, Text: err.Error()})
	}
	s.report = Report{Dir: dir, Format: c.version, Mode: c.mode.String(), MayHaveLost: c.lost || c.badStop(bootID()),
		InUse: raw.inUse}
	if raw.openErr != nil {
		raw.problem(Problem{Text: "does not open: " + raw.openErr.Error()})
	}
	err = raw.visit(&visitor{chunk: s.ckpts.chunk, end: s.ckpts.end, group: s.group,
		lost: func(xrow.LostRow) error { s.report.Lost++; return nil }})
	return s, err
}

// group checks a group and that it follows the one before it.
func (s *surveyor) group(no uint64, value []byte, file string) error {
	before := s.clock
	g, err := decodeValue(value, before)
	for i := 0; err == nil && i < len(g.Table); i++ {
		_, err = readRow(g, i)
	}
	if err != nil {
		s.raw.problem(Problem{File: file, Group: no, Text: err.Error()})
		return nil
	}
	r := &s.report
	if r.First == 0 {
		r.First = no
	} else if no != r.Last+1 {
		s.gaps = append(s.gaps, Problem{File: file, Group: r.Last + 1, Text: fmt.Sprintf("groups %d to %d are missing", r.Last+1, no-1)})
	}
	if len(s.runs) == 0 || no != r.Last+1 {
		s.runs = append(s.runs, run{first: no})
		s.known = false
	}
	s.runs[len(s.runs)-1].last = no
	h, _, _ := decodeHead(value)
	if s.known = s.known || h.full; s.known {
		s.clock = g.After
	}
	r.Last = no
	r.Groups++
	r.Rows += uint64(len(g.Table))
	return nil
}

// finish sums up. A gap before what the newest checkpoint needs is no damage:
// there were groups that had been removed and whose table is still there.
func (s *surveyor) finish() *Report {
	r := &s.report
	r.Checkpoints = s.ckpts.reports()
	needed := uint64(0)
	for _, c := range r.Checkpoints {
		if c.Problem == noEndRecord { // left over from a removal; a damaged table was told already
			s.raw.notes = append(s.raw.notes, fmt.Sprintf("checkpoint %d: %s", c.ID, c.Problem))
		} else if c.Problem != "" {
			s.raw.problem(Problem{Text: fmt.Sprintf("checkpoint %d: %s", c.ID, c.Problem)})
		} else {
			needed = max(needed, c.NextGroup)
		}
	}
	for _, gap := range s.gaps {
		if s.resumes(gap.Group) > needed {
			s.raw.problem(gap)
		} else {
			s.raw.notes = append(s.raw.notes, gap.String())
		}
	}
	if r.Groups > 0 && needed > r.Last+1 {
		s.raw.problem(Problem{Group: r.Last + 1, Text: fmt.Sprintf("the newest checkpoint goes on with group %d", needed)})
	}
	if end := max(r.Last, max(needed, 1)-1); s.card.closed && !s.card.badStop(bootID()) && end < s.card.last {
		s.raw.problem(Problem{Group: end + 1, Text: fmt.Sprintf("the log was closed with group %d and ends with group %d", s.card.last, end)})
	}
	r.VClock = "unknown"
	if s.known {
		r.VClock = s.clock.String()
	}
	r.Tables, r.Journals = s.raw.tables, s.raw.files
	r.Problems, r.Notes = s.raw.problems, s.raw.notes
	return r
}

// resumes is the first group behind a gap.
func (s *surveyor) resumes(gap uint64) uint64 {
	for _, run := range s.runs {
		if run.first >= gap {
			return run.first
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

func (c *checkpointCheck) chunk(id uint64, _ uint32, value []byte) error {
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
