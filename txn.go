package tarragon

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/server"
)

// Isolation says what of other transactions one may see (docs/protocol/transactions.md). All
// of them make transactions serializable.
type Isolation = box.Isolation

// Levels of isolation.
const (
	ReadCommitted Isolation = box.ReadCommitted // what may yet be rolled back, too: COMMIT waits for it
	ReadConfirmed Isolation = box.ReadConfirmed
	BestEffort    Isolation = box.BestEffort // ReadConfirmed until the first change, then ReadCommitted
	// LevelLinearizable sees all that any member has acknowledged before; in synchronous spaces.
	LevelLinearizable Isolation = box.Linearizable
)

// TxOptions are those of a transaction. A zero field means its default.
type TxOptions struct {
	Isolation Isolation     // database.txn_isolation
	Timeout   time.Duration // it is rolled back so long after its begin; database.txn_timeout
	Sync      bool          // it waits for a quorum whatever its spaces are
	Attempts  int           // how often Transaction runs it at most; until ctx ends
	// Hold is how long Transaction waits for this instance to take writes again when it has
	// stopped to in the middle; not at all.
	Hold time.Duration
}

// Tx is a transaction that is open. Nobody else sees its changes until it is committed. It
// may be used by several goroutines; its requests come one after the other.
type Tx struct {
	l     link        // to do what is not its end
	x     *server.Txn // nil: of a procedure, whose call ends it
	inner bool        // whoever runs a function in it ends it
}

// Begin opens a transaction, to be ended by Commit or Rollback. Most want Transaction.
func (s *Session) Begin(ctx context.Context, o TxOptions) (*Tx, error) {
	x, err := s.l.Begin(ctx, server.TxnOptions{Isolation: o.Isolation, Timeout: o.Timeout, IsSync: o.Sync})
	if err != nil {
		return nil, err
	}
	return &Tx{l: x, x: x}, nil
}

// Space is a space as the transaction sees it.
func (t *Tx) Space(name string) Space { return Space{t, name} }

// Call calls a function in the transaction, see [Session.Call].
func (t *Tx) Call(ctx context.Context, name string, args ...any) (Tuple, error) {
	return call(ctx, t.l, name, args)
}

func (t *Tx) link() link { return t.l }

func (t *Tx) linear(context.Context, uint32) error { return errLinearTx }

var errInner = errors.New("tarragon: a function that was given a transaction ends it by what it returns")

// Commit makes all changes, or none, and waits until that is decided. An error of ctx alone
// leaves the transaction open; any other end is its end.
func (t *Tx) Commit(ctx context.Context) error {
	if t.inner {
		return errInner
	}
	return t.x.Commit(ctx, false)
}

// Rollback ends the transaction, which has changed nothing then. Behind Commit it does
// nothing.
func (t *Tx) Rollback() error {
	if t.inner {
		return errInner
	}
	return t.x.Rollback()
}

// Transaction runs f in a transaction, and commits it when f returns nil. An error of f, or
// a panic, rolls it back. f runs again when the transaction has lost: to a conflict with
// another one (ErrTransactionConflict), or because this instance has stopped to lead before
// it was committed, if it leads again (TxOptions.Hold). So all that f does elsewhere it may do
// several times. Nothing is run again whose outcome is unknown, nor on other errors.
func (s *Session) Transaction(ctx context.Context, o TxOptions, f func(tx *Tx) error) error {
	for n := 1; ; n++ {
		led := s.l.Writable()
		err := s.attempt(ctx, o, f)
		if err == nil || errors.Is(err, ErrOutcomeUnknown) || n == o.Attempts || ctx.Err() != nil {
			return err
		}
		switch {
		case errors.Is(err, ErrTransactionConflict):
			if !pause(ctx, n) {
				return err
			}
		case led && (errors.Is(err, ErrReadonly) || errors.Is(err, ErrSyncRollback)):
			if !s.leadsAgain(ctx, o.Hold) {
				return err
			}
		default:
			return err
		}
	}
}

// attempt runs f once.
func (s *Session) attempt(ctx context.Context, o TxOptions, f func(tx *Tx) error) error {
	tx, err := s.Begin(ctx, o)
	if err != nil {
		return err
	}
	tx.inner = true
	defer func() { _ = tx.x.Rollback() }() // whatever f does, if it has not ended; it is not joined
	if err := f(tx); err != nil {
		return err
	}
	return tx.x.Commit(ctx, false)
}

// leadsAgain waits until this instance takes writes again.
func (s *Session) leadsAgain(ctx context.Context, hold time.Duration) bool {
	if s.l.Writable() {
		return true
	}
	if hold == 0 {
		return false
	}
	_, err := s.Call(ctx, "box.ctl.wait_rw", hold.Seconds())
	return err == nil
}

// Pauses between attempts are drawn between nothing and a limit that doubles: of several that
// want the same, one wins each time.
const (
	pauseLeast = 100 * time.Microsecond
	pauseMost  = 20 * time.Millisecond
)

// pause waits behind the nth attempt; false: ctx has ended.
func pause(ctx context.Context, n int) bool {
	limit := min(pauseLeast<<min(n, 10), pauseMost)
	t := time.NewTimer(rand.N(limit))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
