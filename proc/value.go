package proc

import (
	"math"

	"tarragon.dev/tarragon/internal/mp"

	"github.com/vmihailenco/msgpack/v5"
)

// value is one raw MessagePack value that passed mp.Scan. nil stands for an
// argument that is not there and counts as nil.
type value []byte

// kind is what Lua would take a value for.
type kind uint8

const (
	kindNil kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindMap
	kindOther // binary and extensions
)

func (v value) kind() kind {
	if len(v) == 0 {
		return kindNil
	}
	return luaKinds[mp.KindOf(v[0])]
}

var luaKinds = [...]kind{mp.Reserved: kindOther, mp.Nil: kindNil, mp.Bool: kindBool, mp.Uint: kindNumber, mp.Int: kindNumber, mp.Float: kindNumber,
	mp.Double: kindNumber, mp.Str: kindString, mp.Array: kindArray, mp.Map: kindMap, mp.Bin: kindOther, mp.Ext: kindOther}

// EncodeMsgpack writes the value as it is.
func (v value) EncodeMsgpack(enc *msgpack.Encoder) error { return mp.Raw(v).EncodeMsgpack(enc) }

func (v value) isNil() bool { return v.kind() == kindNil }

// luaType is the word for the value in messages of Tarantool.
func (v value) luaType() string {
	return [...]string{"nil", "boolean", "number", "string", "table", "table", "cdata"}[v.kind()]
}

func (v value) isTable() bool { return v.kind() == kindArray || v.kind() == kindMap }

// str is the text of a string; empty for all others.
func (v value) str() (string, bool) {
	s, _, ok := mp.ReadString(v)
	return string(s), ok
}

func (v value) boolean() (b, ok bool) {
	b, _, ok = mp.ReadBool(v)
	return b, ok
}

// number is any number as the double that Lua would see.
func (v value) number() (float64, bool) {
	if v.kind() != kindNumber {
		return 0, false
	}
	switch mp.KindOf(v[0]) {
	case mp.Uint:
		u, _ := mp.IntOf(v)
		return float64(u), true
	case mp.Int:
		i, _ := mp.IntOf(v)
		return float64(int64(i)), true
	}
	return mp.FloatOf(v), true
}

// integer is a number without a fraction that is not negative.
func (v value) integer() (uint64, bool) {
	if u, _, ok := mp.ReadUint(v); ok {
		return u, true
	}
	f, ok := v.number()
	if !ok || f < 0 || f != math.Trunc(f) || f >= 1<<53 {
		return 0, false
	}
	return uint64(f), true
}

// limit bounds how many elements of a foreign array or map are looked at: an
// element costs memory of ours before anything is known of it.
const limit = 1 << 12

// array splits an array.
func (v value) array() ([]value, error) {
	n, at, ok := mp.ReadArrayHeader(v)
	if !ok {
		return nil, illegal("a table is expected")
	}
	if n > limit {
		return nil, illegal("too many elements: %d", n)
	}
	return split(v[at:], n)
}

func split(b []byte, n int) ([]value, error) {
	out := make([]value, n)
	for i := range out {
		size, err := mp.Scan(b)
		if err != nil {
			return nil, illegal("%s", err.Error())
		}
		out[i], b = b[:size:size], b[size:]
	}
	return out, nil
}

// pair is an element of a map. The key is a string or, when name is empty, num.
type pair struct {
	name string
	num  uint64
	val  value
}

// pairs splits a map. Keys that Lua code of Tarantool could not use are
// passed over.
func (v value) pairs() ([]pair, error) {
	n, at, ok := mp.ReadMapHeader(v)
	if !ok {
		return nil, illegal("a table is expected")
	}
	if n > limit {
		return nil, illegal("too many elements: %d", n)
	}
	flat, err := split(v[at:], 2*n)
	if err != nil {
		return nil, err
	}
	out := make([]pair, 0, n)
	for i := 0; i < len(flat); i += 2 {
		name, ok := flat[i].str()
		num, isNum := flat[i].integer()
		if ok && name != "" || isNum {
			out = append(out, pair{name: name, num: num, val: flat[i+1]})
		}
	}
	return out, nil
}

// shortest is a value as Lua would send it on: numbers without a fraction are
// the shortest integers, all others stay as they are.
func (v value) shortest() value {
	if u, ok := v.integer(); ok {
		return mp.Encode(u)
	}
	return v
}

// pairsOf is a map of such values.
func pairsOf(pairs []pair) (out mp.Pairs) {
	for _, p := range pairs {
		out.Put(p.name, p.val.shortest())
	}
	return out
}
