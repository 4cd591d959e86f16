package server

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/xrow"
)

// local marks connection numbers in names of transactions that are of this process and of
// no client.
const local = 1 << 61

// ErrOutcomeUnknown is wrapped by the error of a change of which nobody knows whether it
// was, or will be, committed: its context ended, or the node did, while it was under way, or
// the core gave up waiting for a quorum. All other errors are certain: nothing was changed.
var ErrOutcomeUnknown = errors.New("the outcome is unknown")

// Session is a client within this process. It has a user, and no socket: its requests take
// the way of those of clients, behind the same checks, limits and waits. Each of its methods
// may be called from any goroutine, and waits until its context ends at most, but for the
// time that the backlog of the Loop is full. Bytes that are handed over are not changed any
// more, by anybody.
type Session struct {
	s    *Server
	user box.Credentials
	txns *atomic.Uint64 // that were begun; shared by those of a connection
	conn uint64
}

// Session opens a session of a user; there must be one of that name. It ends with Close.
func (s *Server) Session(user string) (*Session, error) {
	at, err := s.present()
	if err != nil {
		return nil, err
	}
	var creds box.Credentials
	ok := false
	at.e.loop.Read(func(c *instance.Core) {
		var u box.User
		if u, ok = c.Box().UserByName(user); ok {
			creds, _ = c.Box().Schema().Credentials(u.ID)
		}
	})
	if !ok {
		return nil, xrow.Errorf(xrow.ErrNoSuchUser, user)
	}
	return &Session{s: s, user: creds, txns: new(atomic.Uint64), conn: s.port.locals.Add(1) | local}, nil
}

// Close rolls back what the session has open. A COMMIT that is under way goes on.
func (l *Session) Close() {
	if at, err := l.s.present(); err == nil {
		_ = at.e.loop.Submit(instance.StreamsGone{Conn: l.conn}) // else it has ended, with all that was open
	}
}

// run is a run of the replica set's node, as a request finds it.
type run struct {
	e  *engine
	no uint64
}

// present is the run that takes requests; LOADING: there is none, SHUTDOWN: nor will be.
func (s *Server) present() (run, error) {
	if s.over.Load() {
		return run{}, xrow.Errorf(xrow.ErrShutdown)
	}
	no := s.port.calls.present() // before the engine is looked at: one that ends now is noticed
	if e := (&backend{s}).Ready(); e != nil {
		return run{}, e
	}
	return run{s.main().engine.Load(), no}, nil
}

// ask makes an event that answers to a number, hands it over, and waits for the answer. An
// error of the context is given alone as long as nothing was handed over; then the answer has
// unanswered set.
func (s *Server) ask(ctx context.Context, at run, event func(conn uint64) instance.Event) (instance.Reply, error) {
	return s.await(ctx, at, func(conn uint64, _ func(instance.Reply)) error { return at.e.loop.Submit(event(conn)) })
}

// await is ask for whoever hands something over to be answered by the core, or by the
// function it is given.
func (s *Server) await(ctx context.Context, at run, hand func(conn uint64, answer func(instance.Reply)) error) (r instance.Reply, err error) {
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	got := make(chan instance.Reply, 1)
	conn, ok := s.port.calls.addIn(at.no, func(r instance.Reply) { got <- r })
	if !ok {
		return r, xrow.Errorf(xrow.ErrShutdown)
	}
	if err := hand(conn, s.port.calls.answer); err != nil {
		s.port.calls.drop(conn)
		return r, xrow.Errorf(xrow.ErrShutdown)
	}
	select {
	case r = <-got:
	case <-ctx.Done():
		if s.port.calls.drop(conn) {
			return r, &abandoned{context.Cause(ctx)}
		}
		r = <-got
	}
	if r.Err == nil {
		return r, nil
	}
	if errors.Is(r.Err, errUnanswered) {
		return r, &abandoned{r.Err}
	}
	return r, r.Err
}

// abandoned is the end of a wait for an answer to what was handed over.
type abandoned struct{ cause error }

func (a *abandoned) Error() string { return a.cause.Error() }
func (a *abandoned) Unwrap() error { return a.cause }

// outcome is the error of a change.
func outcome(err error) error {
	var gone *abandoned
	var said *xrow.Error
	switch {
	case errors.As(err, &gone):
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, gone.cause)
	case errors.As(err, &said) && said.OutcomeUnknown():
		return &lateOutcome{said}
	}
	return err
}

// lateOutcome is an error of a core that says by itself that the outcome is unknown.
type lateOutcome struct{ said *xrow.Error }

func (u *lateOutcome) Error() string   { return u.said.Error() }
func (u *lateOutcome) Unwrap() []error { return []error{ErrOutcomeUnknown, u.said} }

// Execute makes a change, which is a transaction by itself, and waits until it is committed.
// The answer is a raw array of tuples: none or one.
func (l *Session) Execute(ctx context.Context, d xrow.DML) ([]byte, error) {
	at, err := l.s.present()
	if err != nil {
		return nil, err
	}
	r, err := l.s.ask(ctx, at, func(conn uint64) instance.Event {
		return instance.Write{Requests: []instance.Request{{Conn: conn, User: l.user, DML: d}}}
	})
	return r.Data, outcome(err)
}

// Select reads confirmed state in slices and tells the number of tuples.
func (l *Session) Select(ctx context.Context, q *box.Query, to instance.Sink) (n int, err error) {
	at, err := l.s.present()
	if err != nil {
		return 0, err
	}
	return at.e.loop.StreamSelect(instance.TxnID{}, l.user, q, &sinkUntil{ctx, to})
}

// Linear waits until a Select in a space sees all that any member has acknowledged before.
func (l *Session) Linear(ctx context.Context, space uint32) error {
	at, err := l.s.present()
	if err != nil {
		return err
	}
	if e := at.e.notLinearizable(l.user, space); e != nil {
		return e
	}
	_, err = l.s.ask(ctx, at, func(conn uint64) instance.Event { return instance.LinearRead{Conn: conn} })
	return err
}

// Writable tells whether this instance takes writes of replicated spaces now.
func (l *Session) Writable() (is bool) {
	if at, err := l.s.present(); err == nil {
		at.e.loop.Read(func(c *instance.Core) { is = c.Writable() })
	}
	return is
}

// sinkUntil is a Sink that ends with a context.
type sinkUntil struct {
	ctx context.Context
	to  instance.Sink
}

func (s *sinkUntil) Take(b []byte) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.to.Take(b)
}

// Call calls a function as CALL does: args and the answer are raw arrays. Whatever a function
// may have done when the wait for it ends has an unknown outcome.
func (l *Session) Call(ctx context.Context, name string, args []byte) ([]byte, error) {
	at, err := l.s.present()
	if err != nil {
		return nil, err
	}
	data, err := l.call(ctx, at, name, args, nil)
	return data, outcome(err)
}

func (l *Session) call(ctx context.Context, at run, name string, args []byte, tx *proc.Txn) ([]byte, error) {
	r, err := l.s.await(ctx, at, func(conn uint64, answer func(instance.Reply)) error {
		at.e.front.procs.Call(proc.Call{Conn: conn, Session: proc.Session{Conn: l.conn}, Txn: tx, User: l.user, Type: xrow.Call, Name: name, Args: args,
			Reply: func(data []byte, err *xrow.Error) { answer(instance.Reply{Conn: conn, Data: data, Err: err}) }})
		return nil
	})
	return r.Data, err
}

// ResolveSpace is the number of a space.
func (l *Session) ResolveSpace(name string) (id uint32, err error) {
	err = l.schema(func(s *box.Schema) (err error) {
		id, err = s.FindSpace(name)
		return err
	})
	return id, err
}

// ResolveIndex is the number of an index of a space.
func (l *Session) ResolveIndex(space uint32, name string) (id uint32, err error) {
	err = l.schema(func(s *box.Schema) (err error) {
		id, err = s.FindIndex(space, name)
		return err
	})
	return id, err
}

func (l *Session) schema(f func(*box.Schema) error) error {
	at, err := l.s.present()
	if err != nil {
		return err
	}
	at.e.loop.Read(func(c *instance.Core) { err = f(c.Box().Schema()) })
	return err
}
