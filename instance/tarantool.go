package instance

import (
	"errors"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/xrow"
)

// restamp gives a row that came through an instance of Tarantool's kind, which
// drops the stamp, its term back, as far as the history of PROMOTEs tells it.
func (c *Core) restamp(rows []xrow.Row) {
	if c.cfg.Break.Tarantool {
		for i := range rows {
			rows[i].Term = 0
		}
		return
	}
	if rows[0].Term != 0 {
		return
	}
	if term := c.limbo.TermOf(rows[0].ReplicaID, rows[0].LSN); term != 0 {
		for i := range rows {
			rows[i].Term = term
		}
	}
}

// underTarantool tells whether a row that is no request is judged by the
// Tarantool's rules: nobody ever promoted, they hold in the term in effect, or
// the row has no stamp although it could be one of a time when they held.
func (c *Core) underTarantool(r *xrow.Row) bool {
	cur := c.limbo.Current()
	if c.cfg.Break.Tarantool {
		return true
	}
	if r.Term == 0 {
		return cur.Term == 0 || cur.Rules == limbo.Tarantool || c.limbo.Mixed() || c.tarantools()&(1<<r.ReplicaID) != 0
	}
	for _, p := range c.limbo.Pending() {
		if p.Term == r.Term {
			return p.Rules == limbo.Tarantool
		}
	}
	return cur.Rules == limbo.Tarantool
}

// ownWrote: recovery finds a row of ours behind our pending PROMOTE. We wrote it
// because a quorum had that.
func (c *Core) ownWrote(origin uint32) {
	if p, ok := c.limbo.OwnPending(); ok && p.Owner == origin && c.replay && !c.restoring {
		if err := c.confirm(p.Term, 0); err != nil {
			panic("instance: " + err.Error())
		}
	}
}

// refuseUnclaimed: a synchronous transaction needs an owner of the queue.
func (c *Core) refuseUnclaimed(tx *box.Txn, last *xrow.Row) error {
	if c.underTarantool(last) && isSync(tx, last) && c.limbo.Current().Owner == 0 && !c.replay {
		return xrow.Errorf(xrow.ErrSyncQueueUnclaimed)
	}
	return nil
}

// skips tells whether replication_skip_conflict passes over a row with this
// error: its key is taken.
func (c *Core) skips(err error) bool {
	return c.cfg.SkipConflict && !c.replay && errors.Is(err, xrow.ErrTupleFound)
}

// waitsForDisk: a change of the schema starts when nothing is undecided, and
// what we wrote without a term is not before it is on our disk.
func (c *Core) waitsForDisk(rows []xrow.Row) bool {
	c.gate.ddlWaits = false
	if !c.limbo.Unwritten() {
		return false
	}
	for i := range rows {
		if !rows[i].Type.IsDML() || rows[i].Type == xrow.Nop {
			continue
		}
		if d, err := xrow.DecodeDML(rows[i].Type, rows[i].Body); err == nil && c.box.IsDDLSpace(d.SpaceID) {
			c.gate.ddlWaits = true
			return true
		}
	}
	return false
}

// requestOfTarantool tells whether CONFIRM, ROLLBACK, PROMOTE or DEMOTE is meant
// by Tarantool's rules.
func (c *Core) requestOfTarantool(r *xrow.Row, s *xrow.Synchro) bool {
	if c.cfg.Break.Tarantool {
		s.PrevTerm = 0
		return true
	}
	switch r.Type {
	case xrow.Promote:
		if s.Rules == 1 && r.Term == 0 {
			r.Term = s.Term // it came through an instance of Tarantool's kind
		}
		return s.Rules != 1
	case xrow.Confirm:
		return r.Term == 0 || c.underTarantool(r)
	}
	return true
}

// filters tells whether requests are judged: not in recovery, and only with a
// schema of more than version 2.10.1, as in Tarantool.
func (c *Core) filters() bool { return !c.replay && !c.members.oldSchema }

// ownID is our replica ID, in recovery too.
func (c *Core) ownID() uint32 {
	if c.members.self != 0 {
		return c.members.self
	}
	for _, m := range c.box.NewestMembers() {
		if m.UUID == c.cfg.UUID {
			return m.ID
		}
	}
	return 0
}

// noteVoidPromotes remembers PROMOTEs of ours that took effect nowhere. n are all
// that are void.
func (c *Core) noteVoidPromotes() (n int) {
	void := c.limbo.TakeVoidPromotes()
	for _, p := range void {
		if p.Rules == limbo.Tarantool { // those of ours are told of by number
			c.trace(FactPromoteVoid, p.Owner, p.LSN, "")
		}
		if p.Owner == c.ownID() {
			c.lead.voidPromotes = append(c.lead.voidPromotes, p.LSN)
			c.lead.newVoid = true
		}
	}
	return len(void)
}

// refusal is the limbo's word as a client knows it.
func (c *Core) refusal(err error) error {
	var r *limbo.Refusal
	switch {
	case !errors.As(err, &r):
		return c.contradiction(err.Error())
	case r.Kind == limbo.SplitBrain:
		return splitBrain(r.Text)
	case r.Kind == limbo.Misorder:
		return protocolError(r.Text)
	}
	return xrow.Errorf(xrow.ErrUnsupported, "Replication", r.Text)
}

// contradiction ends a stream whose rows do not fit our history of PROMOTEs. Under the
// strong rules alone no honest disk brings that about: what a peer says wrongly now
// it may say rightly later. Where Tarantools had a say it is a split brain.
func (c *Core) contradiction(text string) error {
	if !c.limbo.Mixed() && c.tarantools() == 0 {
		return protocolError(text)
	}
	return splitBrain(text)
}

// adopt follows a greater term, in a record before the row that told it.
func (c *Core) adopt(term uint64) {
	if c.replay || term <= c.raft.Term() {
		return
	}
	c.raft.Adopt(term, c.now.Mono)
	c.afterRaft()
}
