package instance

import (
	"math/bits"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// telling is the answer to a change by which a voter went, held back until enough
// of those who are left have its CONFIRM on disk to elect. Whoever has the answer
// may destroy the disk of the one that went; somebody who has the row and not the
// CONFIRM would need that disk to elect anybody.
type telling struct {
	conn, sync uint64
	data       []byte
	origin     uint32
	lsn        uint64 // of the CONFIRM, by its origin, or behind it
	until      time.Duration
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
	c.waits.tellings = append(c.waits.tellings, telling{conn: p.conn, sync: p.sync, data: p.data, origin: owner, lsn: c.out.vclock[owner], until: p.until})
}

// checkTold gives the answers whose change enough others know.
func (c *Core) checkTold() {
	left := c.waits.tellings[:0]
	for i := range c.waits.tellings {
		t := &c.waits.tellings[i]
		switch {
		case c.told(t.origin, t.lsn):
			c.eff.reply(t.conn, t.sync, t.data, nil)
		case c.now.Mono >= t.until:
			c.trace(FactUnknown, t.origin, t.lsn, "")
			c.eff.reply(t.conn, t.sync, nil, notTold())
		default:
			left = append(left, *t)
		}
	}
	clear(c.waits.tellings[len(left):])
	c.waits.tellings = left
}

// told tells whether an election quorum has synced the rows of an origin up to an LSN.
func (c *Core) told(origin uint32, lsn uint64) bool {
	have := uint32(0)
	for id := range c.peers.acked {
		if c.peers.acked[id][origin] >= lsn {
			have |= 1 << id
		}
	}
	if c.out.onDisk[origin] >= lsn {
		have |= 1 << c.members.self
	}
	return bits.OnesCount32(have&c.members.confirmed.voters) >= c.members.confirmed.electionQuorum
}

// failTold answers all who wait: our disk can tell nobody any more.
func (c *Core) failTold() {
	for i := range c.waits.tellings {
		c.eff.reply(c.waits.tellings[i].conn, c.waits.tellings[i].sync, nil, notTold())
	}
	c.waits.tellings = nil
}

// notTold is the error of a change that is committed, and that too few know of.
func notTold() *xrow.Error {
	e := outcomeUnknown()
	e.Message += ": the members have changed, and too few of them know it yet; destroy no disk of one before the leader says so"
	return e
}
