package proc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
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

// writer builds nested maps and arrays whose length is known only at the end.
// The zero value is ready.
type writer struct {
	b    []byte
	open []int // where the counts of open containers are, innermost last
}

// openMap begins a map; every entry until close is a call of one key method.
func (w *writer) openMap() {
	w.b = append(w.b, 0xdf, 0, 0, 0, 0)
	w.open = append(w.open, len(w.b)-4)
}

func (w *writer) openArray() {
	w.b = append(w.b, 0xdd, 0, 0, 0, 0)
	w.open = append(w.open, len(w.b)-4)
}

func (w *writer) close() { w.open = w.open[:len(w.open)-1] }

// count notes one more element of the innermost container.
func (w *writer) count() {
	at := w.b[w.open[len(w.open)-1]:]
	binary.BigEndian.PutUint32(at, binary.BigEndian.Uint32(at)+1)
}

func (w *writer) key(name string) {
	w.count()
	w.b = msgp.AppendString(w.b, name)
}

func (w *writer) id(n uint64) {
	w.count()
	w.b = msgp.AppendUint64(w.b, n)
}

func (w *writer) str(key, v string) {
	w.key(key)
	w.b = msgp.AppendString(w.b, v)
}

// strOrNil writes nil for the empty string.
func (w *writer) strOrNil(key, v string) {
	w.key(key)
	if v == "" {
		w.b = msgp.AppendNil(w.b)
		return
	}
	w.b = msgp.AppendString(w.b, v)
}

func (w *writer) num(key string, v uint64) {
	w.key(key)
	w.b = msgp.AppendUint64(w.b, v)
}

// uint is the value behind id.
func (w *writer) uint(v uint64) { w.b = msgp.AppendUint64(w.b, v) }

// text is an element of an array.
func (w *writer) text(v string) {
	w.count()
	w.b = msgp.AppendString(w.b, v)
}

func (w *writer) float(key string, v float64) {
	w.key(key)
	w.b = msgp.AppendFloat64(w.b, v)
}

func (w *writer) boolean(key string, v bool) {
	w.key(key)
	w.b = msgp.AppendBool(w.b, v)
}

func (w *writer) raw(key string, v []byte) {
	w.key(key)
	w.b = append(w.b, v...)
}

func (w *writer) mapKey(key string) {
	w.key(key)
	w.openMap()
}

func (w *writer) arrayKey(key string) {
	w.key(key)
	w.openArray()
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
