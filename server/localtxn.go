package server

import (
	"context"
	"errors"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/xrow"
)

// TxnOptions are those of BEGIN. Zero fields mean what is configured.
type TxnOptions struct {
	Isolation box.Isolation
	Timeout   time.Duration
	IsSync    bool // synchronous whatever its spaces are
}

// ErrTxnEnded is the error of a request in a transaction that has ended: it was committed or
// rolled back, or whoever lent it has it back.
var ErrTxnEnded = errors.New("the transaction has ended")

// errNotOwner: who has begun a transaction ends it.
var errNotOwner = xrow.Errorf(xrow.ErrUnsupported, "A procedure", "the end of a transaction of its caller")

// Txn is a transaction of several requests: one of a Session, or one that a client's stream
// has open, which is joined. It is what docs/protocol/transactions.md tells. Requests of several
// goroutines come one after the other.
//
// Invariant: a request is handed over behind the answer to the one before, or behind that it
// was given up; all are handed over by whoever holds turn.
type Txn struct {
	at     run
	by     Session // whose rights count
	id     instance.TxnID
	joined bool
	turn   chan struct{} // holds one: nobody has a request under way
	ended  bool
}

// Begin opens a transaction. Commit or Rollback must end it, or the end of the session.
func (l *Session) Begin(ctx context.Context, o TxnOptions) (*Txn, error) {
	at, err := l.s.present()
	if err != nil {
		return nil, err
	}
	x := newTxn(at, *l, instance.TxnID{Conn: l.conn, Stream: l.txns.Add(1)})
	_, err = x.request(ctx, instance.StreamRequest{Op: instance.StreamBegin, Isolation: o.Isolation, Timeout: o.Timeout, IsSync: o.IsSync})
	var gone *abandoned
	if errors.As(err, &gone) { // it may be open
		x.rollback()
		return nil, gone.cause
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// joinTxn is a transaction that somebody else has open, for requests with the rights of a user.
// The caller ends it by leave before the stream goes on.
func (s *Server) joinTxn(at run, user box.Credentials, id instance.TxnID) *Txn {
	x := newTxn(at, Session{s: s, user: user, conn: id.Conn}, id)
	x.joined = true
	return x
}

func newTxn(at run, by Session, id instance.TxnID) *Txn {
	x := &Txn{at: at, by: by, id: id, turn: make(chan struct{}, 1)}
	x.turn <- struct{}{}
	return x
}

// take waits for the turn of a request.
func (x *Txn) take(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-x.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if x.ended {
		x.give()
		return ErrTxnEnded
	}
	return nil
}

func (x *Txn) give() { x.turn <- struct{}{} }

// request hands a request of the transaction over and waits for its answer. The turn is held.
func (x *Txn) request(ctx context.Context, q instance.StreamRequest) (instance.Reply, error) {
	q.ID, q.User, q.Within = x.id, x.by.user, q.Op != instance.StreamBegin
	return x.by.s.ask(ctx, x.at, func(conn uint64) instance.Event {
		q.Conn = conn
		return instance.Streams{Requests: []instance.StreamRequest{q}}
	})
}

// gaveUp is the error of a request within the transaction. Whether one whose answer nobody
// waits for has changed what the transaction sees is not known, so it ends; who has joined it
// has no part in it any more.
func (x *Txn) gaveUp(err error) error {
	var gone *abandoned
	if !errors.As(err, &gone) {
		return err
	}
	if x.ended = true; !x.joined {
		x.rollback()
	}
	return gone.cause
}

// rollback ends the transaction without waiting for the answer.
func (x *Txn) rollback() {
	x.ended = true
	_ = x.at.e.loop.Submit(instance.Streams{Requests: []instance.StreamRequest{{ID: x.id, Op: instance.StreamRollback}}}) // else it has ended with the node
}

// Execute makes a change that only the transaction sees until COMMIT. The answer is a raw
// array of tuples: none or one.
func (x *Txn) Execute(ctx context.Context, d xrow.DML) ([]byte, error) {
	if err := x.take(ctx); err != nil {
		return nil, err
	}
	defer x.give()
	r, err := x.request(ctx, instance.StreamRequest{Op: instance.StreamWrite, DML: d})
	return r.Data, x.gaveUp(err)
}

// Select reads what the transaction sees and tells the number of tuples.
func (x *Txn) Select(ctx context.Context, q *box.Query, to instance.Sink) (n int, err error) {
	if err := x.take(ctx); err != nil {
		return 0, err
	}
	defer x.give()
	ask := instance.StreamRequest{Op: instance.StreamRead, DML: xrow.DML{SpaceID: q.Space}}
	if isQuick(q.Space, q.FetchPosition || q.AfterPosition != nil || q.AfterTuple != nil) {
		own := *q // the core may look at it when nobody waits any more
		ask.Query, ask.Long = &own, func() {}
	}
	r, err := x.request(ctx, ask)
	if err != nil {
		return 0, x.gaveUp(err)
	}
	if ask.Query == nil || r.Long != nil {
		return x.at.e.loop.TxnSelect(x.id, x.by.user, q, &sinkUntil{ctx, to})
	}
	n, at, _ := mp.ReadArrayHeader(r.Data)
	if n == 0 {
		return 0, nil
	}
	return n, to.Take(r.Data[at:])
}

// ResolveSpace is the number of a space.
func (x *Txn) ResolveSpace(name string) (uint32, error) { return x.by.ResolveSpace(name) }

// ResolveIndex is the number of an index of a space.
func (x *Txn) ResolveIndex(space uint32, name string) (uint32, error) {
	return x.by.ResolveIndex(space, name)
}

// Call calls a function in the transaction, see [Session.Call].
func (x *Txn) Call(ctx context.Context, name string, args []byte) ([]byte, error) {
	if err := x.take(ctx); err != nil {
		return nil, err
	}
	defer x.give()
	tx := &proc.Txn{ID: x.id, Forward: func(user box.Credentials, space uint32) *xrow.Error {
		may := make(chan *xrow.Error, 1)
		(&backend{x.by.s}).forwardTxn(x.id, user, space, func(e *xrow.Error) { may <- e })
		return <-may
	}}
	data, err := x.by.call(ctx, x.at, name, args, tx)
	return data, x.gaveUp(err)
}

// Commit makes the changes of the transaction, all or none, and waits until that is decided.
// The transaction has ended, whatever it returns, but where ctx ended before it was sent:
// that is an error of ctx alone.
func (x *Txn) Commit(ctx context.Context, isSync bool) error {
	if x.joined {
		return errNotOwner
	}
	if err := x.take(ctx); err != nil {
		return err
	}
	defer x.give()
	_, err := x.request(ctx, instance.StreamRequest{Op: instance.StreamCommit, IsSync: isSync})
	var gone *abandoned
	var said *xrow.Error
	x.ended = err == nil || errors.As(err, &gone) || errors.As(err, &said) // else nothing was handed over
	return outcome(err)
}

// Rollback ends the transaction, which has changed nothing then. To end one again does
// nothing. It waits for a request that is under way.
func (x *Txn) Rollback() error {
	if x.joined {
		return errNotOwner
	}
	<-x.turn
	defer x.give()
	if !x.ended {
		x.rollback()
	}
	return nil
}

// leave ends a joined transaction for whoever had it; a request that is under way is waited
// for.
func (x *Txn) leave() {
	<-x.turn
	defer x.give()
	x.ended = true
}
