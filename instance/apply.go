package instance

import (
	"errors"
	"fmt"
	"math"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// takeRows takes whole transactions from the stream of a peer. A transaction
// that cannot be taken ends the stream; those before it stay.
func (c *Core) takeRows(ev Rows) {
	c.raft.Heard(c.now.Mono, ev.From)
	if c.out.failed != nil || c.members.expelled {
		return
	}
	if c.gate.cut&(1<<ev.From) != 0 || ev.Gen != c.share.gen {
		return // what was on its way when we refused the stream, or asked for another share
	}
	c.share.kept = nil // its sender knows us by our filter
	if c.gate.build != nil || len(c.gate.backlog.events) > 0 {
		kind := FactRowsHeld
		if !c.gate.holdRows(&ev, c.cfg.BacklogMaxSize, &c.eff) {
			kind = FactBacklogFull
		}
		c.trace(kind, ev.From, 0, "")
		return
	}
	if limit := 2 * c.cfg.GatherMaxSize; c.out.gathered() >= limit {
		c.trace(FactGatherFull, ev.From, 0, "")
		// Such an error makes an applier come back.
		c.gate.refuse(ev.From, xrow.Errorf(xrow.ErrSystem, fmt.Sprintf("more than %d bytes wait for the disk", limit)), &c.eff)
		return
	}
	rest, err := c.takeEach(ev.From, ev.Rows)
	if err != nil {
		c.cutStream(ev.From, clientError(err))
		return
	}
	if len(rest) > 0 {
		c.gate.backlog.add(ev.From, ev.Gen, rest)
	}
	c.raft.VClockGrew()
}

// takeEach takes transaction after transaction. rest begins with one that stays
// open to be built, and waits in the backlog. What is behind a row that gives this replica
// other spaces is dropped: it was cut for the earlier ones, and is asked for anew.
func (c *Core) takeEach(from uint32, rows []xrow.Row) (rest []xrow.Row, err error) {
	for gen := c.share.gen; len(rows) > 0 && gen == c.share.gen; {
		a := c.arrive(rows, nil)
		if a.rows == nil {
			return nil, protocolError("a transaction without its last row")
		}
		// A change of the schema starts when nothing is undecided, and what we wrote
		// without a term is not before it is on our disk.
		if c.gate.ddlWaits = a.ddl && c.limbo.Unwritten(); c.gate.ddlWaits {
			return rows, nil
		}
		if err := c.takeTxn(from, &a); err != nil {
			return nil, err
		}
		if c.gate.build != nil {
			return rows, nil
		}
		rows = rows[len(a.rows):]
	}
	return nil, nil
}

// takeTxn takes one transaction: the term it tells of first, in a record
// before the rows; then what becomes of it; then the rows.
func (c *Core) takeTxn(from uint32, a *arrival) error {
	first, last := &a.rows[0], a.last()
	if err := c.checkTxn(a.rows); err != nil {
		return err
	}
	if last.LSN <= c.out.vclock[last.ReplicaID] {
		return nil // from another path of the mesh
	}
	if last.ReplicaID == c.members.self {
		if !c.cfg.Trusted {
			c.broken(fmt.Errorf("%w: LSN %d of ours is at instance %d, here it ends with %d", ErrLostData, last.LSN, from, c.out.vclock[c.members.self]))
			return clientError(c.out.failed)
		}
		if c.lead.leading { // it writes on from there
			return protocolError(fmt.Sprintf("LSN %d of instance %d, which leads and has written %d", last.LSN, c.members.self, c.out.vclock[c.members.self]))
		}
	}
	if held := c.out.vclock[last.ReplicaID]; first.First() <= held && len(a.rows) == 1 && first.Type == xrow.Nop {
		first.From = held + 1 // of what was cut we have the beginning by another path
	} else if first.First() <= held {
		return protocolError(fmt.Sprintf("a transaction that begins with LSN %d of instance %d, of which %d is held",
			first.First(), last.ReplicaID, held))
	}
	if c.cfg.Kind == xrow.Tarantool {
		a.stamp(0)
	}
	if last.Term > c.raft.Term() {
		if err := c.checkTerm(last.Term); err != nil {
			return err
		}
		c.adopt(last.Term)
	}
	return c.apply(a)
}

// checkTxn refuses rows that no honest relay sends.
func (c *Core) checkTxn(rows []xrow.Row) error {
	origin := rows[0].ReplicaID
	if origin == 0 || origin >= vclock.Max {
		return xrow.Errorf(xrow.ErrUnknownReplica, fmt.Sprint(origin), c.box.ReplicasetUUID())
	}
	if rows[0].TSN != rows[0].LSN {
		return protocolError("a transaction whose first row is missing")
	}
	for i := range rows {
		r := &rows[i]
		switch {
		case r.ReplicaID != origin || r.Term != rows[0].Term || r.TSN != rows[0].TSN:
			return &xrow.Error{Code: xrow.ErrUnsupported, Message: "replication does not support interleaving transactions"}
		case i > 0 && r.LSN <= rows[i-1].LSN:
			return xrow.Errorf(xrow.ErrInvalidOrder, origin, rows[i-1].LSN, r.LSN)
		case r.From > r.LSN || r.From != 0 && i > 0 && r.From <= rows[i-1].LSN:
			return xrow.Errorf(xrow.ErrInvalidOrder, origin, r.LSN, r.From)
		case r.From != 0 && c.share.filter == "":
			return protocolError("a row that stands for others, which were cut, in a stream that has all")
		case r.GroupID == xrow.GroupLocal:
			return protocolError("a local row in a stream")
		case r.Type.IsSynchro() && len(rows) > 1:
			return protocolError(r.Type.String() + " in a transaction of several rows")
		case r.Type == xrow.InsertArrow || r.Type == xrow.DeleteRange:
			d, _ := xrow.DecodeDML(r.Type, r.Body) // it has other keys as well
			return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", fmt.Sprintf("rows of type %v (space %d)", r.Type, d.SpaceID))
		case !r.Type.IsDML() && !r.Type.IsSynchro() && r.Type != xrow.Nop:
			return xrow.Errorf(xrow.ErrUnknownRequestType, uint32(r.Type))
		}
	}
	return nil
}

// apply puts a checked transaction into the log and draws its conclusions.
func (c *Core) apply(a *arrival) error {
	v, err := c.judge(a)
	switch {
	case err != nil:
		return err
	case v.of == limbo.Void:
		c.applyVoid(a, &v)
	case v.of == limbo.Idle:
		c.log(a)
	case v.row.Kind == limbo.Transaction:
		return c.applyTxn(a, &v)
	default:
		return c.applyRequest(a, &v)
	}
	return nil
}

// applyVoid keeps the place of what a newer term excludes. Tarantools stop at a
// PROMOTE of an older term.
func (c *Core) applyVoid(a *arrival, v *verdict) {
	kind, text := FactLate, ""
	if v.row.Kind == limbo.Promotion {
		kind, text = FactPromoteVoid, "late"
	}
	c.trace(kind, v.row.Origin, a.last().LSN, text)
	a.void()
	c.log(a)
}

// void makes NOPs of all rows.
func (a *arrival) void() {
	nops := make([]xrow.Row, len(a.rows)) // what came is the sender's
	for i := range a.rows {
		nops[i] = voidNop(&a.rows[i])
	}
	a.rows, a.empty, a.frames = nops, true, nil
}

// applyTxn applies statements as an undecided transaction; without a term it
// was decided by its author's write.
func (c *Core) applyTxn(a *arrival, v *verdict) error {
	last := a.last()
	if a.empty {
		c.keepNops(a)
		return nil
	}
	if n := len(c.limbo.Pending()); n > 0 && last.Term != 0 {
		c.trace(FactBehindPromote, last.ReplicaID, last.LSN, "")
	}
	if a.ddl {
		c.restartCopy(a)
	}
	c.seq++
	tx := c.box.Begin(c.seq)
	a.empty = true
	for i := range a.rows {
		if a.rows[i].Type == xrow.Nop {
			continue
		}
		err := a.err
		if err == nil || i != a.bad {
			if c.share.filter != "" && !c.takes(a.dml[i].SpaceID) {
				c.leaveOut(a, i)
				continue
			}
			err = tx.Apply(&a.dml[i])
		}
		if err == nil {
			a.empty = false
		} else if err := c.passOver(a, i, tx, err); err != nil {
			tx.Abort()
			return err
		}
	}
	if a.empty { // all were passed over
		tx.Abort()
		c.keepNops(a)
		return nil
	}
	if v.rules == terms.Tarantool && !a.logged && c.limbo.Current().Owner == 0 && a.isSync(tx) {
		tx.Abort()
		return xrow.Errorf(xrow.ErrSyncQueueUnclaimed)
	}
	var later bool
	var err error
	if tx.NeedsWork() {
		later, err = c.buildLater(tx)
	}
	switch {
	case err != nil:
		tx.Abort()
		return c.rowError(last, 0, err)
	case later:
		c.gate.build = &building{tx: tx, at: c.now.Mono + c.cfg.BuildPause}
		return nil
	}
	c.applied(tx, a, v.rules)
	return nil
}

// passOver makes a NOP of a row whose key is taken, where replication_skip_conflict
// says so. Any other error is one of the stream.
func (c *Core) passOver(a *arrival, i int, tx *box.Txn, err error) error {
	r := &a.rows[i]
	e := c.rowError(r, a.dml[i].SpaceID, err)
	switch {
	case a.logged:
		return e
	case tx.Undecided() != 0 && c.limbo.Waits():
		// What is in its way may be void soon. Such an error makes an applier come
		// back; that of the statement would end the stream for good.
		return xrow.Errorf(xrow.ErrSystem, e.Message+". It is asked for again: what it met is undecided")
	case !c.cfg.SkipConflict || !errors.Is(err, xrow.ErrTupleFound):
		return e
	}
	c.trace(FactSkipped, r.ReplicaID, r.LSN, err.Error())
	*r = nopOf(r)
	return nil
}

// keepNops takes a transaction that changes nothing: it waits for nobody.
func (c *Core) keepNops(a *arrival) {
	a.void()
	c.log(a)
	last := a.last()
	c.limbo.Held(last.ReplicaID, last.Term, last.LSN)
}

// applied puts a transaction whose statements ran into the log and the queue.
func (c *Core) applied(tx *box.Txn, a *arrival, rules terms.Rules) {
	last := a.last()
	p := payload{ddl: tx.IsDDL(), copied: a.copied, since: c.now.Mono}
	e := entry{Origin: last.ReplicaID, LSN: last.LSN, Term: last.Term, Seq: c.seq, Sync: a.isSync(tx)}
	tx.Prepare()
	p.frames = c.log(a)
	e.Bytes, e.P = len(p.frames), p
	c.limbo.Held(last.ReplicaID, last.Term, last.LSN)
	if c.limbo.TakeTxn(rules, e) {
		c.limbo.Written(c.out.written)
		c.settle()
	}
	if p.ddl {
		c.refreshNewest()
	}
}

// applyAgain takes transactions without a term anew that stood behind void ones:
// they were written while Raft was off, and their authors decided them. They are
// in the log where they came; whoever replays it comes by here, too.
func (c *Core) applyAgain(again []entry) {
	for i := range again {
		e := &again[i]
		c.trace(FactAgain, e.Origin, e.LSN, "")
		c.seq++
		tx := c.box.Begin(c.seq)
		if err := c.redo(tx, e.P.frames); err != nil {
			// What was voided had made room for it. Its author is one of several
			// masters, and nobody can say who was first: the operator decides.
			tx.Abort()
			c.trace(FactNotAgain, e.Origin, e.LSN, err.Error())
			c.keepLost(e)
			continue
		}
		tx.Prepare()
		e.Seq, e.P.ddl = c.seq, tx.IsDDL()
		c.limbo.Push(*e)
	}
	c.limbo.Written(c.out.written)
	c.settle()
}

// redo runs the statements of rows as they are in the log.
func (c *Core) redo(tx *box.Txn, frames []byte) error { return c.redoSome(tx, frames, c.takes) }

// redoSome is redo for some spaces.
func (c *Core) redoSome(tx *box.Txn, frames []byte, takes func(space uint32) bool) error {
	for _, frame := range splitFrames(frames) {
		r, err := xrow.Decode(frame[xrow.FrameHead:])
		if err != nil || r.Type == xrow.Nop {
			continue // a row of ours decodes
		}
		d, err := xrow.DecodeDML(r.Type, r.Body)
		if err == nil && takes(d.SpaceID) {
			err = tx.Apply(&d)
		}
		if err != nil {
			return c.rowError(&r, d.SpaceID, err)
		}
	}
	_, err := tx.Build(math.MaxInt)
	return err
}

// applyRequest logs a row that acts on the queue, and draws its conclusions.
func (c *Core) applyRequest(a *arrival, v *verdict) error {
	if v.rules == terms.Tarantool {
		c.adopt(v.row.Begins) // it is not in the stamp
	}
	c.log(a)
	if !v.row.Pending {
		c.limbo.Held(v.row.Origin, v.row.Term, v.row.LSN)
	}
	before := c.limbo.Current().Term
	if err := c.limbo.Take(v.rules, v.row); err != nil {
		return c.contradiction(err.Error())
	}
	if c.limbo.Current().Term != before {
		c.tookEffect(v.rules == terms.Strong)
	}
	c.settle()
	if a.synchro.Move != nil && v.row.Kind == limbo.Confirmation && v.rules == terms.Strong {
		c.takeHandover(a)
	}
	return nil
}

// confirm takes a fact down: rows of a term are committed up to an LSN.
func (c *Core) confirm(term, lsn uint64) error {
	before := c.limbo.Current().Term
	if err := c.limbo.Confirm(term, lsn); err != nil {
		return c.contradiction(err.Error())
	}
	if c.limbo.Current().Term != before {
		c.tookEffect(true)
	}
	c.settle()
	return nil
}

// log puts rows into the group that gathers, as they came but for the SYNC of
// the connection. It returns their frames. Of what is in the log already only the
// vclock follows.
func (c *Core) log(a *arrival) []byte {
	if at := a.last().Timestamp; at > c.lead.calm.row {
		c.lead.calm.row = at
	}
	if !a.logged {
		return c.out.addForeign(c.members.self, a)
	}
	frames := a.frames
	for i := range a.rows {
		c.out.vclock.Follow(a.rows[i].ReplicaID, a.rows[i].LSN)
		if a.frames == nil {
			frames = a.rows[i].Append(frames)
		}
	}
	return frames
}

// voidNop is the row that keeps the place of one that is void. A synchronous one
// keeps the flag that says so.
func voidNop(r *xrow.Row) xrow.Row {
	nop := nopOf(r)
	nop.Flags &^= xrow.FlagWaitSync
	return nop
}

// nopOf is the row that keeps the place of another.
func nopOf(r *xrow.Row) xrow.Row {
	return xrow.Row{Type: xrow.Nop, ReplicaID: r.ReplicaID, LSN: r.LSN, TSN: r.TSN, Timestamp: r.Timestamp, Flags: r.Flags, Term: r.Term, From: r.From}
}
