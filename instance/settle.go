package instance

import (
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// count commits what a quorum has and answers its clients at once. CONFIRM,
// which tells the others, need not be waited for.
func (c *Core) count() {
	if !c.lead.leading {
		c.settle()
		return
	}
	before := c.limbo.Current().Term
	lsn, err := c.limbo.Count(c.raft.Term(), c.members.confirmed.forLimbo(), c.members.newest.forLimbo())
	if err != nil {
		c.countFailed(err)
		return
	}
	if cur := c.limbo.Current(); lsn != 0 && cur.Term != before {
		c.tookEffect(true)
		if cur.Rules != terms.Tarantool { // its CONFIRMs name synchronous transactions only
			c.addConfirm(lsn)
		}
	}
	c.settle()
	c.showAsync()
}

// countFailed: our PROMOTE cannot take effect, for another one has overtaken it.
// Under the strong rules alone that takes a disk or a peer that lied.
func (c *Core) countFailed(err error) {
	c.raft.Resign(c.now.Mono, err.Error())
	c.afterRaft()
}

// showAsync answers asynchronous transactions that are on our disk and have no
// undecided synchronous one before them.
func (c *Core) showAsync() {
	if !c.lead.leading {
		return
	}
	var seq uint64
	c.limbo.Show(func(e *entry) {
		seq = e.Seq
		e.P.answered = true
		c.waits.answer(&c.eff, &e.P, nil)
	})
	if seq != 0 {
		c.box.Show(seq)
	}
}

// tookEffect notes that another term is in effect. counted: by a quorum, and not
// where its PROMOTE was taken; then all that it left out are told of by number.
func (c *Core) tookEffect(counted bool) {
	c.abortBuild() // of a row that this PROMOTE may void
	cur := c.limbo.Current()
	c.raft.Succeeded(cur.Term)
	c.trace(FactInEffect, cur.Owner, cur.First, "")
	voided := c.noteVoidPromotes()
	for range voided {
		if counted {
			c.trace(FactPromoteVoid, 0, 0, "")
		}
	}
}

// settle draws the conclusions of what the limbo decided.
func (c *Core) settle() {
	done := c.limbo.TakeCommitted()
	if n := len(done); n > 0 {
		c.box.Confirm(done[n-1].Seq)
		if c.share.copy != nil {
			c.share.keepForCopy(done)
		}
		ddl := false
		for i := range done {
			if ddl = ddl || done[i].P.ddl; !done[i].P.ddl {
				c.waits.answer(&c.eff, &done[i].P, nil)
			}
		}
		c.trace(FactCommitted, done[n-1].Origin, done[n-1].LSN, "")
		before := c.members.confirmed.forLimbo()
		if ddl {
			c.refreshMembers()
			c.tellSchema()
			c.answerDDL(done, before.Voters&^c.members.confirmed.voters != 0)
		}
		for i := range done {
			switch j := done[i].P.join; {
			case j == nil:
			case j.anonymous(), c.members.joinsAsLearner(j):
				c.registered(j)
			default:
				c.gate.welcome = append(c.gate.welcome, welcome{join: j, lsn: c.out.vclock[c.members.self], of: before})
			}
		}
	}
	void := c.limbo.TakeVoid()
	if n := len(void); n > 0 {
		c.box.Rollback(void[n-1].Seq)
		c.waits.voidFates(void[n-1].Seq, &c.eff)
		ddl := false
		for i := range void {
			c.voided(&void[i])
			ddl = ddl || void[i].P.ddl
		}
		if ddl {
			c.refreshNewest()
		}
	}
	if again := c.limbo.TakeAgain(); len(again) > 0 {
		c.applyAgain(again)
	}
}

// answerDDL answers changes of the schema that are committed; fewer: somebody
// counts no more.
func (c *Core) answerDDL(done []entry, fewer bool) {
	for i := range done {
		c.tellChange(&done[i], false)
		switch p := &done[i].P; {
		case !p.ddl:
		case fewer && c.limbo.Current().Owner != 0:
			c.tellFirst(p)
		default:
			c.waits.answer(&c.eff, p, nil)
		}
	}
}

func (c *Core) voided(e *entry) {
	kind := FactVoided
	if e.P.answered || !e.Sync {
		kind = FactVoidedAsync
	}
	c.trace(kind, e.Origin, e.LSN, "")
	c.tellChange(e, true)
	c.waits.answer(&c.eff, &e.P, xrow.Errorf(xrow.ErrSyncRollback))
	c.eff.failJoin(e.P.join, xrow.Errorf(xrow.ErrSyncRollback))
	if e.Behind != 0 && !e.Sync && !c.replay {
		// Its author told its client that it is done; Tarantool stops here.
		c.cutStream(e.Origin, splitBrain("got an async transaction from an old term"))
	}
	c.keepLost(e)
}

// keepLost gives a voided transaction to the group that gathers. A crash before
// that is written leaves the transaction undecided, and one behind it finds it
// kept: the row that voids it is in that group or, for our own PROMOTE under the
// Tarantool's rules, in none, and then the rows are undecided again and kept under
// the same name once more. Recovery tells nothing again.
func (c *Core) keepLost(e *entry) {
	if !c.replay && len(e.P.frames) > 0 {
		c.out.addLost(c.now.Wall, xrow.LostRow{Term: e.Term, Origin: e.Origin, LSN: e.LSN, Frame: e.P.frames})
	}
}
