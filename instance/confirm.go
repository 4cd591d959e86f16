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

// confirmDue tells whether the CONFIRM of what nobody was told yet goes now: with a
// group that gathers, or after a while by itself.
func (l *leadership) confirmDue(now time.Duration, gathers bool) bool {
	if gathers || l.confirmAt != 0 && now >= l.confirmAt {
		return true
	}
	if l.confirmAt == 0 {
		l.confirmAt = now + confirmDelay
	}
	return false
}

// addConfirm writes down that rows of our term up to an LSN are committed.
func (c *Core) addConfirm(lsn uint64) {
	body := c.confirmBody(lsn)
	own := c.out.addSynchro(c.author(), xrow.Confirm, &body, 0)
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

// tellSchema writes the CONFIRM of a change of the schema before anything that
// builds on it.
func (c *Core) tellSchema() {
	if !c.lead.leading {
		return
	}
	if lsn := c.limbo.Untold(c.raft.Term()); lsn != 0 {
		c.addConfirm(lsn)
	}
}
