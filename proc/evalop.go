package proc

import (
	"fmt"
	"math"
	"strconv"

	"tarragon.dev/tarragon/internal/lua"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// truth: all but nil and false is true.
func truth(v any) bool { return v != nil && v != false }

// isCdata tells of values that Lua has operators for which are not here.
func isCdata(v any) bool { return typeOf(v) == "cdata" }

func (e *evaluation) unary(x *lua.Unary) (any, error) {
	v, err := e.eval(x.Of)
	if err != nil {
		return nil, err
	}
	if x.Op == "not" {
		return !truth(v), nil
	}
	text, isText := v.(string)
	switch f, isNumber := arithmetic(v); {
	case x.Op == "#" && isText:
		return float64(len(text)), nil
	case x.Op == "#" && typeOf(v) == "table":
		return nil, noLua("the length of a table")
	case isCdata(v):
		return nil, noLua("operators on cdata")
	case x.Op == "#":
		return nil, e.wrong(x.Line, "get length of", x.Of, v)
	case isNumber:
		return -f, nil
	}
	return nil, e.wrong(x.Line, "perform arithmetic on", x.Of, v)
}

func (e *evaluation) binary(x *lua.Binary) (any, error) {
	left, err := e.eval(x.Left)
	if err != nil {
		return nil, err
	}
	if x.Op == "and" && !truth(left) || x.Op == "or" && truth(left) {
		return left, nil
	}
	right, err := e.eval(x.Right)
	if err != nil {
		return nil, err
	}
	switch x.Op {
	case "and", "or":
		return right, nil
	case "==", "~=":
		same, err := equal(left, right)
		return same == (x.Op == "=="), err
	}
	switch {
	case isCdata(left) || isCdata(right):
		return nil, noLua("operators on cdata")
	case x.Op == "..":
		return e.concat(x, left, right)
	case x.Op == "<" || x.Op == "<=":
		return compare(x, left, right)
	case x.Op == ">" || x.Op == ">=":
		return compare(x, right, left)
	}
	l, ok := arithmetic(left)
	if !ok {
		return nil, e.wrong(x.Line, "perform arithmetic on", x.Left, left)
	}
	r, ok := arithmetic(right)
	if !ok {
		return nil, e.wrong(x.Line, "perform arithmetic on", x.Right, right)
	}
	return calculate(x.Op, l, r), nil
}

func calculate(op string, l, r float64) float64 {
	switch op {
	case "+":
		return l + r
	case "-":
		return l - r
	case "*":
		return l * r
	case "/":
		return l / r
	case "%":
		return l - math.Floor(l/r)*r
	}
	return math.Pow(l, r)
}

// arithmetic is a number, or a string that reads as one.
func arithmetic(v any) (float64, bool) {
	if s, ok := v.(string); ok {
		return lua.ParseNumber(s)
	}
	f, ok := v.(float64)
	return f, ok
}

// equal: nil and null are. Tables are when they are one, which is not known here.
func equal(l, r any) (bool, error) {
	for _, v := range []*any{&l, &r} {
		if raw, ok := (*v).(value); ok && raw.isNil() {
			*v = nil
		}
	}
	for _, v := range []any{l, r} {
		if t := typeOf(v); (t == "cdata" || t == "table") && l != nil && r != nil {
			return false, noLua("the comparison of a " + t)
		}
	}
	if l == nil || r == nil {
		return l == nil && r == nil, nil
	}
	return l == r, nil
}

// compare is l < r, or with an operator that has = in it l <= r.
func compare(x *lua.Binary, l, r any) (any, error) {
	orEqual := len(x.Op) == 2
	switch l := l.(type) {
	case float64:
		if r, ok := r.(float64); ok {
			return l < r || orEqual && l == r, nil
		}
	case string:
		if r, ok := r.(string); ok {
			return l < r || orEqual && l == r, nil
		}
	}
	what := fmt.Sprintf("%s with %s", typeOf(l), typeOf(r))
	if typeOf(l) == typeOf(r) {
		what = "two " + typeOf(l) + " values"
	}
	return nil, luaError(fmt.Sprintf("eval:%d: attempt to compare %s", x.Line, what))
}

func (e *evaluation) concat(x *lua.Binary, left, right any) (any, error) {
	l, okLeft := textOf(left)
	r, okRight := textOf(right)
	switch limit := e.c.p.env.MaxAnswer; {
	case !okRight:
		return nil, e.wrong(x.Line, "concatenate", x.Right, right)
	case !okLeft:
		return nil, e.wrong(x.Line, "concatenate", x.Left, left)
	case limit > 0 && len(l)+len(r) > limit:
		return nil, xrow.AnswerTooLarge(len(l)+len(r), limit)
	}
	return l + r, nil
}

// textOf is a string, or a number as Lua writes it: by %.14g of C.
func textOf(v any) (string, bool) {
	f, ok := v.(float64)
	switch {
	case !ok:
		s, ok := v.(string)
		return s, ok
	case math.IsNaN(f):
		return "nan", true
	case math.IsInf(f, 0):
		return map[bool]string{true: "inf", false: "-inf"}[f > 0], true
	}
	return strconv.FormatFloat(f, 'g', 14, 64), true
}

// encode is the values as Tarantool sends them.
func (e *evaluation) encode(list []any) (values, error) {
	g := gather{c: e.c}
	out := make(values, len(list))
	for i, v := range list {
		if name, ok := v.(library); ok {
			if name != "box.cfg" && name != "box.info" {
				return nil, noLua("the table '" + string(name) + "'")
			}
			table, err := e.table(name)
			if err != nil {
				return nil, err
			}
			v = table
		}
		from := len(g.raw)
		if err := g.Take(rawFrom(v)); err != nil {
			return nil, err
		}
		out[i] = g.raw[from:len(g.raw):len(g.raw)]
	}
	return out, nil
}

func rawFrom(v any) []byte {
	switch v := v.(type) {
	case value:
		return v
	case float64:
		return rawNumber(v)
	}
	return mp.Encode(v)
}

// rawNumber: without a fraction, and within 64 bits, it is an integer.
func rawNumber(f float64) []byte {
	switch {
	case f != math.Trunc(f) || f < -1<<63 || f >= 1<<64:
		return msgp.AppendFloat64(nil, f)
	case f < 0:
		return mp.Encode(int64(f))
	}
	return mp.Encode(uint64(f))
}
