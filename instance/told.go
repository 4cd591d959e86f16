package instance

import (
	"tarragon.dev/tarragon/xrow"
)

// telling is the answer to a change by which a voter went, held back until enough
// of those who are left have its CONFIRM on disk to elect. Whoever has the answer
// may destroy the disk of the one that went; somebody who has the row and not the
// CONFIRM would need that disk to elect anybody.
type telling struct {
	client
	data   []byte
	origin uint32
	lsn    uint64 // of the CONFIRM, by its origin, or behind it
}

// tellFirst holds back the answer to a transaction by which a voter went, and that a
// leader has decided: this one, or the one that has deposed it. Its CONFIRM is the newest
// of that leader's rows, or in front of it.
func (c *Core) tellFirst(p *payload) {
	if !p.waiting {
		return
	}
	p.waiting = false
	c.waits.clients--
	owner := c.limbo.Current().Owner
	c.waits.tellings = append(c.waits.tellings, telling{client: client{p.conn, p.sync, p.until}, data: p.data, origin: owner, lsn: c.out.vclock[owner]})
}

// judgeTelling gives an answer whose change enough others know.
func (c *Core) judgeTelling(t *telling, late bool) outcome {
	switch {
	case c.members.confirmed.elect(c.synced(t.origin, t.lsn)):
		return succeeds(t.data)
	case late:
		c.trace(FactUnknown, t.origin, t.lsn, "")
		return fails(notTold())
	}
	return outcome{}
}

// failTold answers all who wait: our disk can tell nobody any more.
func (w *waits) failTold(eff *Effects) {
	w.tellings = sweep(w.tellings, 0, eff, func(*telling, bool) outcome { return fails(notTold()) })
}

// notTold is the error of a change that is committed, and that too few know of.
func notTold() *xrow.Error {
	e := outcomeUnknown()
	e.Message += ": the members have changed, and too few of them know it yet; destroy no disk of one before the leader says so"
	return e
}
