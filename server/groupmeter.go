package server

import (
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// maxOpenGroups is how many groups wait for a quorum before no more are measured: without one
// nobody decides anything.
const maxOpenGroups = 1024

// groupMeter measures what becomes of the groups of one core: how large they are, and how long
// the disk and a quorum take.
//
// Invariant: all but handed belongs to the Loop's goroutine. At most one group is with the
// journal, see instance.Core.
type groupMeter struct {
	to     *meters
	clock  func() int64 // nanoseconds from any fixed start
	handed atomic.Int64 // when the newest group was
	open   []openGroup  // of this instance as the owner of the queue, oldest first
}

// openGroup is a group that no quorum has decided, as far as is known here.
type openGroup struct {
	lsn uint64 // of its newest row that this instance has written
	at  int64
}

func newGroupMeter(to *meters) *groupMeter {
	began := time.Now()
	return &groupMeter{to: to, clock: func() int64 { return int64(time.Since(began)) }}
}

// decider is what a core knows of who decides: its own ID, the owner of the queue, and the LSN up
// to which that one's rows are committed.
type decider interface {
	Self() uint32
	Confirmed() (owner uint32, lsn uint64)
}

// appended is called on the Loop's goroutine when a group goes to the journal.
func (m *groupMeter) appended(c decider, g *xrow.Group) {
	now := m.clock()
	m.handed.Store(now)
	m.to.groupRows.Observe(int64(len(g.Table)))
	m.to.groupBytes.Observe(int64(len(g.Rows)))
	owner, _ := c.Confirmed()
	if lsn := g.After[owner]; owner != 0 && owner == c.Self() && lsn > g.Before[owner] && len(m.open) < maxOpenGroups {
		m.open = append(m.open, openGroup{lsn, now})
	}
}

// written is called on the journal's goroutine.
func (m *groupMeter) written() {
	m.to.written.Observe(m.clock() - m.handed.Load())
}

// stepped is called on the Loop's goroutine behind each Step.
func (m *groupMeter) stepped(c decider) {
	if len(m.open) == 0 {
		return
	}
	owner, lsn := c.Confirmed()
	if owner != c.Self() {
		m.open = m.open[:0] // another one decides
		return
	}
	n := 0
	for n < len(m.open) && m.open[n].lsn <= lsn {
		n++
	}
	if n == 0 {
		return
	}
	now := m.clock()
	for _, g := range m.open[:n] {
		m.to.quorum.Observe(now - g.at)
	}
	m.open = m.open[:copy(m.open, m.open[n:])]
}

// meteredJournal hands groups on to the journal, and measures them.
type meteredJournal struct {
	writer // set once both ends exist
	core   *instance.Core
	meter  *groupMeter
}

// Append is that of instance.Journal.
func (j *meteredJournal) Append(no uint64, g *xrow.Group, lost []xrow.LostRow) {
	j.meter.appended(j.core, g)
	j.writer.Append(no, g, lost)
}
