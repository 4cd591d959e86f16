package instance

import (
	"time"

	"tarragon/limbo"
	"tarragon/raft"
	"tarragon/xrow"
)

// lead makes the winner of an election write its PROMOTE. It follows the
// newest PROMOTE of its own log, in effect or not, up to the last row held of
// that term. Writes are taken when a quorum has it, not before.
func (c *Core) lead() {
	c.abortBuild() // a row of an older term comes behind our PROMOTE now, if at all
	c.leading = true
	prevTerm, prevOwner, prevLSN := c.limbo.Newest()
	if c.cfg.Break.FollowEffective {
		cur := c.limbo.Current()
		prevTerm, prevOwner, prevLSN = cur.Term, cur.Owner, cur.Last
	}
	term := c.raft.Term()
	body := xrow.Synchro{ReplicaID: prevOwner, LSN: prevLSN, Term: term, PrevTerm: prevTerm, Rules: 1}
	c.scratch = body.AppendBody(c.scratch[:0])
	chained := len(c.limbo.Pending()) > 0
	lsn := c.addOwn(xrow.Promote, c.scratch, term)
	void, err := c.limbo.AddPromote(limbo.Promote{Term: term, Owner: c.self, LSN: lsn,
		PrevTerm: prevTerm, PrevOwner: prevOwner, PrevLSN: prevLSN})
	if err != nil || void {
		panic("instance: our own PROMOTE does not fit our log")
	}
	c.limbo.Lead(lsn)
	c.trace(FactPromoteWritten, c.self, lsn, "")
	if c.limbo.Len() > 0 {
		c.trace(FactPromoteMetQueue, prevOwner, prevLSN, "")
	}
	if chained {
		c.trace(FactPromoteChained, prevOwner, prevLSN, "")
	}
	if c.cfg.Break.PromoteAtOnce {
		_ = c.confirm(term, lsn)
		c.addConfirm(lsn)
	}
}

// promoteWaiter is a box.ctl.promote that waits to be writable.
type promoteWaiter struct {
	conn, sync uint64
	term       uint64
	until      time.Duration
}

func (c *Core) promote(ev PromoteRequest) {
	if c.leading && c.limbo.Current().Term == c.raft.Term() {
		c.reply(ev.Conn, ev.Sync, noValues, nil)
		return
	}
	if c.cfg.Mode == raft.Voter {
		c.reply(ev.Conn, ev.Sync, nil, &xrow.Error{Code: xrow.ErrUnsupported, Message: "election_mode='voter' does not support manual elections"})
		return
	}
	if !c.raft.Promote(c.now.Mono) {
		c.reply(ev.Conn, ev.Sync, nil, c.readonly())
		return
	}
	c.promotes = append(c.promotes, promoteWaiter{conn: ev.Conn, sync: ev.Sync, term: c.raft.Term(), until: c.now.Mono + c.cfg.PromoteTimeout})
}

// checkPromotes answers promotions whose outcome is known.
func (c *Core) checkPromotes() {
	keep := c.promotes[:0]
	for _, w := range c.promotes {
		switch {
		case c.leading && c.raft.Term() == w.term && c.limbo.Current().Term == w.term:
			c.reply(w.conn, w.sync, noValues, nil)
		case c.raft.Term() > w.term && c.raft.Leader() != 0:
			c.reply(w.conn, w.sync, nil, xrow.Errorf(xrow.ErrInterferingPromote, c.raft.Leader()))
		case c.raft.Term() > w.term:
			c.reply(w.conn, w.sync, nil, xrow.Errorf(xrow.ErrInterferingElections))
		case c.now.Mono >= w.until:
			c.reply(w.conn, w.sync, nil, xrow.Errorf(xrow.ErrQuorumWait, c.quorum, "the PROMOTE has no quorum yet"))
		default:
			keep = append(keep, w)
		}
	}
	c.promotes = keep
}

// demote gives leadership up in the same term. The queue keeps its owner, and
// is frozen until the next PROMOTE.
func (c *Core) demote(ev DemoteRequest) {
	if c.raft.State() == raft.StateLeader {
		c.raft.Resign(c.now.Mono, "box.ctl.demote")
	}
	c.reply(ev.Conn, ev.Sync, noValues, nil)
}
