package sim

import (
	"fmt"
	"strings"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Clients with exactly-once sessions repeat each request until they have an answer, at
// whoever they take for the leader. Copies are stuck on their way now and then, and come
// when the next number is long done.

const (
	spaceTally = 600     // asynchronous; each request counts under a key of its own
	barKey     = 1 << 40 // while it is there, requests of some kinds fail

	simSessionIdle = 4 * time.Second // less than a fault may last
)

// numberedKind is what a request does.
type numberedKind uint8

const (
	numberedCount  numberedKind = iota // one statement
	numberedIfFree                     // a procedure's transaction, which fails while there is a bar
	numberedCommit                     // a transaction of a stream
)

// numbered is a request with a number, of which copies are sent until one is answered.
type numbered struct {
	lane   *lane
	kind   numberedKind
	key    uint64 // under which it counts
	n      xrow.Number
	newest *op // the copy that its client listens to; nil: none was sent
	copies int
	told   told
	done   bool // some copy was told so
	over   bool // its client sends no more copies
}

// told is what the client of a request was told.
type told uint8

const (
	toldNothing told = iota
	toldDone
	toldFailed
	toldUnknown // its session was not there
)

// lane is a client with one slot of a session, which it opens anew when it has ended.
type lane struct {
	c    *numberedChecker
	id   string
	slot uint64
	no   uint64
}

// start lets clients begin, once the space that they count in is there.
func (c *numberedChecker) start() {
	if !c.w.plan.sessions {
		return
	}
	c.begin(0)
}

// begin takes the steps that come before the first session, each until it is done.
func (c *numberedChecker) begin(step int) {
	w := c.w
	if w.half != safety {
		return
	}
	again := func() { w.after(w.between(20*time.Millisecond, 200*time.Millisecond), func() { c.begin(step) }) }
	n := w.leader()
	if n == nil || n.core == nil {
		again()
		return
	}
	o := w.load.begin(n, opStep, 0)
	o.answered = func(err *xrow.Error) {
		if o.outcome != acknowledged && (err == nil || err.Code != xrow.ErrTupleFound) {
			again()
			return
		}
		if step < 2 {
			c.begin(step + 1)
			return
		}
		for i := range 6 {
			c.lanes = append(c.lanes, &lane{c: c, slot: uint64(1 + i%2)})
			c.lanes[i].open()
		}
		c.bar()
	}
	if step == 0 {
		n.post(instance.RaiseFeature{Conn: 1, Sync: uint64(o.id)})
		return
	}
	d := []xrow.DML{spaceRow(spaceTally, "tally", asyncSpace), indexRow(spaceTally)}[step-1]
	n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, DML: d}}})
}

// bar puts the bar up and takes it away, as another client does.
func (c *numberedChecker) bar() {
	w := c.w
	w.after(w.between(5*time.Millisecond, 300*time.Millisecond), func() {
		if n := w.leader(); n != nil && n.core != nil && w.half == safety {
			d := xrow.DML{Type: xrow.Delete, SpaceID: spaceTally, Key: msgp.AppendUint64([]byte{0x91}, barKey)}
			if w.chance(2) {
				d = insert(spaceTally, barKey, 1)
			}
			o := w.load.begin(n, opStep, 0)
			n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, DML: d}}})
		}
		if w.half == safety {
			c.bar()
		}
	})
}

// open opens a session.
func (l *lane) open() {
	w := l.c.w
	w.after(w.between(time.Millisecond, 100*time.Millisecond), func() {
		if w.half >= ending {
			return
		}
		n := w.leader()
		if n == nil || n.core == nil {
			l.open()
			return
		}
		o := w.load.begin(n, opStep, 0)
		o.keeps = true
		o.answered = func(*xrow.Error) {
			if o.outcome != acknowledged {
				l.open()
				return
			}
			id, _, err := msgp.ReadStringBytes(o.data[5:])
			if err != nil {
				w.fail("sessions", "%s opens a session without an ID: %v", n.label(), err)
				return
			}
			l.c.met.Opened++
			l.id, l.no = id, 0
			l.next()
		}
		n.post(instance.OpenSession{Conn: 1, Sync: uint64(o.id), User: admin, Slots: 2})
	})
}

// next begins the next number, after a while; now and then that is too long.
func (l *lane) next() {
	w := l.c.w
	think := w.plan.think.draw(w)
	if w.chance(25) {
		think = w.between(simSessionIdle/2, 2*simSessionIdle)
	}
	w.after(think, func() {
		if w.half >= ending {
			return
		}
		l.no += 1 + uint64(w.rng.IntN(2))
		l.c.keys++
		q := &numbered{lane: l, kind: numberedKind(w.rng.IntN(3)), key: l.c.keys, n: xrow.Number{Session: l.id, Slot: l.slot, No: l.no}}
		q.n.Digest = xrow.DigestOf(xrow.Call, msgp.AppendUint64(nil, q.key))
		l.c.all = append(l.c.all, q)
		q.send()
	})
}

// send sends a copy, and another one when no answer comes.
func (q *numbered) send() {
	w := q.lane.c.w
	n := w.leader()
	if n == nil || w.chance(10) {
		n = w.nodes[w.rng.IntN(len(w.nodes))]
	}
	if !n.running() || n.core == nil {
		w.after(w.between(10*time.Millisecond, 100*time.Millisecond), q.send)
		return
	}
	if q.copies == 0 && q.kind == numberedCommit {
		q.prepare(n)
		return
	}
	q.copy(n, instance.TxnID{Conn: uint64(len(w.load.ops) + 1), Stream: 1})
}

// prepare opens the transaction that is to be committed. What comes of it before its
// COMMIT has no number.
func (q *numbered) prepare(n *node) {
	w := q.lane.c.w
	id := instance.TxnID{Conn: uint64(len(w.load.ops) + 1), Stream: 1}
	ask := func(ev instance.StreamRequest, then func()) {
		o := w.load.begin(n, opStep, 0)
		w.load.limit(o)
		o.answered = func(*xrow.Error) {
			if o.outcome != acknowledged {
				q.over = true // it was never sent
				q.lane.next()
				return
			}
			then()
		}
		ev.ID, ev.Conn, ev.Sync, ev.User = id, id.Conn, uint64(o.id), admin
		n.post(instance.Streams{Requests: []instance.StreamRequest{ev}})
	}
	ask(instance.StreamRequest{Op: instance.StreamBegin}, func() {
		ask(instance.StreamRequest{Op: instance.StreamWrite, DML: q.count()}, func() { q.copy(n, id) })
	})
}

// count is the statement that counts.
func (q *numbered) count() xrow.DML {
	add := append(msgp.AppendString([]byte{0x91, 0x93}, "+"), 1, 1)
	return xrow.DML{Type: xrow.Upsert, SpaceID: spaceTally, Tuple: pair(q.key, 1), Ops: add}
}

// copy sends one copy to a node.
func (q *numbered) copy(n *node, id instance.TxnID) {
	w := q.lane.c.w
	o := w.load.begin(n, opStep, 0)
	number := q.n
	number.Repeat = q.copies > 0
	q.copies++
	q.newest = o
	came := time.Duration(0)
	o.answered = func(err *xrow.Error) {
		w.tell(o.node, "answers %v, op %d: outcome %d, %v", q, o.id, o.outcome, err)
		if err != nil && err.Code == xrow.ErrSyncRollback {
			q.lane.c.void = append(q.lane.c.void, voidCopy{q, o.node.id, came})
		}
		q.heard(o, err)
	}
	delay := w.between(0, 2*time.Millisecond)
	if w.chance(8) {
		delay = w.between(20*time.Millisecond, 5*time.Second)
		q.lane.c.met.Stuck++
	}
	w.after(delay, func() {
		if n.life != o.life || !n.running() || n.core == nil {
			return // its connection is gone, which has ended it
		}
		came = w.now
		w.tell(n, "gets %v, op %d", q, o.id)
		switch q.kind {
		case numberedCommit:
			n.post(instance.Streams{Requests: []instance.StreamRequest{{ID: id, Op: instance.StreamCommit, Conn: id.Conn, Sync: uint64(o.id), User: admin, Number: &number}}})
		case numberedIfFree:
			n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, Number: &number, Do: q.ifFree}}})
		default:
			n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, Number: &number, DML: q.count()}}})
		}
	})
	patience := w.between(10*time.Millisecond, 300*time.Millisecond)
	if w.chance(10) {
		patience = w.between(patience, 3*time.Second)
	}
	w.after(patience, func() { q.again(o) })
}

// ifFree counts unless there is a bar.
func (q *numbered) ifFree(tx *box.Txn) ([]byte, error) {
	bar := box.Query{Space: spaceTally, Iterator: box.EQ, Key: msgp.AppendUint64([]byte{0x91}, barKey), Limit: 1}
	_, n, err := tx.Query(admin, &bar, nil)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return nil, &xrow.Error{Code: xrow.ErrTupleFound, Message: "there is a bar"}
	}
	d := q.count()
	_, err = tx.Execute(admin, &d)
	return nil, err
}

// again sends another copy, unless there is one already.
func (q *numbered) again(o *op) {
	if w := q.lane.c.w; !q.over && q.newest == o && w.half < ending {
		q.lane.c.met.Repeated++
		q.send()
	}
}

// heard takes what a copy was answered. The client listens to its newest one.
func (q *numbered) heard(o *op, err *xrow.Error) {
	c := q.lane.c
	w := c.w
	answered := o.outcome == acknowledged
	q.done = q.done || answered
	if q.newest != o || q.over {
		return
	}
	gone := err != nil && strings.Contains(err.Message, "is not there")
	switch {
	case answered:
		q.end(toldDone)
	case gone && err.Code == xrow.ErrNoSession:
		q.end(toldFailed)
	case gone:
		q.end(toldUnknown)
	case err == nil || mayRepeat(err.Code): // its connection is gone, or nobody has executed it
		w.after(w.between(5*time.Millisecond, 100*time.Millisecond), func() { q.again(o) })
		return
	case err.Code == xrow.ErrNumber:
		w.fail("sessions", "number %d of slot %d of %s is refused: %s", q.n.No, q.n.Slot, q.n.Session, err.Message)
		return
	default:
		q.end(toldFailed)
	}
	if gone {
		c.met.Ended++
		q.lane.open()
		return
	}
	q.lane.next()
}

// mayRepeat tells of which errors nothing follows for the number.
func mayRepeat(c xrow.Code) bool {
	switch c {
	case xrow.ErrReadonly, xrow.ErrLoading, xrow.ErrSyncRollback, xrow.ErrSyncQueueFull, xrow.ErrWALIO, xrow.ErrSyncTimeout, xrow.ErrSyncQuorumTimeout, xrow.ErrShutdown,
		xrow.ErrSyncQueueUnclaimed:
		return true
	}
	return false
}

func (q *numbered) end(t told) { q.over, q.told = true, t }

func (q *numbered) String() string {
	return fmt.Sprintf("number %d of slot %d of %s (key %d, %d copies)", q.n.No, q.n.Slot, q.n.Session, q.key, q.copies)
}
