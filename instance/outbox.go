package instance

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// outbox gathers rows into the group that the journal gets next, and knows what
// is on disk.
//
// Invariant: onDisk <= what the journal has <= vclock in every component, and
// written < the number of the flight < nextNo.
type outbox struct {
	vclock vclock.VClock // everything handed to the journal or gathering for it
	onDisk vclock.VClock // what is synced

	open    *xrow.Group    // gathers; nil: nothing yet
	record  *raft.Record   // that open has, the newest one
	lost    []xrow.LostRow // what open voids. Invariant: none while open is nil
	stamp   float64        // of the newest row of another instance in open
	flight  flight         // with the journal; zero: it is idle
	left    time.Duration  // when the newest group went to the journal
	gap     time.Duration  // between that moment and the same of the group before
	nextNo  uint64         // number that open will get
	written uint64

	unstamped           bool   // rows go without their term: this is a Tarantool
	scratch             []byte // body being encoded
	lastRows, lastTable int    // sizes of the last group: the next one will need about as much

	trail trail // how far back our newest groups are

	failed  error // the journal's; nothing is ever written again
	stalled bool
	parked  bool // as it was told last, see notePark
}

// flight is a group that the journal has.
type flight struct {
	no     uint64
	group  *xrow.Group
	record *raft.Record
	since  time.Duration
	stamp  float64 // of the newest foreign row
}

// author is who writes rows of ours, when, and in which term.
type author struct {
	id   uint32
	term uint64 // 0: in none, they are decided by their write
	wall float64
}

// begin makes room for a row in the group that gathers, and tells where its frame
// will begin.
func (o *outbox) begin() int {
	if o.open == nil {
		o.open = &xrow.Group{Before: o.vclock, After: o.vclock,
			Rows: make([]byte, 0, o.lastRows+o.lastRows/4), Table: make([]xrow.Ref, 0, o.lastTable+o.lastTable/4)}
	}
	return len(o.open.Rows)
}

// add appends a row to the group that gathers, which was begun. The row's LSN must
// be the next of its origin's; the vclock follows.
func (o *outbox) add(r *xrow.Row, space uint32, first bool, term uint64) {
	if o.unstamped {
		r.Term = 0
	}
	o.open.Add(r, space, first, term)
	o.vclock.Follow(r.ReplicaID, r.LSN)
}

// addTxn appends the rows of a transaction of ours and gives its frames: local
// rows first, so that what is left without them is a whole transaction too.
func (o *outbox) addTxn(by author, rows []box.LogRow, flags xrow.Flags) []byte {
	at := o.begin()
	tsn := o.vclock[0] + 1
	for i := range rows {
		if !rows[i].Local {
			tsn = o.vclock[by.id] + 1
			break
		}
	}
	for i := range rows {
		row := &rows[i]
		r := xrow.Row{Type: row.DML.Type, ReplicaID: by.id, TSN: tsn, Timestamp: by.wall, Term: by.term}
		if row.Local {
			r.ReplicaID, r.GroupID, r.Term = 0, xrow.GroupLocal, 0
		}
		r.LSN = o.vclock[r.ReplicaID] + 1
		if i == len(rows)-1 {
			r.Flags = flags
		}
		o.scratch = row.DML.AppendBody(o.scratch[:0])
		r.Body = o.scratch
		o.add(&r, row.DML.SpaceID, i == 0, 0)
	}
	return o.open.Rows[at:len(o.open.Rows):len(o.open.Rows)] // which never change
}

// addForeign appends rows of others as they came, but for the SYNC of the
// connection, and gives their frames.
func (o *outbox) addForeign(self uint32, a *arrival) []byte {
	at := o.begin()
	for i := range a.rows {
		r := a.rows[i]
		r.Sync, r.SchemaVersion, r.StreamID = 0, 0, 0
		space, term := uint32(0), uint64(0)
		switch {
		case r.Type.IsDML():
			space = a.dml[i].SpaceID
		case r.Type == xrow.Promote || r.Type == xrow.Demote:
			term = a.synchro.Term
		}
		o.add(&r, space, i == 0, term)
		if r.ReplicaID != self {
			o.stamp = r.Timestamp
		}
	}
	return o.open.Rows[at:len(o.open.Rows):len(o.open.Rows)] // which never change
}

// addSynchro appends a CONFIRM, PROMOTE or DEMOTE of ours. promoteTerm is the term
// that it begins, if it does.
func (o *outbox) addSynchro(by author, t xrow.Type, body *xrow.Synchro, promoteTerm uint64) (lsn uint64) {
	o.scratch = body.AppendBody(o.scratch[:0])
	o.begin()
	lsn = o.vclock[by.id] + 1
	o.add(&xrow.Row{Type: t, ReplicaID: by.id, LSN: lsn, TSN: lsn, Timestamp: by.wall, Flags: xrow.FlagCommit,
		Term: by.term, Body: o.scratch}, 0, true, promoteTerm)
	return lsn
}

// addLocal appends a row that stands alone and is never relayed.
func (o *outbox) addLocal(wall float64, t xrow.Type, body []byte) {
	o.begin()
	lsn := o.vclock[0] + 1
	o.add(&xrow.Row{Type: t, GroupID: xrow.GroupLocal, LSN: lsn, TSN: lsn, Timestamp: wall, Flags: xrow.FlagCommit, Body: body}, 0, true, 0)
}

// addRecord appends {term, vote}.
func (o *outbox) addRecord(wall float64, rec raft.Record) {
	body := xrow.Raft{Term: rec.Term, Vote: rec.Vote}
	o.scratch = body.AppendBody(o.scratch[:0])
	o.addLocal(wall, xrow.RaftState, o.scratch)
	o.record = &rec
}

// addLost keeps a voided transaction with the group that gathers: a checkpoint of
// now must wait for it.
func (o *outbox) addLost(wall float64, lost xrow.LostRow) {
	if o.open == nil {
		o.addLocal(wall, xrow.Nop, nil)
	}
	o.lost = append(o.lost, lost)
}

// busy tells whether the journal has a group.
func (o *outbox) busy() bool { return o.flight.group != nil }

// stallAt is when the disk that has a group counts as stalled; 0: it has none, or
// is known to stall.
func (o *outbox) stallAt(timeout time.Duration) time.Duration {
	if !o.busy() || o.stalled {
		return 0
	}
	return o.flight.since + timeout
}

// depart gives what gathered to the journal, which must be idle, and what is
// voided by it; nil: there is nothing. self is our ID, for the trail.
func (o *outbox) depart(now time.Duration, self uint32) (*xrow.Group, []xrow.LostRow) {
	if o.open == nil {
		return nil, nil
	}
	o.flight = flight{no: o.nextNo, group: o.open, record: o.record, since: now, stamp: o.stamp}
	o.gap, o.left = now-o.left, now
	o.lastRows, o.lastTable = len(o.open.Rows), len(o.open.Table)
	o.trail.total += uint64(o.lastRows)
	o.trail.marks[o.nextNo%uint64(len(o.trail.marks))] = mark{o.open.After[self], o.trail.total}
	o.trail.newest = o.nextNo
	lost := o.lost
	o.open, o.record, o.lost, o.stamp = nil, nil, nil, 0
	o.nextNo++
	return o.flight.group, lost
}

// arrived: the flight is on disk. Now it may be shown.
func (o *outbox) arrived(no uint64) flight {
	f := o.flight
	if f.group == nil || f.no != no {
		panic("instance: the journal answered for a group it does not have")
	}
	o.flight, o.written, o.onDisk = flight{}, no, f.group.After
	return f
}
