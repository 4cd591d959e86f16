package instance

import (
	"time"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"
)

// confirmDelay is how long an idle leader waits before it spends a sync on a
// CONFIRM alone: a client that sends one request after the other has the next
// one here by then, and its group carries the CONFIRM.
const confirmDelay = time.Millisecond

// add appends a row to the group that gathers. The row's LSN must be the next
// of its origin's; the vclock follows.
func (c *Core) add(r *xrow.Row, space uint32, first bool, term uint64) {
	if c.open == nil {
		c.open = &xrow.Group{Before: c.vclock, After: c.vclock,
			Rows: make([]byte, 0, c.lastRows+c.lastRows/4), Table: make([]xrow.Ref, 0, c.lastTable+c.lastTable/4)}
	}
	c.open.Add(r, space, first, term)
	c.vclock.Follow(r.ReplicaID, r.LSN)
}

// addOwn appends a row of ours that stands alone, stamped with our term.
func (c *Core) addOwn(t xrow.Type, body []byte, promoteTerm uint64) (lsn uint64) {
	lsn = c.vclock[c.self] + 1
	r := xrow.Row{Type: t, ReplicaID: c.self, LSN: lsn, TSN: lsn, Timestamp: c.now.Wall,
		Flags: xrow.FlagCommit, Term: c.stamp(c.raft.Term()), Body: body}
	c.add(&r, 0, true, promoteTerm)
	return lsn
}

// addRecord appends {term, vote}: a local row, never relayed.
func (c *Core) addRecord(rec raft.Record) {
	body := xrow.Raft{Term: rec.Term, Vote: rec.Vote}
	c.scratch = body.AppendBody(c.scratch[:0])
	lsn := c.vclock[0] + 1
	r := xrow.Row{Type: xrow.RaftState, GroupID: xrow.GroupLocal, LSN: lsn, TSN: lsn, Timestamp: c.now.Wall,
		Flags: xrow.FlagCommit, Body: c.scratch}
	c.add(&r, 0, true, 0)
	c.openRec = &rec
}

// keepLost gives a voided transaction to the group that gathers. A crash before
// that is written leaves the transaction undecided, and one behind it finds it
// kept: the row that voids it is in that group or, for our own PROMOTE under the
// Tarantool's rules, in none, and then the rows are undecided again and kept under
// the same name once more. Recovery tells nothing again.
func (c *Core) keepLost(e *entry) {
	if c.replay || len(e.P.frames) == 0 {
		return
	}
	if c.open == nil { // a checkpoint of now must wait for these rows
		c.addNop()
	}
	c.openLost = append(c.openLost, xrow.LostRow{Term: e.Term, Origin: e.Origin, LSN: e.LSN, Frame: e.P.frames})
}

// addNop appends a local row that says nothing.
func (c *Core) addNop() {
	lsn := c.vclock[0] + 1
	c.add(&xrow.Row{Type: xrow.Nop, GroupID: xrow.GroupLocal, LSN: lsn, TSN: lsn, Timestamp: c.now.Wall, Flags: xrow.FlagCommit}, 0, true, 0)
}

// flush hands the gathered group to the journal if that is idle. What comes
// while it syncs gathers, so batching follows the disk by itself.
func (c *Core) flush() {
	if c.failed != nil || c.inflight != nil || c.replay {
		return
	}
	if untold := c.limbo.Untold(c.raft.Term()); untold != 0 && c.leading {
		switch {
		case c.open != nil || c.confirmAt != 0 && c.now.Mono >= c.confirmAt:
			c.addConfirm(untold)
		case c.confirmAt == 0:
			c.confirmAt = c.now.Mono + confirmDelay
		}
	}
	if c.open == nil {
		return
	}
	c.inflight = &flight{no: c.nextNo, group: c.open, record: c.openRec, since: c.now.Mono}
	if last := c.lastForeign(); last >= 0 {
		if r, err := c.open.Row(last); err == nil {
			c.inflight.stamp = r.Timestamp
		}
	}
	c.lastRows, c.lastTable = len(c.open.Rows), len(c.open.Table)
	c.eff.Group, c.eff.GroupNo, c.eff.Lost = c.open, c.nextNo, c.openLost
	c.open, c.openRec, c.openLost = nil, nil, nil
	c.nextNo++
}

// lastForeign finds the newest row of another origin in the open group.
func (c *Core) lastForeign() int {
	for i := len(c.open.Table) - 1; i >= 0; i-- {
		if o := c.open.Table[i].Origin; o != 0 && o != c.self {
			return i
		}
	}
	return -1
}

// addConfirm writes down that rows of our term up to an LSN are committed.
func (c *Core) addConfirm(lsn uint64) {
	body := c.confirmBody(lsn)
	c.scratch = body.AppendBody(c.scratch[:0])
	own := c.addOwn(xrow.Confirm, c.scratch, 0)
	c.limbo.Note(c.raft.Term(), own, false)
	c.limbo.Told(lsn)
	c.confirmAt = 0
}

// confirmBody is the body of a CONFIRM. Under the strong rules it names Tarantools
// the last synchronous transaction that is decided, be it of an earlier owner:
// what they know already they accept from anybody. Only in a set that never had
// a synchronous transaction there is none; LSN 0 is not accepted.
func (c *Core) confirmBody(lsn uint64) xrow.Synchro {
	body := xrow.Synchro{ReplicaID: c.self, LSN: lsn}
	if c.limbo.Current().Tarantool {
		return body
	}
	of := c.limbo.ConfirmedOf()
	for id := uint32(0); id < uint32(len(of)) && of[body.ReplicaID] == 0; id++ {
		if of[id] != 0 {
			body.ReplicaID = id
		}
	}
	if named := of[body.ReplicaID]; named == 0 {
		c.limbo.NoteConfirmed(c.self, lsn)
	} else if named != lsn {
		body.LSN, body.StrongLSN = named, lsn
	}
	return body
}

// groupWritten: everything up to a group is on disk. Now it may be shown.
func (c *Core) groupWritten(no uint64) {
	f := c.inflight
	if f == nil || f.no != no {
		panic("instance: the journal answered for a group it does not have")
	}
	c.inflight = nil
	c.written = no
	c.onDisk = f.group.After
	if c.stalled {
		c.stalled = false
		c.raft.SetSelf(c.self, c.able(), c.now.Mono)
	}
	if f.record != nil {
		c.raft.Persisted(*f.record, c.now.Mono)
		c.afterRaft()
	}
	if c.leading {
		c.limbo.Ack(c.self, c.onDisk[c.self])
	}
	c.limbo.Written(no)
	c.settle()
	c.answerLocal()
	c.showAsync()
	c.snapsWritten()
	c.tellAck(f.stamp)
}

// showAsync answers asynchronous transactions that are on our disk and have no
// undecided synchronous one before them.
func (c *Core) showAsync() {
	if !c.leading {
		return
	}
	var seq uint64
	c.limbo.Show(func(e *entry) {
		seq = e.Seq
		e.P.answered = true
		c.answer(&e.P, nil)
	})
	if seq != 0 {
		c.box.Show(seq)
	}
}

func (c *Core) answerLocal() {
	n := 0
	for n < len(c.local) && c.local[n].group <= c.written {
		w := &c.local[n]
		c.reply(w.conn, w.sync, w.data, nil)
		n++
	}
	c.local = append(c.local[:0], c.local[n:]...)
}

// journalFailed: a failed sync is never retried. We stop writing and acking
// for good, and go on answering reads from memory.
func (c *Core) journalFailed(err error) {
	if c.failed != nil {
		return
	}
	c.failed = err
	c.trace(FactDiskFailed, 0, 0, err.Error())
	c.raft.Resign(c.now.Mono, "the disk failed")
	c.raft.SetSelf(c.self, false, c.now.Mono)
	c.afterRaft()
	unknown := &xrow.Error{Code: xrow.ErrWALIO, Message: "Failed to write to disk: " + err.Error() + ". The outcome of the transaction is unknown", Err: err}
	for i := range c.limbo.Len() {
		c.answer(&c.limbo.At(i).P, unknown)
	}
	for _, w := range c.local {
		c.reply(w.conn, w.sync, nil, unknown)
	}
	c.local = nil
	c.failHeld(unknown)
	c.failTold()
	c.failFates(&xrow.Error{Code: xrow.ErrWALIO, Message: "Failed to write to disk: " + err.Error() + ". Nothing was written by this request", Err: err})
	c.failSnaps(unknown)
}
