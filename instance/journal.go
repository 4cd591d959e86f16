package instance

import (
	"time"

	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/xrow"
)

// confirmDelay is how long an idle leader waits before it spends a sync on a
// CONFIRM alone: a client that sends one request after the other has the next
// one here by then, and its group carries the CONFIRM.
const confirmDelay = time.Millisecond

// author is who writes rows of ours now, in a term.
func (c *Core) author(term uint64) author {
	if c.cfg.Break.Tarantool {
		term = 0
	}
	return author{id: c.members.self, term: term, wall: c.now.Wall}
}

// flush hands the gathered group to the journal if that is idle. What comes
// while it syncs gathers, so batching follows the disk by itself.
func (c *Core) flush() {
	if c.out.failed != nil || c.out.busy() || c.replay {
		return
	}
	if untold := c.limbo.Untold(c.raft.Term()); untold != 0 && c.lead.leading {
		switch {
		case c.out.open != nil || c.lead.confirmAt != 0 && c.now.Mono >= c.lead.confirmAt:
			c.addConfirm(untold)
		case c.lead.confirmAt == 0:
			c.lead.confirmAt = c.now.Mono + confirmDelay
		}
	}
	c.eff.Group, c.eff.Lost = c.out.depart(c.now.Mono)
	c.eff.GroupNo = c.out.flight.no
}

// addConfirm writes down that rows of our term up to an LSN are committed.
func (c *Core) addConfirm(lsn uint64) {
	body := c.confirmBody(lsn)
	own := c.out.addSynchro(c.author(c.raft.Term()), xrow.Confirm, &body, 0)
	c.limbo.Held(c.members.self, c.raft.Term(), own)
	c.limbo.Told(lsn)
	c.lead.confirmAt = 0
}

// confirmBody is the body of a CONFIRM. Under the strong rules it names Tarantools
// the last synchronous transaction that is decided, be it of an earlier owner:
// what they know already they accept from anybody. Only in a set that never had
// a synchronous transaction there is none; LSN 0 is not accepted.
func (c *Core) confirmBody(lsn uint64) xrow.Synchro {
	body := xrow.Synchro{ReplicaID: c.members.self, LSN: lsn}
	if c.limbo.Current().Rules == limbo.Tarantool {
		return body
	}
	of := c.limbo.ConfirmedOf()
	for id := uint32(0); id < uint32(len(of)) && of[body.ReplicaID] == 0; id++ {
		if of[id] != 0 {
			body.ReplicaID = id
		}
	}
	if named := of[body.ReplicaID]; named == 0 {
		c.limbo.NoteConfirmed(c.members.self, lsn)
	} else if named != lsn {
		body.LSN, body.StrongLSN = named, lsn
	}
	return body
}

// groupWritten: everything up to a group is on disk. Now it may be shown.
func (c *Core) groupWritten(no uint64) {
	f := c.out.arrived(no)
	if c.out.stalled {
		c.out.stalled = false
		c.raft.SetSelf(c.members.self, c.able(), c.now.Mono)
	}
	if f.record != nil {
		c.raft.Persisted(*f.record, c.now.Mono)
		c.afterRaft()
	}
	if c.lead.leading {
		c.limbo.Ack(c.members.self, c.out.onDisk[c.members.self])
	}
	c.limbo.Written(no)
	c.settle()
	c.waits.written(no, &c.eff)
	c.showAsync()
	c.tellAck(f.stamp)
}

// journalFailed: a failed sync is never retried. We stop writing and acking
// for good, and go on answering reads from memory.
func (c *Core) journalFailed(err error) {
	if c.out.failed != nil {
		return
	}
	c.out.failed = err
	c.trace(FactDiskFailed, 0, 0, err.Error())
	c.raft.Resign(c.now.Mono, "the disk failed")
	c.raft.SetSelf(c.members.self, false, c.now.Mono)
	c.afterRaft()
	unknown := &xrow.Error{Code: xrow.ErrWALIO, Message: "Failed to write to disk: " + err.Error() + ". The outcome of the transaction is unknown", Err: err}
	for i := range c.limbo.Len() {
		c.waits.answer(&c.eff, &c.limbo.At(i).P, unknown)
	}
	c.waits.failLocal(unknown, &c.eff)
	c.gate.failHeld(&c.eff, func(*Request) *xrow.Error { return unknown })
	c.waits.failTold(&c.eff)
	c.waits.failFates(&xrow.Error{Code: xrow.ErrWALIO, Message: "Failed to write to disk: " + err.Error() + ". Nothing was written by this request", Err: err}, &c.eff)
	c.waits.failSnaps(unknown, &c.eff)
}
