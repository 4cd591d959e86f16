package instance

import (
	"fmt"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

type entry = limbo.Entry[payload]

// payload is what a limbo entry carries for us.
type payload struct {
	conn, sync uint64
	waiting    bool // a client waits for the outcome
	answered   bool // it was told that it is done (asynchronous)
	ddl        bool
	copied     bool          // it writes spaces whose base copy was not here when it came
	data       []byte        // its answer
	failed     *xrow.Error   // in its place, of a repeat whose failure is what is written
	until      time.Duration // it waits so long
	since      time.Duration // when it was queued
	frames     []byte        // its rows as they are in the log
	join       *JoinRequest
	change     *SchemaChange // nil: it is none of ours on system spaces
}

// author is who writes here now. In a term we write once our PROMOTE of it is in the log.
func (c *Core) author() author {
	by := author{id: c.members.self, wall: c.now.Wall}
	if c.lead.leading {
		by.term = c.raft.Term()
	}
	return by
}

// execute runs one transaction. join is set for the registration of a member.
func (c *Core) execute(r *Request, join *JoinRequest) {
	if err := c.refuse(r); err != nil {
		c.eff.turnAway(r, err)
		c.eff.failJoin(join, err)
		return
	}
	if r.Barrier {
		c.tellSchema() // followers must have settled all before it by then
	}
	by := c.author()
	c.seq++
	tx := c.box.Begin(c.seq)
	if c.underStrong() {
		tx.Seal()
	}
	if r.Number != nil && c.meetNumber(tx, r, by.term) {
		return
	}
	data, err := c.run(tx, r)
	if err == nil && r.Forwarded != 0 {
		err = refuseForwarded(tx)
	}
	if err == nil && r.Number != nil {
		err = refuseLocal(tx)
	}
	if err == nil && tx.IsDDL() {
		err = c.completeDDL(tx)
	}
	if err != nil {
		e := clientError(err)
		if r.Number != nil && r.Number.Repeat {
			tx.Abort()
			c.leaveFailure(by, r, e)
			return
		}
		c.answerEmpty(tx, r, by.term, nil, e)
		tx.Abort()
		c.eff.failJoin(join, e)
		return
	}
	later := false
	switch {
	case by.term == 0 && (tx.IsSync() || r.IsSync || c.cfg.SyncAll) && !tx.IsLocal():
		err = xrow.Errorf(xrow.ErrSyncQueueUnclaimed) // nobody could decide it
	case tx.NeedsWork():
		later, err = c.buildLater(tx)
	}
	if err == nil && !later && r.Number != nil {
		err = c.leaveNumber(tx, r.Number, data, nil)
	}
	if err != nil {
		tx.Abort()
		e := clientError(err)
		if r.Number != nil && r.Number.Repeat {
			c.leaveFailure(by, r, e)
			return
		}
		c.eff.reply(r.Conn, r.Sync, nil, e)
		c.eff.failJoin(join, e)
		return
	}
	p := payload{conn: r.Conn, sync: r.Sync, waiting: r.Conn != 0, data: data, ddl: tx.IsDDL(), join: join,
		since: c.now.Mono, until: c.now.Mono + c.cfg.WaitLimit}
	if later {
		c.gate.barrier = true
		c.gate.build = &building{tx: tx, own: true, at: c.now.Mono + c.cfg.BuildPause, p: p,
			req: Request{Conn: r.Conn, Sync: r.Sync, User: r.User, IsSync: r.IsSync, Forwarded: r.Forwarded, Number: r.Number}}
		return
	}
	c.submit(by, tx, r, p)
}

// completeDDL refuses what a change of system spaces may not do, and adds the rows that
// follow from it.
func (c *Core) completeDDL(tx *box.Txn) error {
	if err := c.members.refuseOwnExpulsion(c.box.NewestMembers()); err != nil {
		return err
	}
	if err := c.keepLastID(tx); err != nil {
		return err
	}
	if err := c.refuseProcedures(tx); err != nil {
		return err
	}
	if err := c.tidyFilters(tx); err != nil {
		return err
	}
	return c.endSessionsOf(tx)
}

// run executes the statements and gives the raw DATA of the answer.
func (c *Core) run(tx *box.Txn, r *Request) ([]byte, error) {
	switch {
	case r.Do != nil:
		return r.Do(tx)
	case r.Commit != nil:
		return nil, c.commitDraft(r.Commit, tx)
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
	if !c.writable() && (c.isGlobal(r) || r.Forwarded != 0) || r.Forwarded != 0 && r.Forwarded != c.raft.Term() {
		return c.readonly()
	}
	if c.limbo.Size()+c.waits.fateSize >= c.cfg.QueueMaxSize {
		return queueFull()
	}
	if c.out.gathered() >= max(2*c.cfg.GatherMaxSize, min(c.cfg.QueueMaxSize, ownGather)) {
		e := queueFull()
		e.Message += fmt.Sprintf(": %d bytes wait for the disk", c.out.gathered())
		return e
	}
	return nil
}

// submit encodes the rows of a transaction into the group that gathers, and
// queues it for its outcome.
func (c *Core) submit(by author, tx *box.Txn, r *Request, p payload) {
	rows := tx.Rows()
	sync := by.term != 0 && !tx.IsLocal() && (tx.IsSync() || r.IsSync || c.cfg.SyncAll || tx.IsDDL())
	if len(rows) == 0 {
		if r.Forwarded != 0 {
			p.data = c.withOrigin(p.data)
		}
		c.answerEmpty(tx, r, by.term, p.data, nil)
		tx.Prepare()
		if p.join != nil {
			c.registered(p.join) // it is a member already
		}
		return
	}
	flags := xrow.FlagCommit
	if sync {
		flags |= xrow.FlagWaitSync | xrow.FlagWaitAck
	} else if !tx.IsLocal() && by.term != 0 && (c.limbo.HasSync() || c.limbo.Current().Rules != terms.Tarantool) {
		// Under the strong rules all wait for a quorum. A Tarantool that gets one
		// late makes it a NOP, and does not call it a split brain.
		flags |= xrow.FlagWaitSync
	}
	e := entry{Origin: c.members.self, Term: by.term, Seq: c.seq, Group: c.out.nextNo, Sync: sync}
	if by.term != 0 && c.limbo.Current().Rules == terms.Tarantool && flags&xrow.FlagWaitSync == 0 {
		e.Term = 0 // decided by this write
	}
	if p.ddl {
		p.change = schemaChange(tx, r)
	}
	p.frames = c.out.addTxn(by, rows, flags)
	if r.Forwarded != 0 {
		p.data = c.withOrigin(p.data)
	}
	if tx.IsLocal() {
		c.submitLocal(by.term, tx, r, &p)
		return
	}
	tx.Prepare()
	lsn := c.out.vclock[c.members.self]
	c.limbo.Held(e.Origin, by.term, lsn)
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
func (c *Core) submitLocal(term uint64, tx *box.Txn, r *Request, p *payload) {
	var f fate
	if p.waiting {
		f = c.fateOf(tx, r, term, p.data, nil)
	}
	f.group = c.out.nextNo
	tx.Prepare()
	if f.saw != 0 || f.beat != 0 {
		c.waits.addFate(&f, &c.eff)
		return
	}
	c.waits.local = append(c.waits.local, waiter{group: c.out.nextNo, conn: p.conn, sync: p.sync, data: p.data})
}

// write takes requests of clients in order. Behind a barrier they wait.
func (c *Core) write(requests []Request) {
	for i := range requests {
		r := &requests[i]
		r.Barrier = r.Barrier || r.Do == nil && r.Commit == nil && c.box.IsDDLSpace(r.DML.SpaceID)
		if c.members.founding > 0 {
			if err := c.refuseFounding(r); err != nil {
				c.eff.turnAway(r, err)
				continue
			}
		}
		if (!c.writable() || r.Forwarded != 0 || c.forwards.open > 0) && c.elsewhere(r) {
			c.forward(r)
			continue
		}
		if c.gate.shut() || c.limbo.Len() > 0 && r.Barrier {
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
	if c.gate.build != nil && !c.mayForward(r) {
		err = c.refuse(r)
	}
	if err == nil && !c.gate.hold(r, c.cfg.QueueMaxSize) {
		err = queueFull()
	}
	if err != nil {
		c.eff.turnAway(r, err)
	}
}
