package proc

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/lua"
)

// maxChunk bounds the text of EVAL: to read it, and to tell what it asks for, takes
// time on the goroutine of a connection.
const maxChunk = 1 << 16

// eval serves EVAL of a text that returns what can be told without Lua: values of
// box.cfg and box.info, the arguments, literals, and what operators make of them. A
// text that is no Lua gets LuaJIT's error; what else it may be is refused by name.
func (c *call) eval() (err error) {
	c.schema(func(s *box.Schema) { err = s.CheckEval(c.User) })
	if err != nil {
		return err
	}
	if len(c.Name) > maxChunk {
		return noLua("a text of more than 64 KiB")
	}
	chunk, err := lua.Parse(c.Name)
	if err != nil {
		return luaError("eval:" + err.Error())
	}
	if chunk.Other != "" {
		return noLua(chunk.Other)
	}
	e := evaluation{c: c, told: map[library]value{}}
	if e.args, err = value(c.Args).array(); err != nil {
		return err
	}
	list, err := e.list(chunk.Returns)
	if err != nil {
		return err
	}
	out, err := e.encode(list)
	if err != nil {
		return err
	}
	c.reply(out)
	return nil
}

// noLua refuses a part of Lua.
func noLua(what string) error {
	return unsupported("Lua: " + what + ". EVAL returns its arguments, values of box.cfg and box.info, and what operators make of them; " +
		"CALL knows the functions of box")
}
