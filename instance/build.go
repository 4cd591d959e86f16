package instance

import (
	"math"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// building is the transaction that stays open between two Steps: a change of
// the schema with tuples left to look at. It is no part of the log yet, so it
// counts for no vote and no ack, and nothing of it is lost with us.
//
// Invariant: while there is one, no other transaction begins. Requests and
// registrations wait as behind any barrier, rows of peers in the backlog, whose
// first transaction is the one that is built when it is foreign.
type building struct {
	tx  *box.Txn
	own bool
	at  time.Duration // when the next slice is due

	req Request // own: what submit needs to know of it
	p   payload
}

// buildLater tells whether work that a transaction needs is done in slices. Where
// they make no sense or are not safe it does all of it now: in recovery nobody
// waits, and undecided transactions, behind which nobody should change the
// schema, may have to go from below it.
func (c *Core) buildLater(tx *box.Txn) (later bool, err error) {
	if !c.replay && c.limbo.Len() == 0 {
		return true, nil
	}
	_, err = tx.Build(math.MaxInt)
	return false, err
}

// buildOn does the next slice, and what follows the last one.
func (c *Core) buildOn() {
	b := c.gate.build
	if b == nil {
		return
	}
	if b.own && !c.writable() || c.out.failed != nil {
		c.abortBuild()
		return
	}
	if c.now.Mono < b.at {
		return
	}
	more, err := b.tx.Build(c.cfg.BuildRows)
	switch {
	case more:
		b.at = c.now.Mono + c.cfg.BuildPause
	case b.own:
		c.builtOwn(err)
	default:
		c.builtForeign(err)
	}
}

// builtOwn submits the transaction as if it had been executed just now.
func (c *Core) builtOwn(err error) {
	b := c.gate.build
	c.gate.build = nil
	n := b.req.Number
	if err == nil && n != nil {
		err = c.leaveNumber(b.tx, n, b.p.data, nil)
	}
	if err != nil {
		b.tx.Abort()
		e := clientError(err)
		if n != nil && n.Repeat {
			c.leaveFailure(c.author(), &b.req, e)
			return
		}
		c.eff.reply(b.p.conn, b.p.sync, nil, e)
		c.eff.failJoin(b.p.join, e)
		return
	}
	c.trace(FactBuilt, 0, 0, "")
	b.p.since, b.p.until = c.now.Mono, c.now.Mono+c.cfg.WaitLimit
	c.submit(c.author(), b.tx, &b.req, b.p)
}

// builtForeign takes the rows at the head of the backlog into the log.
func (c *Core) builtForeign(err error) {
	b := c.gate.build
	c.gate.build = nil
	from := c.gate.backlog.head().from
	if err != nil {
		b.tx.Abort()
		c.cutStream(from, clientError(err))
		return
	}
	rows := c.gate.backlog.takeTxn()
	last := &rows[len(rows)-1]
	c.trace(FactBuiltForeign, last.ReplicaID, last.LSN, "")
	a := c.arrive(rows, nil)
	a.copied = slices.ContainsFunc(a.dml, func(d xrow.DML) bool { return c.share.isLacking(d.SpaceID) })
	c.applied(b.tx, &a, c.rulesOf(&a))
	c.raft.VClockGrew()
}

// abortBuild gives the open transaction up. A client learns why; rows of a
// peer are still in the backlog, and judged anew.
func (c *Core) abortBuild() {
	b := c.gate.build
	if b == nil {
		return
	}
	c.gate.build = nil
	b.tx.Abort()
	if !b.own {
		c.trace(FactRowGivenUp, 0, 0, "")
		return
	}
	c.trace(FactBuildLost, 0, 0, "")
	err := c.unwritable()
	c.eff.reply(b.p.conn, b.p.sync, nil, err)
	c.eff.failJoin(b.p.join, err)
}
