package server

import (
	"sync"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/xrow"
)

// inStream marks connection numbers in replies to requests of streams. The number of
// the stream is the sync then: there is one request of a stream at a time.
const inStream = 1 << 62

// txnOf names what a stream has open.
func txnOf(c *iproto.Conn, stream uint64) instance.TxnID {
	return instance.TxnID{Conn: c.ID(), Stream: stream}
}

// streamOp is what a request of a stream asks for, by its type.
func streamOp(t xrow.Type) instance.StreamOp {
	switch t {
	case xrow.Begin:
		return instance.StreamBegin
	case xrow.Commit:
		return instance.StreamCommit
	case xrow.RollbackTxn:
		return instance.StreamRollback
	case xrow.Select:
		return instance.StreamRead
	}
	return instance.StreamWrite
}

// streamBatch is memory for the requests of streams that go to the core together.
type streamBatch struct {
	in       []bool // which of all that have come are within a transaction, of those for which it matters
	requests []instance.StreamRequest
	queries  []box.Query // of those that have one
	release  func()      // gives the batch back; made once
}

// keptBatch is how many requests a batch has room for whose memory is kept.
const keptBatch = 256

var streamBatchPool = sync.Pool{New: func() any { return new(streamBatch) }}

func takeStreamBatch(n int) *streamBatch {
	b := streamBatchPool.Get().(*streamBatch)
	if b.release == nil {
		b.release = b.give
	}
	if cap(b.requests) < n {
		b.in, b.requests, b.queries = make([]bool, n), make([]instance.StreamRequest, 0, n), make([]box.Query, 0, n)
	}
	b.in = b.in[:n]
	return b
}

func (b *streamBatch) give() {
	if cap(b.requests) > keptBatch {
		return
	}
	clear(b.in)
	clear(b.requests)
	clear(b.queries)
	b.requests, b.queries = b.requests[:0], b.queries[:0]
	streamBatchPool.Put(b)
}

// Stream hands requests of streams to the core, together, but for reads outside of a
// transaction: for these it has nothing to prepare.
func (b *backend) Stream(c *iproto.Conn, requests []iproto.StreamRequest) {
	batch := takeStreamBatch(len(requests))
	b.inTxns(c, requests, batch.in)
	for i := range requests {
		q := &requests[i]
		switch in := batch.in[i]; {
		case q.Fault != nil:
			e := q.Fault
			if in {
				e = xrow.Errorf(xrow.ErrActiveTransaction)
			}
			refuseStream(c, q.Stream, e)
		case q.Number != nil && q.Number.Fault != nil:
			r := instance.Request{Conn: c.ID() | inStream, Sync: q.Stream, User: box.Credentials(q.User)}
			number(&r, q.Number)
			if err := b.engine().loop.Submit(instance.Write{Requests: []instance.Request{r}}); err != nil {
				refuseStream(c, q.Stream, xrow.Errorf(xrow.ErrShutdown))
			}
		case q.Select == nil || in && isQuick(q.Select.Space, q.Select.FetchPosition || q.Select.AfterPosition != nil || q.Select.AfterTuple != nil):
			batch.add(c, q)
		case in:
			sel := q.Select
			b.forwardTxn(txnOf(c, q.Stream), box.Credentials(q.User), sel.Space, func(e *xrow.Error) { finishStream(c, sel, e) })
		case q.Linear:
			sel := q.Select
			b.whenLinear(q.User, sel.Space, func(e *xrow.Error) { finishStream(c, sel, e) })
		default:
			c.FinishStream(q.Select)
		}
	}
	if len(batch.requests) == 0 {
		batch.give()
		return
	}
	if err := b.engine().loop.Submit(instance.Streams{Requests: batch.requests, Release: batch.release}); err != nil {
		for i := range batch.requests {
			refuseStream(c, batch.requests[i].ID.Stream, xrow.Errorf(xrow.ErrShutdown))
		}
		batch.give()
	}
}

// isQuick tells whether the core may answer a read itself: it knows no positions, and
// nothing of what is not in the box.
func isQuick(space uint32, positions bool) bool {
	return !positions && space != xrow.SpaceSessionSettings && space != xrow.ViewHistory
}

// inTxns tells which requests are within a transaction, of those for which it matters.
func (b *backend) inTxns(c *iproto.Conn, requests []iproto.StreamRequest, in []bool) {
	matters := func(q *iproto.StreamRequest) bool { return q.Select != nil || q.Fault != nil }
	for i := range requests {
		if matters(&requests[i]) {
			b.engine().loop.Read(func(core *instance.Core) {
				for ; i < len(requests); i++ {
					if q := &requests[i]; matters(q) {
						in[i] = core.InTxn(txnOf(c, q.Stream))
					}
				}
			})
			return
		}
	}
}

func refuseStream(c *iproto.Conn, stream uint64, e *xrow.Error) {
	c.ReplyStream(stream, nil, e)
	c.Flush()
}

// finishStream runs a read, or says why it cannot.
func finishStream(c *iproto.Conn, q *iproto.Select, e *xrow.Error) {
	if e != nil {
		refuseStream(c, q.Stream, e)
		return
	}
	c.FinishStream(q)
}

func (b *backend) inTxn(c *iproto.Conn, stream uint64) (in bool) {
	b.engine().loop.Read(func(core *instance.Core) { in = core.InTxn(txnOf(c, stream)) })
	return in
}

// add takes one that the core answers.
func (b *streamBatch) add(c *iproto.Conn, q *iproto.StreamRequest) {
	b.requests = append(b.requests, instance.StreamRequest{})
	r := &b.requests[len(b.requests)-1]
	r.ID, r.Conn, r.Sync, r.Op, r.User = txnOf(c, q.Stream), c.ID()|inStream, q.Stream, streamOp(q.Type), box.Credentials(q.User)
	r.Isolation, r.Timeout, r.IsSync = box.Isolation(q.Txn.Isolation), q.Txn.Timeout, q.Txn.IsSync
	if r.Op == instance.StreamWrite {
		r.DML = q.DML
	}
	if q.Number != nil {
		r.Number = &q.Number.Number
	}
	if s := q.Select; s != nil {
		r.DML.SpaceID = s.Space
		b.queries = append(b.queries, box.Query{Space: s.Space, Index: s.Index, Iterator: s.Iterator, Key: s.Key, Offset: s.Offset, Limit: s.Limit})
		r.Query, r.Long = &b.queries[len(b.queries)-1], s
	}
}

// forwardTxn calls then once a transaction may read in a space, or with the error. It may
// be the Loop that calls.
func (b *backend) forwardTxn(id instance.TxnID, user box.Credentials, space uint32, then func(*xrow.Error)) {
	conn := b.s.port.calls.add(func(r instance.Reply) { then(r.Err) })
	r := instance.StreamRequest{ID: id, Conn: conn, Op: instance.StreamRead, User: user, DML: xrow.DML{SpaceID: space}, Within: true}
	if err := b.engine().loop.Submit(instance.Streams{Requests: []instance.StreamRequest{r}}); err != nil {
		b.s.port.calls.answer(instance.Reply{Conn: conn, Err: xrow.Errorf(xrow.ErrShutdown)})
	}
}

// inStream makes a call one of a stream, and of the transaction that this has open.
func (b *backend) inStream(c *iproto.Conn, stream uint64, call *proc.Call) {
	call.Conn, call.Sync = c.ID()|inStream, stream
	if !b.inTxn(c, stream) {
		return
	}
	id := txnOf(c, stream)
	call.Txn = &proc.Txn{ID: id, Gone: c.Done(), Forward: func(user box.Credentials, space uint32) *xrow.Error {
		may := make(chan *xrow.Error, 1)
		b.forwardTxn(id, user, space, func(e *xrow.Error) { may <- e })
		return <-may
	}}
}

// StreamsGone has what the streams of a connection have open rolled back. Where the core
// has ended nothing is open any more.
func (b *backend) StreamsGone(conn uint64) {
	if e := b.engine(); e != nil {
		_ = e.loop.Submit(instance.StreamsGone{Conn: conn})
	}
}
