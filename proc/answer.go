package proc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tarragon.dev/tarragon/xrow"
)

// data is the DATA array of an answer: array32, as Tarantool writes it.
// CALL_16 turns every value into a tuple (Tarantool, src/box/call.c).
func data(t xrow.Type, v values) []byte {
	if t == xrow.Call16 {
		v = asTuples(v)
	}
	size := 5
	for _, b := range v {
		size += max(len(b), 1)
	}
	out := binary.BigEndian.AppendUint32(append(make([]byte, 0, size), 0xdd), uint32(len(v)))
	for _, b := range v {
		if b == nil {
			b = []byte{0xc0}
		}
		out = append(out, b...)
	}
	return out
}

// asTuples: a lone array of tables is the list itself; whatever is no table
// becomes a tuple of one field.
func asTuples(v values) values {
	if len(v) == 1 && value(v[0]).kind() == kindArray {
		if list, err := value(v[0]).array(); err == nil && len(list) > 0 && list[0].isTable() {
			v = make(values, len(list))
			for i, e := range list {
				v[i] = e
			}
		}
	}
	out := make(values, len(v))
	for i, b := range v {
		if k := value(b).kind(); k == kindArray || k == kindMap && len(v) > 1 {
			out[i] = b
			continue
		}
		if b == nil {
			b = []byte{0xc0}
		}
		out[i] = append([]byte{0x91}, b...)
	}
	return out
}

// illegal is ILLEGAL_PARAMS.
func illegal(format string, args ...any) error {
	return xrow.Errorf(xrow.ErrIllegalParams, fmt.Sprintf(format, args...))
}

// luaError is an error of the Lua runtime in Tarantool.
func luaError(text string) error {
	return &xrow.Error{Code: xrow.ErrProcLua, Type: "LuajitError", Message: text}
}

func unsupported(what string) error {
	return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", what)
}

func clientError(err error) *xrow.Error {
	var e *xrow.Error
	if errors.As(err, &e) {
		return e
	}
	return &xrow.Error{Code: xrow.ErrUnknown, Message: err.Error(), Err: err}
}
