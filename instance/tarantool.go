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
		return cur.Term == 0 || cur.Tarantool || c.limbo.Mixed() || c.tarantools()&(1<<r.ReplicaID) != 0
	}
	for _, p := range c.limbo.Pending() {
		if p.Term == r.Term {
			return p.Tarantool
		}
	}
	return cur.Tarantool
}

// applyTarantool is Tarantool's filter of transactions (limbo.md section 9;
// Tarantool: applier_synchro_filter_tx): the newest PROMOTE or DEMOTE that their
// author wrote says of which term they are. A stamp decides nothing here, for
// they come without it through instances of Tarantool's kind.
func (c *Core) applyTarantool(rows []xrow.Row) error {
	last := &rows[len(rows)-1]
	c.ownWrote(last.ReplicaID)
	cur := c.limbo.Current()
	switch {
	case cur.Term == 0 || cur.Writer == last.ReplicaID || c.replay: // a log has what was taken
	case last.Flags&xrow.FlagWaitSync != 0:
		c.trace(FactLate, last.ReplicaID, last.LSN, "")
		c.appendNop(rows)
		return nil
	case cur.Owner != 0 && !allNop(rows):
		return splitBrain("got an async transaction from an old term")
	}
	return c.applyDML(rows)
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

// classify says how a transaction waits under Tarantool's rules: one that is
// synchronous, or that finds others waiting, for CONFIRM; any other was decided
// by its author's write.
func (c *Core) classify(e *entry) {
	cur := c.limbo.Current()
	p, behind := c.limbo.OwnPending()
	behind = behind && cur.Writer == e.Origin
	e.Term = 0
	if cur.Owner == 0 || !e.Sync && !behind && !c.limbo.Waits() {
		e.Sync = false
		return
	}
	e.Term = cur.Term
	if behind {
		e.Behind = p.Term // not decided here: our PROMOTE may void it
	}
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

// takeRequest takes a CONFIRM, ROLLBACK, PROMOTE or DEMOTE by Tarantool's
// rules: it is judged, logged, and takes effect.
func (c *Core) takeRequest(r *xrow.Row, s *xrow.Synchro) error {
	if r.Type == xrow.Promote && c.replay && !c.cfg.Break.Tarantool && r.ReplicaID == c.ownID() {
		return c.replayOwnPromote(r, s)
	}
	if r.Type != xrow.Promote {
		c.ownWrote(r.ReplicaID)
	}
	kinds := [...]limbo.Kind{xrow.Promote: limbo.Promotion, xrow.Demote: limbo.Demotion, xrow.Confirm: limbo.Confirmation, xrow.Rollback: limbo.Rollback}
	req := limbo.Request{Kind: kinds[r.Type], Origin: r.ReplicaID, Row: r.LSN, Owner: s.ReplicaID, LSN: s.LSN, Term: s.Term, PrevTerm: s.PrevTerm}
	if s.ReplicaID >= uint32(len(c.out.vclock)) {
		return protocolError(r.Type.String() + " of an owner that cannot be")
	}
	if err := c.checkTerm(s.Term); err != nil {
		return err
	}
	req.Known = c.out.vclock[s.ReplicaID]
	if c.filters() {
		if err := c.limbo.Check(req); err != nil {
			return refusal(err)
		}
	}
	c.adopt(s.Term)
	c.appendRows([]xrow.Row{*r})
	c.limbo.Hold(r.ReplicaID, r.LSN)
	before := c.limbo.Current().Term
	if err := c.limbo.Take(req); err != nil {
		return c.contradiction(err.Error())
	}
	if c.limbo.Current().Term != before {
		c.tookEffect(0)
	}
	c.noteVoidPromotes()
	c.settle()
	return nil
}

// filters tells whether requests are judged: not in recovery, and only with a
// schema of more than version 2.10.1, as in Tarantool.
func (c *Core) filters() bool { return !c.replay && !c.members.oldSchema }

// replayOwnPromote: a PROMOTE of ours is pending until a quorum has it, or until
// a later row of ours says that one had.
func (c *Core) replayOwnPromote(r *xrow.Row, s *xrow.Synchro) error {
	c.appendRows([]xrow.Row{*r})
	_, err := c.limbo.AddPromote(limbo.Promote{Term: s.Term, Owner: r.ReplicaID, LSN: r.LSN,
		PrevTerm: s.PrevTerm, PrevOwner: s.ReplicaID, PrevLSN: s.LSN, Tarantool: true})
	return err
}

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

// noteVoidPromotes remembers PROMOTEs of ours that took effect nowhere.
func (c *Core) noteVoidPromotes() {
	for _, p := range c.limbo.TakeVoidPromotes() {
		if p.Tarantool { // those of ours are told of by number
			c.trace(FactPromoteVoid, p.Owner, p.LSN, "")
		}
		if p.Owner == c.ownID() {
			c.lead.voidPromotes = append(c.lead.voidPromotes, p.LSN)
			c.lead.newVoid = true
		}
	}
}

// refusal is the limbo's word as a client knows it.
func refusal(err error) error {
	var r *limbo.Refusal
	if !errors.As(err, &r) {
		return err
	}
	if r.SplitBrain {
		return splitBrain(r.Text)
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
