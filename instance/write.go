package instance

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"
)

type entry = limbo.Entry[payload]

// isBarrier: the request changes system spaces. It starts when nothing is
// undecided, and nothing is accepted behind it until it is decided.
func (c *Core) isBarrier(r *Request) bool {
	return r.Barrier || r.Do == nil && c.box.IsDDLSpace(r.DML.SpaceID)
}

// writable tells whether this instance takes writes to replicated spaces.
func (c *Core) writable() bool {
	if c.members.self == 0 || c.out.failed != nil || c.members.expelled || c.closing || c.cfg.ReadOnly {
		return false
	}
	cur := c.limbo.Current()
	if c.cfg.Mode == raft.Off && cur.Owner == 0 && !c.lead.leading {
		return c.raft.Term() <= max(cur.Term, 1)
	}
	return c.lead.leading && cur.Term == c.raft.Term()
}

// stampTerm is the term that our rows carry; 0: they are decided by their
// write.
func (c *Core) stampTerm() uint64 {
	if c.lead.leading {
		return c.raft.Term()
	}
	return 0
}

// execute runs one transaction. join is set for the registration of a member.
func (c *Core) execute(r *Request, join *JoinRequest) {
	if err := c.refuse(r); err != nil {
		c.eff.reply(r.Conn, r.Sync, nil, err)
		c.eff.failJoin(join, err)
		return
	}
	c.tellBeforeBarrier(r)
	c.seq++
	tx := c.box.Begin(c.seq)
	if c.underStrong() {
		tx.Seal()
	}
	data, err := c.run(tx, r)
	if err == nil && tx.IsDDL() {
		if err = c.refuseOwnExpulsion(); err == nil {
			err = c.keepLastID(tx)
		}
	}
	if err != nil {
		e := clientError(err)
		c.answerEmpty(tx, r, nil, e)
		tx.Abort()
		c.eff.failJoin(join, e)
		return
	}
	err = c.refuseSync(tx, r)
	later := false
	if err == nil {
		later, err = c.buildLater(tx)
	}
	if err != nil {
		tx.Abort()
		e := clientError(err)
		c.eff.reply(r.Conn, r.Sync, nil, e)
		c.eff.failJoin(join, e)
		return
	}
	p := payload{conn: r.Conn, sync: r.Sync, waiting: r.Conn != 0, data: data, ddl: tx.IsDDL(), join: join,
		since: c.now.Mono, until: c.now.Mono + c.cfg.WaitLimit}
	if later {
		c.gate.barrier = true
		c.gate.build = &building{tx: tx, own: true, at: c.now.Mono + c.cfg.BuildPause, p: p,
			req: Request{Conn: r.Conn, Sync: r.Sync, IsSync: r.IsSync}}
		return
	}
	c.submit(tx, r, p)
}

// run executes the statements and gives the raw DATA of the answer.
func (c *Core) run(tx *box.Txn, r *Request) ([]byte, error) {
	if r.Do != nil {
		return r.Do(tx)
	}
	tuple, err := tx.Execute(r.User, &r.DML)
	if err != nil {
		return nil, err
	}
	return c.waits.data(r.DML.Type, tuple), nil
}

// refuse checks what does not depend on the transaction.
func (c *Core) refuse(r *Request) *xrow.Error {
	if c.out.failed != nil {
		return c.unwritable()
	}
	if !c.writable() && (r.Do != nil || c.box.IsGlobalSpace(r.DML.SpaceID)) {
		return c.readonly()
	}
	if c.limbo.Size()+c.waits.fateSize >= c.cfg.QueueMaxSize {
		return queueFull()
	}
	return c.refuseOwn()
}

// refuseSync: nobody owns the queue, so nothing synchronous can be decided.
func (c *Core) refuseSync(tx *box.Txn, r *Request) error {
	if c.stampTerm() == 0 && (tx.IsSync() || r.IsSync || c.cfg.SyncAll) && !tx.IsLocal() {
		return xrow.Errorf(xrow.ErrSyncQueueUnclaimed)
	}
	return nil
}

// tellBeforeBarrier writes the CONFIRM of what came before a change of the
// schema in front of it: followers must have settled all that by then.
func (c *Core) tellBeforeBarrier(r *Request) {
	if c.isBarrier(r) {
		c.tellSchema()
	}
}

// submit encodes the rows of a transaction into the group that gathers, and
// queues it for its outcome.
func (c *Core) submit(tx *box.Txn, r *Request, p payload) {
	rows := tx.Rows()
	term := c.stampTerm()
	sync := term != 0 && !tx.IsLocal() && (tx.IsSync() || r.IsSync || c.cfg.SyncAll || tx.IsDDL())
	if len(rows) == 0 {
		c.answerEmpty(tx, r, p.data, nil)
		tx.Prepare()
		if p.join != nil {
			c.registered(p.join) // it is a member already
		}
		return
	}
	flags := xrow.FlagCommit
	if sync {
		flags |= xrow.FlagWaitSync | xrow.FlagWaitAck
	} else if !tx.IsLocal() && term != 0 && (c.limbo.HasSync() || c.limbo.Current().Rules != limbo.Tarantool) {
		// Under the strong rules all wait for a quorum. A Tarantool that gets one
		// late makes it a NOP, and does not call it a split brain.
		flags |= xrow.FlagWaitSync
	}
	e := entry{Origin: c.members.self, Term: term, Seq: c.seq, Group: c.out.nextNo, Sync: sync}
	if term != 0 && c.limbo.Current().Rules == limbo.Tarantool && flags&xrow.FlagWaitSync == 0 {
		e.Term = 0 // decided by this write
	}
	p.frames = c.out.addTxn(c.author(term), rows, flags)
	if tx.IsLocal() {
		c.submitLocal(tx, r, &p)
		return
	}
	tx.Prepare()
	lsn := c.out.vclock[c.members.self]
	c.limbo.Held(e.Origin, term, lsn)
	if p.waiting {
		c.waits.clients++
	}
	e.LSN, e.Bytes, e.P = lsn, len(p.frames), p
	c.limbo.Push(e)
	if p.ddl {
		c.gate.barrier = true
		c.refreshNewest()
	}
}

// submitLocal ends a transaction that changes local spaces only: its rows are in the
// group that gathers. Its answer may stand on what it met elsewhere.
func (c *Core) submitLocal(tx *box.Txn, r *Request, p *payload) {
	var f fate
	if p.waiting {
		f = c.fateOf(tx, r, p.data, nil)
	}
	f.group = c.out.nextNo
	tx.Prepare()
	if f.saw != 0 || f.beat != 0 {
		c.waits.addFate(&f, &c.eff)
		return
	}
	c.waits.local = append(c.waits.local, waiter{group: c.out.nextNo, conn: p.conn, sync: p.sync, data: p.data})
}

// count commits what a quorum has and answers its clients at once. CONFIRM,
// which tells the others, need not be waited for.
func (c *Core) count() {
	if !c.lead.leading {
		c.settle()
		return
	}
	if c.cfg.Break.CountOldTerm {
		c.countOldTerm()
	}
	before := c.limbo.Current().Term
	lsn, err := c.limbo.Count(c.raft.Term(), c.members.confirmed.forLimbo(), c.members.newest.forLimbo())
	if err != nil {
		c.countFailed(err)
		return
	}
	if cur := c.limbo.Current(); lsn != 0 && cur.Term != before {
		c.tookEffect(true)
		if cur.Rules != limbo.Tarantool { // its CONFIRMs name synchronous transactions only
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

// countOldTerm (planted fault): rows of the older term commit when a quorum
// holds them, as Raft's figure 8 warns against.
func (c *Core) countOldTerm() {
	cur := c.limbo.Current()
	if cur.Term == c.raft.Term() || cur.Owner == 0 {
		return
	}
	for i := range c.limbo.Len() {
		e := c.limbo.At(i)
		holders := 1
		for _, m := range c.members.ids {
			if m.ID != c.members.self && c.peers.acked[m.ID][cur.Owner] >= e.LSN {
				holders++
			}
		}
		if holders >= c.members.confirmed.synchroQuorum {
			_ = c.limbo.Confirm(cur.Term, e.LSN)
			return
		}
	}
}

// tookEffect notes that another term is in effect. counted: by a quorum, and not
// where its PROMOTE was taken; then all that it left out are told of by number.
func (c *Core) tookEffect(counted bool) {
	c.abortBuild() // of a row that this PROMOTE may void
	cur := c.limbo.Current()
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
			case c.joinsAsLearner(j):
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
		switch p := &done[i].P; {
		case !p.ddl:
		case fewer && c.limbo.Current().Owner != 0:
			c.tellFirst(p)
		default:
			c.waits.answer(&c.eff, p, nil)
		}
	}
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

func (c *Core) voided(e *entry) {
	kind := FactVoided
	if e.P.answered || !e.Sync {
		kind = FactVoidedAsync
	}
	c.trace(kind, e.Origin, e.LSN, "")
	c.waits.answer(&c.eff, &e.P, xrow.Errorf(xrow.ErrSyncRollback))
	c.eff.failJoin(e.P.join, xrow.Errorf(xrow.ErrSyncRollback))
	if e.Behind != 0 && !e.Sync && !c.replay {
		// Its author told its client that it is done; Tarantool stops here.
		c.cutStream(e.Origin, splitBrain("got an async transaction from an old term"))
	}
	c.keepLost(e)
}

// write takes requests of clients in order. Behind a barrier they wait.
func (c *Core) write(requests []Request) {
	for i := range requests {
		r := &requests[i]
		if c.members.founding > 0 {
			if err := c.refuseFounding(r); err != nil {
				c.eff.reply(r.Conn, r.Sync, nil, err)
				continue
			}
		}
		if c.gate.shut() || c.limbo.Len() > 0 && c.isBarrier(r) {
			c.hold(r)
			continue
		}
		c.execute(r, nil)
	}
}

// hold lets a request wait. One that would be refused by now is not worth that
// while a change of the schema is built, which may take long.
func (c *Core) hold(r *Request) {
	var err *xrow.Error
	if c.gate.build != nil {
		err = c.refuse(r)
	}
	if err == nil && !c.gate.hold(r, c.cfg.QueueMaxSize) {
		err = queueFull()
	}
	if err != nil {
		c.eff.reply(r.Conn, r.Sync, nil, err)
	}
}

// releaseHeld runs what waited for a barrier, up to the next one. Writes that a
// deposed leader cannot do any more are answered; those of local spaces stay.
func (c *Core) releaseHeld() {
	g := &c.gate
	if len(g.held) > 0 && !c.writable() {
		g.failHeld(&c.eff, c.refuse)
	}
	for len(g.held) > 0 && g.build == nil {
		if c.writable() && c.limbo.Len() > 0 && (g.barrier || g.choresWait() || c.isBarrier(&g.held[0])) {
			return
		}
		r := g.takeHeld()
		c.execute(&r, nil)
	}
	if c.limbo.Len() == 0 && g.build == nil {
		g.barrier = false
	}
}

// unwritable is the answer to a write that this instance cannot take.
func (c *Core) unwritable() *xrow.Error {
	if c.out.failed != nil {
		return &xrow.Error{Code: xrow.ErrWALIO, Message: "Failed to write to disk: " + c.out.failed.Error(), Err: c.out.failed}
	}
	return c.readonly()
}
