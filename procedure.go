package tarragon

import (
	"context"
	"fmt"
	"sync"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xrow"
)

// ProcedureFunc serves calls of a procedure, each on a goroutine of its own. tx is the
// transaction of the caller, or one of the call's own: that begins with its first request, is
// committed when f returns nil, and rolled back on an error or a panic. After a conflict f
// runs again, so all that it does elsewhere it may do several times. The client gets the
// results, each as MessagePack, or the error: an [*Error] as it is, any other one with the
// code 32 and its text.
//
// ctx ends when nothing can come of the call any more (docs/protocol/procedures.md), and [CallOf]
// it tells who calls. tx and args are valid until f returns.
type ProcedureFunc func(ctx context.Context, tx *Tx, args Args) (results []any, err error)

// Procedure is a function of this program that clients CALL by its name.
type Procedure struct {
	Name    string // as in CALL: 255 bytes at most, and none that begins with "box." or is a global of Lua
	Version uint32 // rows of _func may ask for a least one; 0 is less than all
	Func    ProcedureFunc
}

// registered are those of the process.
var registered struct {
	mu  sync.Mutex
	all []Procedure
}

// Register adds a procedure of version 1 to each DB that this process opens from then on. What
// is wrong with it Open says. [Config].Procedures are those of one DB.
func Register(name string, f ProcedureFunc) { RegisterVersion(name, 1, f) }

// RegisterVersion is Register for another version.
func RegisterVersion(name string, version uint32, f ProcedureFunc) {
	registered.mu.Lock()
	defer registered.mu.Unlock()
	registered.all = append(registered.all, Procedure{name, version, f})
}

// procedures are those of a DB.
func (c *Config) procedures() (out []server.Procedure) {
	registered.mu.Lock()
	defer registered.mu.Unlock()
	for _, list := range [...][]Procedure{registered.all, c.Procedures} {
		for _, p := range list {
			out = append(out, p.underlying())
		}
	}
	return out
}

func (p Procedure) underlying() server.Procedure {
	x := server.Procedure{Name: p.Name, Version: p.Version}
	if p.Func == nil {
		return x
	}
	x.Run = func(ctx context.Context, c *server.ProcedureCall) ([][]byte, error) {
		ctx = context.WithValue(ctx, callKey{}, &Call{Name: c.Name, User: c.User, c: c})
		results, err := p.Func(ctx, &Tx{l: c, inner: true}, Args(c.Args))
		if err != nil {
			return nil, err
		}
		return encodeResults(results)
	}
	return x
}

// encodeResults encodes what a procedure returns. The error is Tarantool's of what has no
// MessagePack.
func encodeResults(results []any) ([][]byte, error) {
	out := make([][]byte, len(results))
	for i, v := range results {
		raw, err := encode(v)
		if err != nil {
			return nil, &Error{Code: xrow.ErrProcRet, Message: fmt.Sprintf("msgpack.encode: can not encode Go type '%T'", v), Err: err}
		}
		out[i] = raw
	}
	return out, nil
}

// Args are the arguments of a call: a raw MessagePack array.
type Args []byte

// Len is how many there are.
func (a Args) Len() int {
	n, _, _ := mp.ReadArrayHeader(a)
	return n
}

// Decode reads them in order into what to points to. As in Lua those that are missing are
// nil, so that what would take them stays as it is, and further ones are passed over.
func (a Args) Decode(to ...any) error {
	n, at, _ := mp.ReadArrayHeader(a)
	for i, v := range to[:min(n, len(to))] {
		end := mp.Skip(a, at)
		if err := decode(a[at:end], v); err != nil {
			return &Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("argument %d: %s", i+1, err), Err: err}
		}
		at = end
	}
	return nil
}

// Call is who calls a procedure.
type Call struct {
	Name string // of the procedure
	User string // whose rights count: the caller, or the owner of a row of _func with setuid
	c    *server.ProcedureCall
}

type callKey struct{}

// CallOf is the call that the context of a procedure is of; nil: it is of none.
func CallOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// Push sends a value to the client before the answer, as box.session.push of Tarantool. It
// waits until the client has read enough of what was sent before; the error of a connection
// that has ended, or of a caller without one.
func (c *Call) Push(v any) error {
	raw, err := encodeResults([]any{v})
	if err != nil {
		return err
	}
	return c.c.Push(raw[0])
}
