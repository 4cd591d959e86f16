package proc

import (
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// call is a request on its way to its answer.
type call struct {
	Call
	p    *Procs
	args []value

	proc string // the full name of the procedure; empty: it is a method

	done func() // ends a large answer; nil: there is none

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
	if err := c.stored(); err != nil {
		return err
	}
	if err := c.mayCall(); err != nil {
		return err
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

// stored is the error of a function that a peer created: it is kept, and who
// may run it learns that it does not run here.
func (c *call) stored() (err error) {
	if _, ours := procedures[c.Name]; ours {
		return nil
	}
	c.p.env.Loop.Read(func(core *instance.Core) {
		b := core.Box()
		f, ok := b.Function(c.Name)
		if !ok {
			return
		}
		if err = b.Schema().CheckDDL(c.User, "function", f.ID, f.Name, f.Owner, box.PrivExecute); err == nil {
			err = unsupported("function '" + f.Name + "' (" + f.Language + ")")
		}
	})
	return err
}

// mayCall: what has a row in _func, as a peer may have given it, needs the right
// to execute that; all else what lua_call grants, or the right on universe. What
// is not there at all is asked for too: a name is no secret to who may call it.
func (c *call) mayCall() (err error) {
	c.p.env.Loop.Read(func(core *instance.Core) {
		b := core.Box()
		c.function, c.isStored = b.Function(c.Name)
		err = c.mayRun(b.Schema())
	})
	return err
}

// administer is a handler for those who may administer the instance.
func administer(h handler) handler {
	return func(c *call) error {
		if err := c.mayAdminister(); err != nil {
			return err
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
	e := xrow.Errorf(xrow.ErrAccessDenied, access, class, name, u.Name)
	e.Fields = mp.Encode(mp.Words("object_type", class, "object_name", name, "access_type", access, "user", u.Name))
	return e
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
	e := xrow.Errorf(xrow.ErrNoSuchProc, name)
	e.Fields = mp.Encode(mp.Words("name", "NO_SUCH_PROC", "func", name))
	return e
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
	return c.undefined()
}

// method finds a method by name; it must have been called with a colon.
func (c *call) method(in map[string]handler, of, name string, colon bool) (handler, error) {
	h, ok := in[name]
	switch {
	case ok && !colon:
		return nil, illegal("Use %s:%s(...) instead of %s.%s(...)", of, name, of, name)
	case ok:
		return h, nil
	case of == "space" && name == "index":
		return nil, c.table()
	}
	return nil, c.undefined()
}

// eval serves the two texts that tools send to read the configuration and the
// state.
func (c *call) eval() (err error) {
	c.schema(func(s *box.Schema) { err = s.CheckEval(c.User) })
	if err != nil {
		return err
	}
	switch strings.TrimSuffix(strings.TrimSpace(c.Name), ";") {
	case "return box.cfg":
		c.reply(one(c.p.env.Settings.get()))
		return nil
	case "return box.info", "return box.info()":
		return boxInfo(c)
	}
	return unsupported("Lua: EVAL serves only \"return box.cfg\" and \"return box.info\", CALL the functions of box by their names")
}
