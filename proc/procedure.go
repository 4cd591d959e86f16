package proc

import (
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// Procedures are the functions of the program that the instance is part of. They run on
// goroutines of their own.
type Procedures interface {
	// Version is that of a procedure; false: there is none of the name.
	Version(name string) (version uint32, ok bool)
	// Start has one begin; an error: it does not. It does not block.
	Start(r Run) error
	// Info tells how they stand, by name.
	Info() ProceduresInfo
}

// Run is a call of such a procedure.
type Run struct {
	Call
	// As tells with whose rights the procedure runs, and the error if the caller may not call
	// it: rights may have changed since the last attempt.
	As func() (box.Credentials, error)
	// Data is the raw DATA of raw values; an error: they are more than an answer may have.
	Data func(values [][]byte) ([]byte, error)
	// Done answers the call, once, by DATA or by an error. It may be called from any goroutine.
	Done func(data []byte, err error)
}

// ProceduresInfo is how the procedures of the program stand.
type ProceduresInfo struct {
	Running int
	Limit   int // of those that run at the same time
	All     []ProcedureInfo
}

// ProcedureInfo is how one of them stands, since the start.
type ProcedureInfo struct {
	Name    string
	Version uint32
	Running int
	Calls   uint64 // that began
	Failed  uint64 // of them, that gave an error
	Again   uint64 // attempts behind a conflict
}

// procedure has the program run the call, if it or a row of _func has a function of that
// name; false: neither has. Functions of ours come first.
func (c *call) procedure() (is bool, err error) {
	if _, ours := procedures[c.Name]; ours {
		return false, nil
	}
	version, has := c.p.hasProcedure(c.Name)
	f := &c.function
	switch {
	case !has && !c.isStored:
		return false, nil
	case c.isStored && !f.MayBeGo(), !has && !f.IsGo():
		return true, unsupported("function '" + f.Name + "' (" + f.Language + ")")
	case !has:
		return true, c.lacks(fmt.Sprintf("%s has not registered it", c.p.whose()))
	case version < f.Version:
		return true, c.lacks(fmt.Sprintf("%s has version %d of it, and version %d is asked for", c.p.whose(), version, f.Version))
	}
	return true, c.p.env.Procedures.Start(Run{Call: c.Call, As: c.runsAs, Data: c.bounded, Done: c.ran})
}

func (p *Procs) hasProcedure(name string) (version uint32, ok bool) {
	if p.env.Procedures == nil {
		return 0, false
	}
	return p.env.Procedures.Version(name)
}

// whose names this instance.
func (p *Procs) whose() (text string) {
	p.env.Loop.Read(func(core *instance.Core) { text = core.Info(0).UUID })
	if name := p.env.Identity.Name; name != "" {
		text = name
	}
	return "the program of instance " + text
}

func (c *call) lacks(why string) error {
	e := c.undefined().(*xrow.Error)
	e.Message += ": " + why
	return e
}

// runsAs is who a procedure acts as: the owner of the row where that is setuid, else the
// caller.
func (c *call) runsAs() (as box.Credentials, err error) {
	if err := c.mayCall(); err != nil {
		return 0, err
	}
	if !c.isStored || !c.function.Setuid {
		return c.User, nil
	}
	c.schema(func(s *box.Schema) {
		var ok bool
		if as, ok = s.Credentials(c.function.Owner); !ok {
			err = xrow.Errorf(xrow.ErrNoSuchUser, numText(uint64(c.function.Owner)))
		}
	})
	return as, err
}

func (c *call) bounded(v [][]byte) ([]byte, error) {
	raw := data(c.Type, v)
	if limit := c.p.env.MaxAnswer; limit > 0 && len(raw) > limit {
		return nil, xrow.AnswerTooLarge(len(raw), limit)
	}
	return raw, nil
}

// ran answers for a procedure. An answer that is large waits for its turn.
func (c *call) ran(raw []byte, err error) {
	if err != nil {
		c.fail(err)
		return
	}
	if len(raw) > LargeAnswer && c.Later != nil {
		done, err := c.Later()
		if err != nil {
			c.fail(err)
			return
		}
		defer done()
	}
	c.Reply(raw, nil)
}
