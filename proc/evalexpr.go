package proc

import (
	"fmt"
	"strings"

	"tarragon.dev/tarragon/internal/lua"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// evaluation is an EVAL whose expressions are being told. A value of Lua is nil, a
// bool, a float64, a string, a [value] (a table, or what Lua has as cdata, as a null
// from MessagePack), or a [library].
type evaluation struct {
	c    *call
	args []value
	told map[library]value // what functions have returned: each is asked once
}

// library is a name that leads to what a server has without anybody's Lua.
type library string

// null is nil as it came in MessagePack: Lua takes it for true.
var null = value{0xc0}

// readers are functions of box that only tell something, and do so at once.
var readers = map[library]handler{
	"box.info":         boxInfo,
	"box.info.gc":      infoGC,
	"box.info.memory":  infoMemory,
	"box.is_in_txn":    isInTxn, // EVAL alone, as there: to CALL it is no function
	"box.runtime.info": runtimeInfo,
	"box.slab.info":    slabInfo,
	"box.stat":         boxStat,
	"box.stat.net":     boxStatNet,
}

// list is the values of expressions: the last one may be several, or none.
func (e *evaluation) list(exprs []lua.Expr) (out []any, err error) {
	for i, x := range exprs {
		var v any
		switch call, isCall := x.(*lua.Call); {
		case i == len(exprs)-1 && x == lua.Dots{}:
			for _, a := range e.args {
				out = append(out, fromRaw(a))
			}
			return out, nil
		case isCall && i == len(exprs)-1:
			last, err := e.call(call)
			return append(out, last...), err
		default:
			v, err = e.eval(x)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// eval is the value of an expression.
func (e *evaluation) eval(x lua.Expr) (any, error) {
	switch x := x.(type) {
	case lua.True:
		return true, nil
	case lua.False:
		return false, nil
	case lua.Number:
		return float64(x), nil
	case lua.String:
		return string(x), nil
	case lua.Opaque:
		return nil, noLua(x.What)
	case lua.Dots:
		if len(e.args) > 0 {
			return fromRaw(e.args[0]), nil
		}
	case *lua.Name:
		if x.Name != "box" {
			return nil, noLua("the global '" + clip(x.Name) + "'")
		}
		return library("box"), nil
	case *lua.Paren:
		return e.eval(x.Of)
	case *lua.Index:
		return e.index(x)
	case *lua.Call:
		out, err := e.call(x)
		if len(out) > 0 {
			return out[0], err
		}
		return nil, err
	case *lua.Unary:
		return e.unary(x)
	case *lua.Binary:
		return e.binary(x)
	}
	return nil, nil // lua.Nil, and Dots without arguments
}

// fromRaw is a value that came in MessagePack.
func fromRaw(v value) any {
	switch v.kind() {
	case kindNil:
		return null
	case kindBool:
		b, _ := v.boolean()
		return b
	case kindString:
		s, _ := v.str()
		return s
	case kindNumber:
		f, _ := v.number()
		if k := mp.KindOf(v[0]); k == mp.Float || k == mp.Double || f < 1<<53 && f > -1<<53 {
			return f
		}
	}
	return v
}

// index is a field.
func (e *evaluation) index(x *lua.Index) (any, error) {
	of, err := e.eval(x.Of)
	if err != nil {
		return nil, err
	}
	key, err := e.eval(x.Key)
	if err != nil {
		return nil, err
	}
	switch of := of.(type) {
	case library:
		return e.member(of, key)
	case value:
		if of.isTable() {
			return fieldOf(of, key)
		}
		return nil, noLua("fields of cdata")
	case string:
		if _, isName := key.(string); isName {
			return nil, noLua("functions of strings")
		}
		return nil, nil
	}
	return nil, e.wrong(x.Line, "index", x.Of, of)
}

// member is what a library has under a key.
func (e *evaluation) member(of library, key any) (any, error) {
	name, _ := key.(string)
	full := of + "." + library(name)
	switch {
	case full == "box.NULL":
		return null, nil
	case full == "box.cfg", leads(full):
		return full, nil
	case of == "box.cfg", of == "box.info":
		table, err := e.table(of)
		if err != nil {
			return nil, err
		}
		return fieldOf(table, key)
	}
	return nil, noLua("'" + clip(string(full)) + "'")
}

// leads tells whether a name is that of a reader, or leads to one.
func leads(name library) bool {
	for reader := range readers {
		if reader == name || strings.HasPrefix(string(reader), string(name)+".") {
			return true
		}
	}
	return false
}

// fieldOf is what a table has under a key; nil: nothing.
func fieldOf(table value, key any) (any, error) {
	name, isName := key.(string)
	num, isNum := key.(float64)
	if table.kind() == kindArray {
		list, err := table.array()
		if at := int(num) - 1; isNum && at >= 0 && at < len(list) && float64(at+1) == num {
			return fromRaw(list[at]), err
		}
		return nil, err
	}
	fields, err := table.pairs()
	for _, f := range fields {
		if isName && f.name == name && name != "" || isNum && f.name == "" && float64(f.num) == num {
			return fromRaw(f.val), err
		}
	}
	return nil, err
}

// table is the table that box.cfg is, or box.info.
func (e *evaluation) table(of library) (value, error) {
	if of == "box.cfg" {
		if e.told[of] == nil {
			e.told[of] = e.c.p.env.Settings.get()
		}
		return e.told[of], nil
	}
	return e.read(of)
}

// read is what a reader returns.
func (e *evaluation) read(name library) (value, error) {
	if v, ok := e.told[name]; ok {
		return v, nil
	}
	if !e.c.p.serves(string(name)) {
		return nil, noLua("'" + string(name) + "'")
	}
	var out value
	var failed error
	sub := *e.c
	sub.args, sub.Type = nil, xrow.Call
	sub.Reply = func(data []byte, err *xrow.Error) {
		if err != nil {
			failed = err
			return
		}
		if list, err := value(data).array(); err == nil && len(list) > 0 {
			out = list[0]
		}
	}
	if err := readers[name](&sub); err != nil {
		return nil, err
	}
	e.told[name] = out
	return out, failed
}

// call is what a function returns.
func (e *evaluation) call(x *lua.Call) ([]any, error) {
	if x.Method != "" {
		return nil, noLua("the method '" + clip(x.Method) + "'")
	}
	if n, ok := x.Of.(*lua.Name); ok && n.Name != "box" {
		return nil, noLua("the function '" + clip(n.Name) + "'")
	}
	f, err := e.eval(x.Of)
	if err != nil {
		return nil, err
	}
	name, ok := f.(library)
	switch {
	case !ok:
		return nil, e.wrong(x.Line, "call", x.Of, f)
	case len(x.Args) > 0:
		return nil, noLua("'" + string(name) + "' with arguments")
	case name == "box.cfg":
		return nil, nil
	case readers[name] == nil:
		return nil, e.wrong(x.Line, "call", x.Of, f)
	}
	v, err := e.read(name)
	if err != nil {
		return nil, err
	}
	return []any{fromRaw(v)}, nil
}

// wrong is the error of an operation on a value that does not have it.
func (e *evaluation) wrong(line int, what string, x lua.Expr, v any) error {
	of := "a " + typeOf(v) + " value"
	if ix, ok := x.(*lua.Index); ok {
		if name, ok := ix.Key.(lua.String); ok {
			of = "field '" + clip(string(name)) + "' (" + of + ")"
		}
	}
	return luaError(fmt.Sprintf("eval:%d: attempt to %s %s", line, what, of))
}

// typeOf is Lua's word for the type of a value.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case value:
		if !v.isTable() {
			return "cdata"
		}
	}
	return "table"
}
