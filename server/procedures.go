package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

const (
	// proceduresAtOnce is how many calls of procedures may run, where Config does not say.
	proceduresAtOnce = 1000
	// procedureTries is how often one runs whose transaction meets conflicts.
	procedureTries = 10
	// procedureGrace is how long a stop waits for those that were told to end.
	procedureGrace = 3 * time.Second
)

// procedures are those of the program, and their calls that run. They outlive the runs of
// nodes, like the program.
//
// Invariant: a call that joins a transaction, or calls within its own, has ended before the
// one that it was called by.
type procedures struct {
	s     *Server
	by    map[string]*procedure // never changed
	limit int
	log   zerolog.Logger

	txns atomic.Uint64 // of their own that were begun

	mu      sync.Mutex
	ended   sync.Cond // some call has
	running map[*procedureRun]struct{}
	stopped bool
}

// procedure and how its calls went.
type procedure struct {
	Procedure
	running              int
	calls, failed, again uint64
}

// procedureRun is a call that runs.
type procedureRun struct {
	all    *procedures
	of     *procedure
	call   proc.Run
	at     run
	ctx    context.Context // until the call has ended
	cancel context.CancelCauseFunc
	caller *procedureRun // within whose transaction it runs; nil: none of ours

	mu sync.Mutex // of the transaction of its attempt

	// Guarded by the lock of all. The present attempt:
	attemptCtx context.Context
	tried      context.CancelCauseFunc // ends that
	txn        instance.TxnID          // that it has joined or begun; zero: none
	stop       func() bool             // of the timer by which that ends; nil: none does
	within     int                     // calls within its transaction
	finishing  bool                    // the procedure has returned
}

func newProcedures(s *Server, all []Procedure, limit int) *procedures {
	p := &procedures{s: s, by: map[string]*procedure{}, limit: cmp.Or(limit, proceduresAtOnce), log: s.log, running: map[*procedureRun]struct{}{}}
	p.ended.L = &p.mu
	for _, x := range all {
		p.by[x.Name] = &procedure{Procedure: x}
	}
	return p
}

// Start has a procedure begin, unless too many run.
func (p *procedures) Start(c proc.Run) error {
	at, err := p.s.present()
	if err != nil {
		return err
	}
	r := &procedureRun{all: p, of: p.by[c.Name], call: c, at: at}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopped:
		return xrow.Errorf(xrow.ErrShutdown)
	case len(p.running) >= p.limit:
		return xrow.Errorf(xrow.ErrSystem, fmt.Sprintf("%d calls of procedures run: '%s' has to wait until one has ended", p.limit, c.Name))
	}
	under := context.Background()
	if c.Txn != nil {
		r.txn = c.Txn.ID
		if r.caller = p.runsIn(c.Txn.ID); r.caller != nil {
			r.caller.within++
			under = r.caller.attemptCtx
		}
	}
	r.ctx, r.cancel = context.WithCancelCause(under)
	p.running[r] = struct{}{}
	r.of.running++
	r.of.calls++
	go r.serve()
	return nil
}

// runsIn is the innermost call that runs in a transaction.
func (p *procedures) runsIn(id instance.TxnID) (found *procedureRun) {
	for r := range p.running {
		if r.txn == id && r.within == 0 {
			found = r
		}
	}
	return found
}

// serve runs the call to its answer, also where the function ends the goroutine.
func (r *procedureRun) serve() {
	data, err := []byte(nil), r.exited()
	defer func() {
		r.all.end(r, err != nil)
		r.call.Done(data, told(err))
	}()
	data, err = r.attempts()
}

// told is what a client hears of an error: one without a code has that of an error of Lua.
func told(err error) error {
	var e *xrow.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return &xrow.Error{Code: xrow.ErrProcLua, Message: err.Error(), Err: err}
	case errors.Is(err, ErrOutcomeUnknown):
		return &xrow.Error{Code: e.Code, Message: err.Error(), Err: err}
	}
	return e
}

func (r *procedureRun) exited() error { return r.fault("ended its goroutine") }

func (r *procedureRun) fault(what string) error {
	return xrow.Errorf(xrow.ErrProcLua, fmt.Sprintf("procedure '%s' %s", r.of.Name, what))
}

// end takes a call off the list, before its client hears of it.
func (p *procedures) end(r *procedureRun, failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, r)
	r.of.running--
	if failed {
		r.of.failed++
	}
	if r.caller != nil {
		r.caller.within--
	}
	p.ended.Broadcast()
	r.cancel(nil)
}

// attempts runs the procedure until no conflict ends its own transaction.
func (r *procedureRun) attempts() (data []byte, err error) {
	for try := 1; ; try++ {
		if data, err = r.attempt(); try == procedureTries || r.call.Txn != nil || !errors.Is(err, xrow.ErrTransactionConflict) || errors.Is(err, ErrOutcomeUnknown) {
			return data, err
		}
		r.all.mu.Lock()
		r.of.again++
		r.all.mu.Unlock()
	}
}

// attempt runs it once, with its transaction to the end.
func (r *procedureRun) attempt() (data []byte, err error) {
	as, err := r.call.As()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	c := &ProcedureCall{Name: r.of.Name, Args: r.call.Args, User: r.at.e.nameOf(as), run: r, as: as}
	r.all.mu.Lock()
	r.attemptCtx, r.tried = ctx, cancel
	r.all.mu.Unlock()
	defer func() {
		if err = r.finish(ctx, c, err); err != nil {
			data = nil
		}
	}()
	if err = r.join(c); err != nil {
		return nil, err
	}
	err = r.exited() // unless it returns
	values, err := r.guarded(ctx, c)
	if err != nil {
		return nil, err
	}
	return r.call.Data(values)
}

// join makes what a caller has open the transaction of the attempt.
func (r *procedureRun) join(c *ProcedureCall) error {
	if r.call.Txn == nil {
		return nil
	}
	c.txn = r.all.s.joinTxn(r.at, c.as, r.call.Txn.ID)
	if gone := r.call.Txn.Gone; gone != nil {
		go func() {
			select {
			case <-gone:
				r.cancel(errClientGone)
			case <-r.ctx.Done():
			}
		}()
	}
	return r.watch(r.call.Txn.ID)
}

var errClientGone = errors.New("the client of the transaction is gone")

// transaction is that of an attempt.
func (r *procedureRun) transaction(ctx context.Context, c *ProcedureCall) (*Txn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.over:
		return nil, ErrTxnEnded
	case c.txn != nil:
		return c.txn, nil
	}
	own := &Session{s: r.all.s, user: c.as, txns: &r.all.txns, conn: r.payer() | ofProcedure}
	txn, err := own.Begin(ctx, TxnOptions{})
	if err != nil {
		return nil, err
	}
	c.txn = txn
	return txn, r.watch(txn.id)
}

// ofProcedure marks connection numbers in names of transactions that procedures have begun: all of
// a client's connection have its number, so that they share what one connection may take.
// They do not end with it.
const ofProcedure = 1 << 60

// payer is that connection; 0 stands for all guests together.
func (r *procedureRun) payer() uint64 {
	if r.call.User.User() == box.UserGuest {
		return 0
	}
	return r.call.Session.Conn
}

// watch has the attempt end with its transaction: by the clock here, and by what the core
// says of it in statusChanged.
func (r *procedureRun) watch(id instance.TxnID) error {
	var until time.Duration
	var over *xrow.Error
	e := r.at.e
	e.loop.Read(func(c *instance.Core) { until, over = c.TxnState(id) })
	if over != nil {
		return over
	}
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	r.txn = id
	if tried := r.tried; until != 0 {
		r.stop = time.AfterFunc(until-e.loop.Now().Mono, func() { tried(xrow.Errorf(xrow.ErrTransactionTimeout)) }).Stop
	}
	return nil
}

// statusChanged ends attempts whose transaction cannot commit any more. It is called on the
// Loop's goroutine, which owns the core.
func (p *procedures) statusChanged(e *engine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.running {
		if r.at.e != e || r.txn == (instance.TxnID{}) || r.finishing {
			continue
		}
		if _, err := e.core.TxnState(r.txn); err != nil {
			r.tried(err)
		}
	}
}

// finish ends the attempt's transaction: its own one by COMMIT or ROLLBACK; one that it has
// joined goes back to whoever has it, behind all calls that were made in it.
func (r *procedureRun) finish(ctx context.Context, c *ProcedureCall, err error) error {
	if err == nil {
		err = ctx.Err() // nothing can come of it
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	r.all.leave(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	c.over = true
	switch {
	case c.txn == nil:
	case r.call.Txn != nil:
		c.txn.leave()
	case err != nil:
		_ = c.txn.Rollback() // it was begun here
	default:
		err = c.txn.Commit(context.WithoutCancel(ctx), false) // the core answers in time
	}
	return err
}

// leave ends the context of an attempt, and waits for calls that were made in it.
func (p *procedures) leave(r *procedureRun) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.finishing = true
	r.tried(nil)
	for r.within > 0 {
		p.ended.Wait()
	}
	if r.stop != nil {
		r.stop()
	}
	r.txn, r.stop, r.finishing = instance.TxnID{}, nil, false
}

// guarded calls the function: a panic is its error, and the process lives.
func (r *procedureRun) guarded(ctx context.Context, c *ProcedureCall) (values [][]byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = r.fault(fmt.Sprintf("panicked: %v", p))
			r.all.log.Error().Err(err).Str("stack", string(debug.Stack())).Msg("a procedure panicked")
			values = nil
		}
	}()
	return r.of.Run(ctx, c)
}

// cut ends the calls that have begun in a run of the node.
func (p *procedures) cut() { p.cancel(xrow.Errorf(xrow.ErrShutdown)) }

func (p *procedures) cancel(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.running {
		r.cancel(cause)
	}
}

// close lets nothing begin any more, ends what runs, and waits for it, for a while.
func (p *procedures) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for r := range p.running {
		r.cancel(xrow.Errorf(xrow.ErrShutdown))
	}
	late := false
	defer time.AfterFunc(procedureGrace, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		late = true
		p.ended.Broadcast()
	}).Stop()
	for len(p.running) > 0 && !late {
		p.ended.Wait()
	}
	for r := range p.running {
		p.log.Warn().Str("procedure", r.of.Name).Msg("a procedure does not end: nobody waits for it any more")
	}
}

// sessionOf is a session of this process for a user that is known.
func (s *Server) sessionOf(user box.Credentials) *Session {
	return &Session{s: s, user: user, txns: new(atomic.Uint64), conn: s.port.locals.Add(1) | local}
}
