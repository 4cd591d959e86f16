package instance

import (
	"time"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// confirmDelay is how long an idle leader waits before it spends a sync on a
// CONFIRM alone, here and on each follower: a client that sends one request after
// the other has the next one here by then, and its group carries the CONFIRM.
// confirmDelayBusy is the same where the newest two groups came within that time:
// the next one is likely to be here by then, too.
const (
	confirmDelay     = time.Millisecond
	confirmDelayBusy = 5 * time.Millisecond
)

// confirmDue tells whether the CONFIRM of what nobody was told yet goes now: with a
// group that gathers, or after a while by itself. gap is the time between the newest
// two groups.
func (l *leadership) confirmDue(now time.Duration, gathers bool, gap time.Duration) bool {
	if gathers || l.confirmAt != 0 && now >= l.confirmAt {
		return true
	}
	if l.confirmAt != 0 {
		return false
	}
	l.confirmAt = now + confirmDelay
	if gap <= confirmDelayBusy {
		l.confirmAt = now + confirmDelayBusy
	}
	return false
}

// addConfirm writes down that rows of our term up to an LSN are committed.
func (c *Core) addConfirm(lsn uint64) {
	owner, named := c.limbo.Tell(lsn)
	body := xrow.Synchro{ReplicaID: owner, LSN: named}
	if named != lsn {
		body.StrongLSN = lsn
	}
	own := c.out.addSynchro(c.author(), xrow.Confirm, &body, 0)
	c.limbo.Held(c.members.self, c.raft.Term(), own)
	if own == c.limbo.Current().First+1 {
		c.limbo.Opened(c.raft.Term(), own, terms.Micros(c.now.Wall))
	}
	c.lead.confirmAt = 0
}

// tellSchema writes the CONFIRM of a change of the schema before anything that
// builds on it.
func (c *Core) tellSchema() {
	if !c.lead.leading || c.lead.handed {
		return
	}
	if lsn := c.limbo.Untold(c.raft.Term()); lsn != 0 {
		c.addConfirm(lsn)
	}
}
