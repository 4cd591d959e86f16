package instance

import (
	"container/heap"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// TxnID names the transaction of a stream: the connection, and the stream's number on it.
type TxnID struct{ Conn, Stream uint64 }

// StreamOp is what a request of a stream asks for.
type StreamOp uint8

// Requests of a stream.
const (
	StreamBegin    StreamOp = iota // BEGIN
	StreamWrite                    // a change; without a transaction it is one by itself
	StreamRead                     // the answer, without data, says that [Core.StreamSelect] may run now
	StreamCommit                   // COMMIT; without a transaction nothing
	StreamRollback                 // ROLLBACK, alike
)

// StreamRequest is a request of a stream (docs/protocol/transactions.md). Requests of a
// stream come one after the other, each behind the answer to the one before.
type StreamRequest struct {
	ID         TxnID
	Conn, Sync uint64 // where the answer goes
	Op         StreamOp
	User       box.Credentials // whose rights count
	DML        xrow.DML        // StreamWrite; of StreamRead the space alone
	Isolation  box.Isolation   // StreamBegin; 0: the configured one
	Timeout    time.Duration   // StreamBegin; 0: the configured one
	IsSync     bool            // StreamBegin, StreamCommit: the transaction is synchronous whatever its spaces are
	Within     bool            // it is an error where the stream has no transaction open
	Number     *xrow.Number    // StreamWrite outside of a transaction, StreamCommit; nil: it has none

	// Query, when set, is what StreamRead is for, without a position: an answer that takes
	// no time is given at once. If it would, the Reply has Long, whatever that is, in place of
	// data, and means what it means without a Query.
	Query *box.Query
	Long  any
}

// Streams are requests of streams of one connection that came together, of each stream one.
type Streams struct {
	Requests []StreamRequest
	Release  func() // called once they were looked at: nothing of them is used any more; nil: nobody asks
}

// StreamsGone: the connection has ended, and what its streams have open is rolled back.
type StreamsGone struct{ Conn uint64 }

func (Streams) event()     {}
func (StreamsGone) event() {}

// openTxn is a transaction between its BEGIN and its end.
type openTxn struct {
	id    TxnID
	draft *box.Draft
	level box.Isolation
	sync  bool
	until time.Duration // it is ended so late; 0: never
	inDue int           // place in txns.due; -1: none
	inOf  int           // place among those of its connection
	inAll int           // place in txns.all
	payer payer
	told  int // bytes that its payer's share has of it
}

// txns are the transactions that clients have open.
//
// Invariant: whoever began one ends it, by COMMIT, ROLLBACK or a connection that is gone.
// One that was ended before that has a draft that has failed, and keeps nothing alive.
type txns struct {
	all    []*openTxn
	open   map[TxnID]*openTxn
	ofConn map[uint64][]*openTxn
	due    dueTxns
	shares shares
	ended  TxnCount // since the start
}

// TxnCount is how transactions of streams stand, and how they ended.
type TxnCount struct {
	Open                           int
	Bytes                          int // of what those that are open would change, and have read
	Keeps                          int // bytes of replaced tuples that the oldest keeps alive
	Committed, RolledBack          uint64
	Conflicts, TimedOut, Abandoned uint64 // Abandoned: the connection was gone
}

// dueTxns is a heap by until.
type dueTxns []*openTxn

func (h dueTxns) Len() int           { return len(h) }
func (h dueTxns) Less(i, j int) bool { return h[i].until < h[j].until }
func (h dueTxns) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].inDue, h[j].inDue = i, j
}
func (h *dueTxns) Push(x any) {
	t := x.(*openTxn)
	t.inDue = len(*h)
	*h = append(*h, t)
}
func (h *dueTxns) Pop() any {
	n := len(*h) - 1
	t := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	t.inDue = -1
	return t
}

func (s *txns) add(t *openTxn) {
	if s.open == nil {
		s.open, s.ofConn = map[TxnID]*openTxn{}, map[uint64][]*openTxn{}
	}
	s.open[t.id] = t
	t.inAll = len(s.all)
	s.all = append(s.all, t)
	s.shares.begin(t)
	t.inOf = len(s.ofConn[t.id.Conn])
	s.ofConn[t.id.Conn] = append(s.ofConn[t.id.Conn], t)
	if t.inDue = -1; t.until != 0 {
		heap.Push(&s.due, t)
	}
}

// remove rolls a transaction back.
func (s *txns) remove(t *openTxn) {
	s.forget(t)
	t.draft.Free()
	t.draft = nil
}

// forget ends a transaction for its stream; its draft is the caller's.
func (s *txns) forget(t *openTxn) {
	delete(s.open, t.id)
	s.shares.end(t)
	if t.inDue >= 0 {
		heap.Remove(&s.due, t.inDue)
	}
	s.all = takeOut(s.all, t.inAll, func(moved *openTxn) { moved.inAll = t.inAll })
	list := takeOut(s.ofConn[t.id.Conn], t.inOf, func(moved *openTxn) { moved.inOf = t.inOf })
	if s.ofConn[t.id.Conn] = list; len(list) == 0 {
		delete(s.ofConn, t.id.Conn)
	}
}

// takeOut removes one of a list: the last one takes its place.
func takeOut(list []*openTxn, at int, move func(*openTxn)) []*openTxn {
	last := len(list) - 1
	move(list[last])
	list[at], list[last] = list[last], nil
	return list[:last]
}

// writing are those that would change something of replicated spaces.
func (s *txns) writing() (out []*openTxn) {
	for _, t := range s.all {
		if t.draft.WritesGlobal() {
			out = append(out, t)
		}
	}
	return out
}

// stillOpen leaves out those that have ended, at the end of a list at least.
func (s *txns) stillOpen(list []*openTxn) []*openTxn {
	for n := len(list); n > 0; n-- {
		if t := list[n-1]; s.open[t.id] == t && t.draft.Failed() == nil {
			return list[:n]
		}
	}
	return nil
}

// deadline is when the first of them is ended; 0: never.
func (s *txns) deadline() time.Duration {
	if len(s.due) == 0 {
		return 0
	}
	return s.due[0].until
}

// expire ends those whose time is over. They hold nothing any more, and their clients are
// told at the next request.
func (s *txns) expire(now time.Duration) {
	for len(s.due) > 0 && s.due[0].until <= now {
		t := heap.Pop(&s.due).(*openTxn)
		if t.draft.Failed() == nil {
			s.ended.TimedOut++
		}
		_ = t.draft.Fail(xrow.Errorf(xrow.ErrTransactionTimeout))
		s.shares.tell(t)
	}
}

// streamRequest takes a request of a stream.
func (c *Core) streamRequest(ev *StreamRequest) {
	t := c.txns.open[ev.ID]
	if t == nil && ev.Within {
		c.eff.reply(ev.Conn, ev.Sync, nil, xrow.Errorf(xrow.ErrNoTransaction))
		return
	}
	switch ev.Op {
	case StreamBegin:
		c.beginTxn(ev, t)
	case StreamWrite:
		c.streamWrite(ev, t)
	case StreamRead:
		c.streamRead(ev, t)
	case StreamCommit:
		c.commitTxn(ev, t)
	case StreamRollback:
		if t != nil {
			c.txns.ended.RolledBack++
			c.txns.remove(t)
		}
		c.eff.reply(ev.Conn, ev.Sync, nil, nil)
	}
}

func (c *Core) beginTxn(ev *StreamRequest, t *openTxn) {
	if t != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, xrow.Errorf(xrow.ErrActiveTransaction))
		return
	}
	payer := payerOf(ev)
	if err := c.txnRoom(payer); err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	level, timeout := ev.Isolation, ev.Timeout
	setDefault(&timeout, c.cfg.TxnTimeout)
	if level == 0 {
		level = c.cfg.TxnIsolation
	}
	t = &openTxn{id: ev.ID, draft: c.box.NewDraft(level), level: level, sync: ev.IsSync, payer: payer}
	if timeout != 0 {
		t.until = c.now.Mono + timeout
	}
	c.txns.add(t)
	if level != box.Linearizable {
		c.eff.reply(ev.Conn, ev.Sync, nil, nil)
		return
	}
	c.linearRead(LinearRead{Conn: ev.Conn, Sync: ev.Sync, Timeout: timeout})
	c.waits.linear[len(c.waits.linear)-1].begins = t
}

// forwardTxn brings a transaction forward for a request; without one there is nothing to
// do.
func (c *Core) forwardTxn(ev *StreamRequest, t *openTxn, write bool) *xrow.Error {
	if t == nil {
		return nil
	}
	need := box.PrivRead
	if write {
		need = box.PrivWrite
	}
	c.txns.shares.tell(t)
	if t.draft.Failed() == nil {
		if err := c.txnRoom(t.payer); err != nil {
			return err
		}
		switch {
		case t.level == box.Linearizable && !c.Linearizable(ev.DML.SpaceID):
			return c.NotLinearizable(ev.User, ev.DML.SpaceID, need)
		case t.draft.WritesGlobal() && !c.writable():
			return clientError(t.draft.Fail(c.readonly()))
		case t.draft.Size() > c.cfg.QueueMaxSize:
			return xrow.Errorf(xrow.ErrMemoryIssue, t.draft.Size(), "a transaction", "what it has read and would change")
		}
	}
	return c.noteConflict(t, t.draft.Failed() == nil, t.draft.Forward(write))
}

// noteConflict counts a transaction that could go on before and cannot any more.
func (c *Core) noteConflict(t *openTxn, could bool, err error) *xrow.Error {
	if err == nil {
		return nil
	}
	if could && t.draft.Failed() != nil {
		c.txns.ended.Conflicts++
	}
	return clientError(err)
}

// Linearizable tells whether a transaction can promise that what it reads in a space is
// all there is: asynchronous rows may be lost with their leader, so no round of a quorum
// says anything of them. A space that is not there gets its usual error.
func (c *Core) Linearizable(space uint32) bool {
	return c.box.IsSyncSpace(space) || !c.box.IsGlobalSpace(space) || c.box.IsDDLSpace(space) || c.cfg.SyncAll
}

// NotLinearizable is the error of a space that is not so. Who may not use it hears of that
// alone.
func (c *Core) NotLinearizable(user box.Credentials, space uint32, need box.Priv) *xrow.Error {
	if err := c.box.Schema().CheckSpace(user, space, need); err != nil {
		return clientError(err)
	}
	info, _ := c.box.Space(space)
	return &xrow.Error{Code: xrow.ErrUnsupported, Message: "space \"" + info.Name + "\" does not support linearizable operations"}
}

// Bounds of a read that a Step answers itself.
const (
	quickRows  = 32 // entries that it looks at
	quickBytes = 8 << 10
)

func (c *Core) streamRead(ev *StreamRequest, t *openTxn) {
	err := c.forwardTxn(ev, t, false)
	if err != nil || ev.Query == nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	if t != nil {
		q := *ev.Query // the reader begins anew, if it comes to that
		q.MaxRows, q.MaxBytes = quickRows, quickBytes
		tuples, n, err := t.draft.Query(ev.User, &q, c.waits.room(quickBytes))
		switch {
		case err != nil:
			c.eff.reply(ev.Conn, ev.Sync, nil, clientError(err))
			return
		case !q.More && q.Large == nil:
			c.eff.reply(ev.Conn, ev.Sync, c.waits.rows(tuples, n), nil)
			return
		}
	}
	c.eff.Replies = append(c.eff.Replies, Reply{Conn: ev.Conn, Sync: ev.Sync, Long: ev.Long})
}

func (c *Core) streamWrite(ev *StreamRequest, t *openTxn) {
	if t == nil {
		c.write([]Request{{Conn: ev.Conn, Sync: ev.Sync, User: ev.User, DML: ev.DML, Number: ev.Number}})
		return
	}
	var err *xrow.Error
	if ev.Number != nil {
		err = xrow.Errorf(xrow.ErrNoNumber, "it is within a transaction, of which only COMMIT does")
	} else if t.draft.Failed() == nil && !t.draft.WritesGlobal() && c.box.IsGlobalSpace(ev.DML.SpaceID) && !c.writable() {
		err = c.unwritable() // it may still read
	} else {
		err = c.forwardTxn(ev, t, true)
	}
	if err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	tuple, e := t.draft.Execute(ev.User, &ev.DML)
	c.txns.shares.tell(t)
	if e != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, clientError(e))
		return
	}
	c.eff.reply(ev.Conn, ev.Sync, c.waits.data(ev.DML.Type, tuple), nil)
}

// commitTxn ends a transaction. What it changes is a write like any other, behind the same
// gates.
func (c *Core) commitTxn(ev *StreamRequest, t *openTxn) {
	if t == nil && ev.Number != nil {
		c.commitNothing(ev, xrow.Errorf(xrow.ErrNoTransaction))
		return
	}
	if t == nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, nil)
		return
	}
	if ev.Number != nil && !ev.Number.Repeat && t.draft.Failed() == nil && t.draft.WritesLocal() {
		c.eff.reply(ev.Conn, ev.Sync, nil, errLocalNumber()) // it stays open: a COMMIT without a number ends it
		return
	}
	if err := c.box.Schema().CheckUser(ev.User); err != nil { // who was dropped commits nothing
		_ = t.draft.Fail(clientError(err))
	}
	if t.draft.Failed() == nil && t.draft.Writes() {
		c.txns.forget(t)
		c.write([]Request{{Conn: ev.Conn, Sync: ev.Sync, User: ev.User, IsSync: ev.IsSync || t.sync, Commit: t.draft, Number: ev.Number}})
		return
	}
	if ev.Number != nil {
		err := t.draft.Failed()
		if err == nil {
			c.txns.ended.Committed++
		}
		c.txns.remove(t)
		c.commitNothing(ev, err)
		return
	}
	f := fate{client: client{ev.Conn, ev.Sync, c.now.Mono + c.cfg.WaitLimit}, saw: t.draft.Undecided()}
	if e := t.draft.Failed(); e != nil {
		f.err, f.saw = clientError(e), 0
	} else {
		c.txns.ended.Committed++
	}
	c.txns.remove(t)
	c.waits.addFate(&f, &c.eff)
}

// commitNothing is a COMMIT with a number that has nothing to write, or can not: what it
// answers is remembered all the same. A repeat comes by another connection, where there is
// no such transaction.
func (c *Core) commitNothing(ev *StreamRequest, err error) {
	c.write([]Request{{Conn: ev.Conn, Sync: ev.Sync, User: ev.User, Number: ev.Number, Do: func(*box.Txn) ([]byte, error) { return nil, err }}})
}

// commitDraft runs the statements of a transaction again, in the Step of its COMMIT.
func (c *Core) commitDraft(d *box.Draft, tx *box.Txn) error {
	err := d.Commit(tx)
	if err == nil {
		c.txns.ended.Committed++
	} else {
		c.txns.ended.Conflicts++
	}
	d.Free()
	return err
}

// turnAway answers a request that has not run. A transaction whose COMMIT it is, is
// rolled back.
func (e *Effects) turnAway(r *Request, err *xrow.Error) {
	if r.Commit != nil {
		r.Commit.Free()
	}
	e.reply(r.Conn, r.Sync, nil, err)
}

// streamsGone rolls back what a connection had open. A COMMIT that waits goes on.
func (c *Core) streamsGone(conn uint64) {
	for _, t := range slices.Clone(c.txns.ofConn[conn]) {
		c.txns.ended.Abandoned++
		c.txns.remove(t)
	}
}

// trimTxns ends those that keep too much alive.
func (c *Core) trimTxns() {
	c.txns.ended.Conflicts += uint64(c.box.TrimDrafts(c.cfg.TxnKeeps))
}

func (c *Core) txnCount() TxnCount {
	n := c.txns.ended
	n.Open = len(c.txns.all)
	n.Bytes, n.Keeps = c.box.DraftBytes()
	return n
}

// OpenTxns is how many streams have a transaction open. For readers.
func (c *Core) OpenTxns() int { return len(c.txns.all) }

// InTxn tells whether a stream has a transaction open. For readers.
func (c *Core) InTxn(id TxnID) bool { return c.txns.open[id] != nil }

// StreamSelect is Box.Select within a stream, behind the answer to its StreamRead. For
// readers, one at a time for a stream.
func (c *Core) StreamSelect(id TxnID, user box.Credentials, q *box.Query, out []byte) ([]byte, int, error) {
	if id.Stream != 0 && q.Space != xrow.ViewHistory {
		if t := c.txns.open[id]; t != nil {
			return t.draft.Query(user, q, out)
		}
	}
	return c.Select(user, q, out)
}
