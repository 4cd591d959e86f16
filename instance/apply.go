package instance

import (
	"fmt"
	"math"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
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
	if c.cfg.Break.NoExchange && ev.From != c.raft.Leader() {
		return
	}
	if c.gate.cut&(1<<ev.From) != 0 {
		return // what was on its way when we refused the stream
	}
	if c.gate.build != nil || len(c.gate.backlog.events) > 0 {
		kind := FactRowsHeld
		if !c.gate.holdRows(ev.From, ev.Rows, c.cfg.BacklogMaxSize, &c.eff) {
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
		c.gate.backlog.add(ev.From, rest)
	}
	c.raft.VClockGrew()
}

// takeEach takes transaction after transaction. rest begins with one that stays
// open to be built, and waits in the backlog.
func (c *Core) takeEach(from uint32, rows []xrow.Row) (rest []xrow.Row, err error) {
	for len(rows) > 0 {
		n := txnLen(rows)
		if n == 0 {
			return nil, protocolError("a transaction without its last row")
		}
		if c.waitsForDisk(rows[:n]) {
			return rows, nil
		}
		if err := c.takeTxn(from, rows[:n]); err != nil {
			return nil, err
		}
		if c.gate.build != nil {
			return rows, nil
		}
		rows = rows[n:]
	}
	return nil, nil
}

// takeTxn takes one transaction: the term it tells of first, in a record
// before the rows; then what becomes of it; then the rows.
func (c *Core) takeTxn(from uint32, rows []xrow.Row) error {
	last := &rows[len(rows)-1]
	if err := c.checkTxn(rows); err != nil {
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
	if rows[0].LSN <= c.out.vclock[last.ReplicaID] {
		return protocolError(fmt.Sprintf("a transaction that begins with LSN %d of instance %d, of which %d is held",
			rows[0].LSN, last.ReplicaID, c.out.vclock[last.ReplicaID]))
	}
	if c.cfg.Break.Tarantool {
		c.restamp(rows)
	}
	if err := c.checkTerm(last.Term); err != nil {
		return err
	}
	c.adopt(last.Term)
	return c.apply(rows)
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
func (c *Core) apply(rows []xrow.Row) error {
	c.restamp(rows)
	r, last := &rows[0], &rows[len(rows)-1]
	if r.Type.IsSynchro() {
		return c.applySynchro(r)
	}
	rules := limbo.Strong
	if c.underTarantool(r) {
		rules = limbo.Tarantool
		c.ownWrote(last.ReplicaID)
	}
	v, err := c.limbo.Judge(rules, limbo.Txn{Origin: r.ReplicaID, LSN: r.LSN, Term: r.Term, WaitSync: last.Flags&xrow.FlagWaitSync != 0,
		Empty: allNop(rows), Logged: c.replay, Partial: c.restoring})
	if err != nil {
		return c.refusal(err)
	}
	switch v {
	case limbo.Void:
		c.trace(FactLate, last.ReplicaID, last.LSN, "")
		c.appendNop(rows)
		return nil
	case limbo.Idle:
		c.appendRows(rows)
		return nil
	}
	return c.applyDML(rows)
}

func allNop(rows []xrow.Row) bool {
	for i := range rows {
		if rows[i].Type != xrow.Nop {
			return false
		}
	}
	return true
}

// applyDML applies statements as an undecided transaction; without a term it
// was decided by its author's write.
func (c *Core) applyDML(rows []xrow.Row) error {
	last := &rows[len(rows)-1]
	if allNop(rows) {
		c.keepNops(rows)
		return nil
	}
	if n := len(c.limbo.Pending()); n > 0 && last.Term != 0 {
		c.trace(FactBehindPromote, last.ReplicaID, last.LSN, "")
	}
	c.seq++
	tx := c.box.Begin(c.seq)
	for i := range rows {
		if rows[i].Type == xrow.Nop {
			continue
		}
		d, err := xrow.DecodeDML(rows[i].Type, rows[i].Body)
		if err == nil {
			err = tx.Apply(&d)
		}
		switch {
		case err == nil:
		case tx.Undecided() != 0 && c.limbo.Waits() && !c.replay:
			// What is in its way may be void soon. Such an error makes an applier come
			// back; that of the statement would end the stream for good.
			tx.Abort()
			e := c.rowError(&rows[i], d.SpaceID, err)
			return xrow.Errorf(xrow.ErrSystem, e.Message+". It is asked for again: what it met is undecided")
		case c.skips(err):
			c.trace(FactSkipped, rows[i].ReplicaID, rows[i].LSN, err.Error())
			rows[i] = nopOf(&rows[i])
		default:
			tx.Abort()
			return c.rowError(&rows[i], d.SpaceID, err)
		}
	}
	if allNop(rows) { // all were passed over
		tx.Abort()
		c.keepNops(rows)
		return nil
	}
	if err := c.refuseUnclaimed(tx, last); err != nil {
		tx.Abort()
		return err
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
	c.applied(tx, rows)
	return nil
}

// keepNops takes a transaction that changes nothing: it waits for nobody.
func (c *Core) keepNops(rows []xrow.Row) {
	last := &rows[len(rows)-1]
	c.appendNop(rows)
	c.limbo.Held(last.ReplicaID, last.Term, last.LSN)
}

// applied puts a transaction whose statements ran into the log and the queue.
func (c *Core) applied(tx *box.Txn, rows []xrow.Row) {
	last := &rows[len(rows)-1]
	p := payload{ddl: tx.IsDDL(), since: c.now.Mono}
	e := entry{Origin: last.ReplicaID, LSN: last.LSN, Term: last.Term, Seq: c.seq, Sync: isSync(tx, last)}
	rules := limbo.Strong
	if c.underTarantool(last) {
		rules = limbo.Tarantool
	}
	tx.Prepare()
	p.frames = c.appendRows(rows)
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
func (c *Core) redo(tx *box.Txn, frames []byte) error {
	for _, frame := range splitFrames(frames) {
		r, err := xrow.Decode(frame[xrow.FrameHead:])
		if err != nil || r.Type == xrow.Nop {
			continue // a row of ours decodes
		}
		d, err := xrow.DecodeDML(r.Type, r.Body)
		if err == nil {
			err = tx.Apply(&d)
		}
		if err != nil {
			return c.rowError(&r, d.SpaceID, err)
		}
	}
	_, err := tx.Build(math.MaxInt)
	return err
}

// isSync tells whether a foreign transaction is synchronous: it says so, or it
// writes a synchronous space.
func isSync(tx *box.Txn, last *xrow.Row) bool {
	return last.Flags&xrow.FlagWaitAck != 0 || tx.IsSync()
}

// applySynchro takes CONFIRM, ROLLBACK, PROMOTE and DEMOTE: each is judged, logged,
// and takes effect.
func (c *Core) applySynchro(r *xrow.Row) error {
	s, err := xrow.DecodeSynchro(r.Body)
	if err != nil {
		return err
	}
	if s.ReplicaID >= vclock.Max {
		return protocolError(fmt.Sprintf("%v of instance %d, which cannot be", r.Type, s.ReplicaID))
	}
	rules := limbo.Strong
	if c.requestOfTarantool(r, &s) {
		rules = limbo.Tarantool
		if r.Type != xrow.Demote && c.strongAlone() {
			return protocolError(r.Type.String() + " by Tarantool's rules, where no member is a Tarantool")
		}
		if r.Type != xrow.Promote {
			c.ownWrote(r.ReplicaID)
		}
		if err := c.checkTerm(s.Term); err != nil {
			return err
		}
	}
	req := c.requestOf(r, &s, rules)
	if rules == limbo.Strong || c.filters() {
		v, err := c.limbo.JudgeRequest(rules, req)
		if err != nil {
			return c.refusal(err)
		}
		if v == limbo.Void {
			c.trace(FactPromoteVoid, r.ReplicaID, r.LSN, "late")
			c.appendNop([]xrow.Row{*r}) // Tarantools stop at a PROMOTE of an older term
			return nil
		}
	}
	return c.takeRequest(rules, r, req)
}

// requestOf is what a row asks of the limbo.
func (c *Core) requestOf(r *xrow.Row, s *xrow.Synchro, rules limbo.Rules) limbo.Request {
	req := limbo.Request{Kind: kindOf(r.Type), Origin: r.ReplicaID, Row: r.LSN, Stamp: r.Term, Owner: s.ReplicaID, LSN: s.LSN,
		Term: s.Term, PrevTerm: s.PrevTerm, Known: c.out.vclock[s.ReplicaID], Partial: c.restoring}
	if rules == limbo.Strong {
		req.LSN, req.Named = s.Strong(), s.LSN
	} else {
		// A PROMOTE of ours is pending until a quorum has it, or until a later row of
		// ours says that one had.
		req.Pending = r.Type == xrow.Promote && c.replay && !c.cfg.Break.Tarantool && r.ReplicaID == c.ownID()
	}
	return req
}

func kindOf(t xrow.Type) limbo.Kind {
	switch t {
	case xrow.Confirm:
		return limbo.Confirmation
	case xrow.Rollback:
		return limbo.Rollback
	case xrow.Promote:
		return limbo.Promotion
	}
	return limbo.Demotion
}

// takeRequest logs a row that acts on the queue, and draws its conclusions.
func (c *Core) takeRequest(rules limbo.Rules, r *xrow.Row, req limbo.Request) error {
	if rules == limbo.Tarantool {
		c.adopt(req.Term) // it is not in the stamp
	}
	c.appendRows([]xrow.Row{*r})
	if !req.Pending {
		c.limbo.Held(r.ReplicaID, r.Term, r.LSN)
	}
	before := c.limbo.Current().Term
	if err := c.limbo.Take(rules, req); err != nil {
		return c.contradiction(err.Error())
	}
	if req.Kind == limbo.Promotion && rules == limbo.Strong && c.cfg.Break.PromoteAtOnce {
		return c.confirm(req.Term, req.Row)
	}
	if c.limbo.Current().Term != before {
		c.tookEffect(rules == limbo.Strong)
	}
	c.noteVoidPromotes()
	c.settle()
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

// appendRows puts foreign rows into the group that gathers, as they came but
// for the SYNC of the connection. It returns their frames. A replayed row is
// in the log already: only the vclock follows.
func (c *Core) appendRows(rows []xrow.Row) []byte {
	if c.replay {
		for i := range rows {
			c.out.vclock.Follow(rows[i].ReplicaID, rows[i].LSN)
		}
		return encodeFrames(rows)
	}
	return c.out.addForeign(c.members.self, rows)
}

// appendNop keeps the LSNs of rows that are void. A synchronous one keeps the
// flag that says so (limbo.md, corrections).
func (c *Core) appendNop(rows []xrow.Row) {
	nops := make([]xrow.Row, len(rows))
	for i := range rows {
		nops[i] = voidNop(&rows[i])
	}
	c.appendRows(nops)
}

// voidNop is the row that keeps the place of one that is void.
func voidNop(r *xrow.Row) xrow.Row {
	nop := nopOf(r)
	nop.Flags &^= xrow.FlagWaitSync
	return nop
}

// nopOf is the row that keeps the place of another.
func nopOf(r *xrow.Row) xrow.Row {
	return xrow.Row{Type: xrow.Nop, ReplicaID: r.ReplicaID, LSN: r.LSN, TSN: r.TSN, Timestamp: r.Timestamp, Flags: r.Flags, Term: r.Term}
}

func encodeFrames(rows []xrow.Row) []byte {
	var b []byte
	for i := range rows {
		b = rows[i].Append(b)
	}
	return b
}
