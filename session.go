package tarragon

import (
	"context"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xrow"
)

// Session is what a user does with a DB. A change by it, or by a Space of it, is a transaction
// by itself. Its methods may be called by several goroutines, and honour their contexts: a
// change that was handed over when its context ends has the error [ErrOutcomeUnknown].
type Session struct{ l *server.Session }

// Space is a space by its name, which is looked up at each request.
func (s *Session) Space(name string) Space { return Space{s, name} }

// Call calls a function by its name, as CALL does: procedures of the schema are
// "box.schema.space.create" and its like. The answer is all values that it returns.
func (s *Session) Call(ctx context.Context, name string, args ...any) (Tuple, error) {
	return call(ctx, s.l, name, args)
}

// Close rolls back all transactions that the session has open.
func (s *Session) Close() { s.l.Close() }

// conn is a session or a transaction: what spaces belong to.
type conn interface {
	link() link
	linear(ctx context.Context, space uint32) error
}

// link is what [server.Session] and [server.Txn] have in common.
type link interface {
	Execute(ctx context.Context, d xrow.DML) ([]byte, error)
	Select(ctx context.Context, q *box.Query, to instance.Sink) (int, error)
	Call(ctx context.Context, name string, args []byte) ([]byte, error)
	ResolveSpace(name string) (uint32, error)
	ResolveIndex(space uint32, name string) (uint32, error)
}

var (
	_ link = (*server.Session)(nil)
	_ link = (*server.Txn)(nil)
	_ link = (*server.ProcedureCall)(nil)
)

func (s *Session) link() link { return s.l }

func (s *Session) linear(ctx context.Context, space uint32) error { return s.l.Linear(ctx, space) }

func call(ctx context.Context, l link, name string, args []any) (Tuple, error) {
	raw, err := encodeArgs(args)
	if err != nil {
		return nil, err
	}
	out, err := l.Call(ctx, name, raw)
	return out, err
}
