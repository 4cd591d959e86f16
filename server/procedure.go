package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/xrow"
)

// Procedure is a function of the program that the instance is part of. Clients CALL it by
// its name. It runs on a goroutine of its own, and is told by its context to end: see
// [ProcedureCall].
type Procedure struct {
	Name    string // as CALL and rows of _func have it: no name of box or tarragon, 255 bytes at most
	Version uint32 // rows of _func may ask for a least one
	// Run serves a call and returns raw values. It may run again with the same arguments, when
	// its transaction meets a conflict. An error with a code is what the client gets; any other
	// one has the code of an error of Lua, 32.
	Run func(ctx context.Context, c *ProcedureCall) ([][]byte, error)
}

// ProcedureCall is one attempt to run a procedure. It is valid until Run returns.
//
// The context of the attempt ends when nothing more can come of it: its transaction was ended
// by its timeout, or its instance may not write any more what it has changed; the client of a
// transaction that it has joined is gone; the instance stops. A call that is a transaction by
// itself goes on without its client, as in Tarantool.
type ProcedureCall struct {
	Name string
	Args []byte // raw array
	User string // whose rights count
	run  *procedureRun
	as   box.Credentials
	txn  *Txn // nil: there was no request yet
	over bool // Run has returned
}

// Txn is the transaction of the call: the caller's, or one of its own that begins now, and
// that is committed when Run returns nil. Calls of several goroutines come one after the other.
func (c *ProcedureCall) Txn(ctx context.Context) (*Txn, error) { return c.run.transaction(ctx, c) }

// Execute makes a change in the transaction of the call, as [Txn.Execute].
func (c *ProcedureCall) Execute(ctx context.Context, d xrow.DML) ([]byte, error) {
	tx, err := c.Txn(ctx)
	if err != nil {
		return nil, err
	}
	return tx.Execute(ctx, d)
}

// Select reads in it, as [Txn.Select].
func (c *ProcedureCall) Select(ctx context.Context, q *box.Query, to instance.Sink) (int, error) {
	tx, err := c.Txn(ctx)
	if err != nil {
		return 0, err
	}
	return tx.Select(ctx, q, to)
}

// Call calls a function in it, as [Txn.Call].
func (c *ProcedureCall) Call(ctx context.Context, name string, args []byte) ([]byte, error) {
	tx, err := c.Txn(ctx)
	if err != nil {
		return nil, err
	}
	return tx.Call(ctx, name, args)
}

// ResolveSpace is the number of a space.
func (c *ProcedureCall) ResolveSpace(name string) (uint32, error) {
	return c.run.all.s.sessionOf(c.as).ResolveSpace(name)
}

// ResolveIndex is the number of an index of a space.
func (c *ProcedureCall) ResolveIndex(space uint32, name string) (uint32, error) {
	return c.run.all.s.sessionOf(c.as).ResolveIndex(space, name)
}

// Push sends a raw value to the client before the answer, as box.session.push. It waits until
// the client has read enough of what was sent before.
func (c *ProcedureCall) Push(v []byte) error {
	if c.run.call.Push == nil {
		return xrow.Errorf(xrow.ErrUnsupported, "This session", "push()")
	}
	return c.run.call.Push(v)
}

// checkProcedures finds all that is wrong with what a program has.
func checkProcedures(all []Procedure) error {
	var errs []error
	bad := func(p *Procedure, format string, args ...any) {
		errs = append(errs, fmt.Errorf("procedure %q: "+format, append([]any{p.Name}, args...)...))
	}
	if len(all) > xrow.MaxProcedures {
		errs = append(errs, fmt.Errorf("%d procedures: there may be %d", len(all), xrow.MaxProcedures))
	}
	seen := map[string]bool{}
	for i := range all {
		p := &all[i]
		switch {
		case p.Name == "" || !utf8.ValidString(p.Name) || strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' }):
			bad(p, "a name has at least one letter, and no control characters")
		case len(p.Name) > xrow.MaxProcedureName:
			bad(p, "a name has %d bytes at most", xrow.MaxProcedureName)
		case proc.IsBuiltin(p.Name):
			bad(p, "the name is taken by a function that every instance has, or by a global of Lua")
		case p.Run == nil:
			bad(p, "there is no function")
		case seen[p.Name]:
			bad(p, "the name is registered twice")
		}
		seen[p.Name] = true
	}
	return errors.Join(errs...)
}

// announced are the procedures as peers are told of them, by name.
func announced(all []Procedure) (out []xrow.Procedure) {
	for i := range all {
		out = append(out, xrow.Procedure{Name: all[i].Name, Version: all[i].Version})
	}
	slices.SortFunc(out, func(a, b xrow.Procedure) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Version makes procedures a [proc.Procedures].
func (p *procedures) Version(name string) (version uint32, ok bool) {
	x, ok := p.by[name]
	if !ok {
		return 0, false
	}
	return x.Version, true
}

// Info tells how they stand.
func (p *procedures) Info() proc.ProceduresInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := proc.ProceduresInfo{Running: len(p.running), Limit: p.limit}
	for _, name := range slices.Sorted(maps.Keys(p.by)) {
		x := p.by[name]
		out.All = append(out.All, proc.ProcedureInfo{Name: name, Version: x.Version, Running: x.running, Calls: x.calls, Failed: x.failed, Again: x.again})
	}
	return out
}

// missing names the rows of _func whose procedure this program does not have; nil: it has all.
func (p *procedures) missing(e *engine) error {
	var names []string
	e.loop.Read(func(c *instance.Core) {
		for _, f := range c.Box().Schema().Procedures() {
			if version, ok := p.Version(f.Name); !ok {
				names = append(names, fmt.Sprintf("'%s'", f.Name))
			} else if version < f.Version {
				names = append(names, fmt.Sprintf("'%s' (version %d, and %d is asked for)", f.Name, version, f.Version))
			}
		}
	})
	if len(names) == 0 {
		return nil
	}
	const most = 10
	if n := len(names); n > most {
		names = append(names[:most], fmt.Sprintf("and %d more", n-most))
	}
	return errors.New(strings.Join(names, ", "))
}

// noteProcedures says in status what this program lacks.
func (s *Server) noteProcedures(e *engine) {
	err := s.procs.missing(e)
	if s.troubles.set(areaProcedures, "functions of language GO for which this program has no procedure", err) && err != nil {
		s.log.Error().Err(err).Msg("functions of language GO for which this program has no procedure")
	}
}

// nameOf is the name of a user; empty: it was dropped.
func (e *engine) nameOf(user box.Credentials) (name string) {
	e.loop.Read(func(c *instance.Core) {
		if u, ok := c.Box().Schema().User(user.User()); ok {
			name = u.Name
		}
	})
	return name
}
