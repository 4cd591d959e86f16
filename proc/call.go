package proc

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// call is a request on its way to its answer.
type call struct {
	Call
	p    *Procs
	args []value

	proc string // the full name of the procedure; empty: it is a method

	done func() // ends a large answer; nil: there is none

	forwarded uint64 // see instance.Request.Forwarded

	function box.Function // the row of _func, if it has one:
	isStored bool

	space spaceRef // of a method
	index indexRef // of an index's method
}

type spaceRef struct {
	id   uint32
	name string
}

type indexRef struct {
	id   uint32
	name string
}

// handler serves one procedure: it replies, or hands the call to the Loop, or
// returns the error to reply with.
type handler func(c *call) error

// arg is the nth argument; nil: it is not there.
func (c *call) arg(n int) value {
	if n < len(c.args) {
		return c.args[n]
	}
	return nil
}

func (c *call) serve() error {
	if c.Type == xrow.Eval {
		return c.eval()
	}
	if c.Number != nil {
		if err := c.mayNumber(); err != nil {
			return err
		}
	}
	if c.Name != xrow.ForwardCall && c.Name != xrow.ActAsCall { // they have a right of their own
		if err := c.mayCall(); err != nil {
			return err
		}
		if is, err := c.procedure(); is || err != nil {
			return err
		}
	}
	h, err := c.find()
	if err != nil {
		return err
	}
	if c.args, err = value(c.Args).array(); err != nil {
		return err
	}
	return h(c)
}

// mayCall: what has a row in _func, as a peer may have given it, needs the right
// to execute that; all else what lua_call grants, or the right on universe. What
// is not there at all is asked for too: a name is no secret to who may call it.
func (c *call) mayCall() (err error) {
	c.p.env.Loop.Read(func(core *instance.Core) {
		b := core.Box()
		c.function, c.isStored = b.Function(c.Name)
		if err = c.mayRun(b.Schema()); err != nil && !c.isStored && (c.Name == historyProc && mayReadHistory(b.Schema(), c.User) || c.mayOpen(b.Schema())) {
			err = nil
		}
	})
	return err
}

// administer is a handler for those who may administer the instance.
func administer(h handler) handler {
	return func(c *call) error {
		if err := c.mayAdminister(); err != nil {
			return err
		}
		if tell := c.p.env.Administered; tell != nil {
			tell(c.Conn, c.User, c.Name)
		}
		return h(c)
	}
}

// mayAdminister is asked beside mayCall, which execute on universe satisfies.
func (c *call) mayAdminister() (err error) {
	c.schema(func(s *box.Schema) { err = s.CheckAdministrative(c.User, c.proc) })
	return err
}

// mayRun is mayCall by one dictionary. A call that has waited asks again: its user
// may have been dropped meanwhile, or have lost the right.
func (c *call) mayRun(s *box.Schema) error {
	if f := &c.function; c.isStored {
		return s.CheckDDL(c.User, "function", f.ID, f.Name, f.Owner, box.PrivExecute)
	}
	return s.CheckCall(c.User, c.Name, builtin(c.Name))
}

// denied is ACCESS_DENIED with the fields of Tarantool.
func denied(s *box.Schema, user box.Credentials, access, class, name string) error {
	u, _ := s.User(user.User())
	return xrow.AccessDenied(access, class, name, u.Name)
}

// schema runs f with the confirmed dictionary.
func (c *call) schema(f func(s *box.Schema)) {
	c.p.env.Loop.Read(func(core *instance.Core) { f(core.Box().Schema()) })
}

// find resolves the name: a procedure, a method of a space, or one of an index.
func (c *call) find() (handler, error) {
	if h, ok := procedures[c.Name]; ok && c.p.serves(c.Name) {
		c.proc = c.Name
		return h, nil
	}
	name, ok := parsePath(c.Name)
	if !ok {
		return nil, c.undefined()
	}
	steps := name.steps
	if len(steps) >= 3 && steps[0].name == "box" && steps[1].name == "space" {
		return c.findMethod(name)
	}
	if len(steps) == 4 && steps[0].name == "box" && steps[1].name == "sequence" && steps[3].name == "next" {
		return nil, c.nextValue(steps[2].name)
	}
	if dots := dotted(steps); !name.method && dots != c.Name && dots != "" {
		if h, ok := procedures[dots]; ok && c.p.serves(dots) {
			c.proc = dots
			return h, nil // written with brackets
		}
	} else if tables[c.Name] {
		return nil, c.table()
	}
	return nil, c.undefined()
}

func (c *call) undefined() error {
	name := c.Name
	if len(name) > maxNameInMessage {
		name = name[:maxNameInMessage]
	}
	return xrow.Errorf(xrow.ErrNoSuchProc, name)
}

// maxNameInMessage bounds what is repeated of a foreign name.
const maxNameInMessage = 1 << 10

// table: the name is that of a plain table.
func (c *call) table() error { return luaError("attempt to call a table value") }

// findMethod resolves box.space.NAME:method and box.space.NAME.index.NAME:method.
func (c *call) findMethod(p path) (h handler, err error) {
	steps := p.steps
	c.p.env.Loop.Read(func(core *instance.Core) { err = c.findSpace(core.Box(), steps[2]) })
	if err != nil {
		return nil, err
	}
	switch rest := steps[3:]; {
	case len(rest) == 0:
		return nil, c.table()
	case len(rest) == 1:
		return c.method(spaceMethods, "space", rest[0].name, p.method)
	case rest[0].name != "index":
		return nil, c.undefined()
	default:
		if c.seesSpace() != nil { // nor are its indexes
			c.schema(func(s *box.Schema) { err = denied(s, c.User, box.PrivRead.String(), "space", c.space.name) })
			return nil, err
		}
		c.p.env.Loop.Read(func(core *instance.Core) { err = c.findIndex(core.Box(), rest[1]) })
		if err != nil || len(rest) > 3 {
			return nil, c.undefined()
		}
		if len(rest) == 2 {
			return nil, c.table()
		}
		return c.method(indexMethods, "index", rest[2].name, p.method)
	}
}

func (c *call) findSpace(b *box.Box, s step) error {
	id, ok := s.num, true
	if !s.isNum {
		id, ok = b.ResolveSpace(s.name)
	}
	info, found := b.Space(id)
	if !ok || !found {
		return c.undefined()
	}
	c.space = spaceRef{id: id, name: info.Name}
	return nil
}

func (c *call) findIndex(b *box.Box, s step) error {
	info, _ := b.Space(c.space.id)
	for _, ix := range info.Indexes {
		if s.isNum && ix.ID == s.num || !s.isNum && ix.Name == s.name {
			c.index = indexRef{id: ix.ID, name: ix.Name}
			return nil
		}
	}
	if id, ok := b.ResolveIndex(c.space.id, s.name); !s.isNum && ok && b.LeavesOut(c.space.id, id) {
		c.index = indexRef{id: id, name: s.name} // whatever is asked of it has its error
		return nil
	}
	return c.undefined()
}

// nextValue is the answer to box.sequence.NAME:next(), which nobody serves: it is of its own
// where the filter of a replica leaves the sequence out.
func (c *call) nextValue(name string) (err error) {
	c.p.env.Loop.Read(func(core *instance.Core) {
		for _, seq := range core.Box().Sequences() {
			if seq.Name == name {
				err = core.SequenceLeftOut(&seq)
			}
		}
	})
	if err == nil {
		err = c.undefined()
	}
	return err
}

// defines are the methods that change definitions.
var defines = map[string]bool{"alter": true, "create_index": true, "drop": true, "rename": true, "truncate": true}

// method finds a method by name; it must have been called with a colon.
func (c *call) method(in map[string]handler, of, name string, colon bool) (handler, error) {
	h, ok := in[name]
	switch {
	case ok && !colon:
		return nil, illegal("Use %s:%s(...) instead of %s.%s(...)", of, name, of, name)
	case ok && c.space.id > xrow.LastSpace && defines[name]:
		return nil, xrow.Errorf(xrow.ErrViewIsRO, c.space.name) // no row defines it
	case ok:
		return h, nil
	case of == "space" && name == "index":
		return nil, c.table()
	}
	return nil, c.undefined()
}
