package interop

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// arena is the spaces that answers are compared on: indexes by name.
var arena = map[string][]map[string]any{
	"formed": {
		{"name": "pk", "parts": []any{[]any{1, "unsigned"}}},
		{"name": "name", "parts": []any{[]any{2, "string"}}},
		{"name": "n", "unique": false, "parts": []any{map[string]any{"field": 3, "type": "number", "is_nullable": true}}},
	},
	"numbers": {
		{"name": "pk", "parts": []any{[]any{1, "number"}}},
		{"name": "all", "unique": false, "parts": []any{[]any{1, "number"}, []any{2, "scalar"}}},
	},
	"loose": {{"name": "pk", "parts": []any{[]any{1, "unsigned"}}}},
	"pairs": {
		{"name": "pk", "parts": []any{[]any{1, "string"}, []any{2, "integer"}}},
		{"name": "u", "parts": []any{map[string]any{"field": 3, "type": "unsigned", "is_nullable": true}}},
	},
}

// arena makes the spaces on a node, always in the same order.
func (r *rig) arena(n *node) {
	r.t.Helper()
	for _, name := range []string{"formed", "numbers", "loose", "pairs"} {
		options := map[string]any{}
		if name == "formed" {
			options["format"] = []any{
				map[string]any{"name": "id", "type": "unsigned"}, map[string]any{"name": "name", "type": "string"},
				map[string]any{"name": "n", "type": "number", "is_nullable": true}, map[string]any{"name": "more", "type": "any", "is_nullable": true},
			}
		}
		n.must("box.schema.space.create", name, options)
		for _, ix := range arena[name] {
			o := map[string]any{"parts": ix["parts"]}
			if u, ok := ix["unique"]; ok {
				o["unique"] = u
			}
			n.must("box.space."+name+":create_index", ix["name"], o)
		}
	}
}

// fields of a body, in this order, the same key also twice.
type fields []struct {
	key   xrow.Key
	value any
}

// raw is MessagePack as it is.
type raw string

// pack encodes what requests are made of.
func pack(v any) []byte { return appendAny(nil, v) }

func appendAny(b []byte, v any) []byte {
	switch v := v.(type) {
	case raw:
		return append(b, v...)
	case fields:
		b = msgp.AppendMapHeader(b, uint32(len(v)))
		for _, f := range v {
			b = appendAny(append(b, byte(f.key)), f.value)
		}
		return b
	case []any:
		b = msgp.AppendArrayHeader(b, uint32(len(v)))
		for _, x := range v {
			b = appendAny(b, x)
		}
		return b
	case int:
		if v >= 0 {
			return msgp.AppendUint64(b, uint64(v))
		}
		return msgp.AppendInt64(b, int64(v))
	}
	b, err := msgp.AppendIntf(b, v)
	if err != nil {
		panic(err)
	}
	return b
}

// dec is a decimal: "-12.30", "1e-38".
func dec(s string) raw {
	mantissa, exp, _ := strings.Cut(s, "e")
	scale := 0
	if exp != "" {
		_, _ = fmt.Sscan(exp, &scale)
		scale = -scale
	}
	if whole, fraction, ok := strings.Cut(mantissa, "."); ok {
		scale += len(fraction)
		mantissa = whole + fraction
	}
	sign := byte(0xc)
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = 0xd, mantissa[1:]
	}
	if len(mantissa)%2 == 0 {
		mantissa = "0" + mantissa
	}
	coef, _ := new(big.Int).SetString(mantissa, 16)
	digits := coef.Mul(coef, big.NewInt(16)).Add(coef, big.NewInt(int64(sign))).FillBytes(make([]byte, (len(mantissa)+1)/2))
	var payload []byte
	if scale < 0 {
		payload = msgp.AppendInt(nil, scale)
	} else {
		payload = msgp.AppendUint(nil, uint(scale))
	}
	payload = append(payload, digits...)
	head := map[int]byte{1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8}
	if c, ok := head[len(payload)]; ok {
		return raw(append([]byte{c, 1}, payload...))
	}
	return raw(append([]byte{0xc7, byte(len(payload)), 1}, payload...))
}

// show prints a value of a request.
func show(v any) any {
	switch v := v.(type) {
	case raw:
		return fmt.Sprintf("<%x>", string(v))
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = show(v[i])
		}
		return out
	case string:
		return fmt.Sprintf("%q", v)
	case float32, float64:
		return fmt.Sprintf("%T(%v)", v, v)
	}
	return v
}

// numbers of every type, and of every size that is near a limit.
var numbers = []any{
	0, 1, 2, 3, 127, 128, 255, 256, 65535, 65536, 1 << 31, 1 << 32, 1 << 53, 1<<53 - 1, math.MaxInt64, uint64(1 << 63), uint64(math.MaxUint64),
	-1, -2, -32, -33, -128, -129, -32768, -1 << 31, -1<<53 - 1, math.MinInt64,
	0.0, 0.1, 0.5, 1.5, -2.25, 1.0, 0.1 + 0.2, 1.0 / 3, 1e10, 1e15, 1e22, 1e37, -1e-7, 2.9999999999999996, float64(1 << 53), float64(1 << 63), float64(1 << 60),
	float32(0.5), float32(0.1), float32(1e10), float32(-3),
	dec("0"), dec("1"), dec("-1"), dec("0.1"), dec("0.10"), dec("0.3"), dec("-0.1"), dec("3"), dec("1e10"), dec("1e15"), dec("123456789.987654321"), dec("0.333333333333333"),
	dec("18446744073709551615"), dec("1152921504606846976"), dec("9007199254740991"), dec("1e-38"), dec("1e22"), dec("0.5000"),
	dec("12345678901234567890.1234567890"),
}

// odd numbers have no decimal in an older Tarantool.
var odd = []any{math.Inf(1), math.Inf(-1), math.NaN(), 1e38, 1e39, 1e300, -1e300, float64(math.MaxFloat32) * 2}

// others are values of all other types.
var others = []any{"", "a", "b", "hello", "абв", true, false, nil, []byte("x"), []byte(""), []any{}, []any{1, []any{2}}, raw("\x81\xa1a\x01"), raw("\x82\xa1a\x81\xa1b\x01\x01\x02"),
	raw("\xd8\x02\x64\xd2\x2e\x4d\xac\x92\x4a\x23\x89\x9a\xe5\x9f\x34\xaf\x54\x79"), raw("\xd4\x63\x01"), raw("\xd0\x05"), raw("\xd9\x01a")}

func pick[T any](d *duel, from []T) T { return from[d.rng.IntN(len(from))] }

func (d *duel) number() any { return pick(d, numbers) }

func (d *duel) value() any {
	switch d.rng.IntN(8) {
	case 0, 1, 2:
		return d.number()
	case 3:
		return d.rng.IntN(5)
	}
	return pick(d, others)
}

// chance is true once in n.
func (d *duel) chance(n int) bool { return d.rng.IntN(n) == 0 }

// tuple for a space, mostly one that fits.
func (d *duel) tuple(space string) any {
	if d.chance(40) {
		return pick(d, []any{nil, 5, "x", []any{}, raw("\x80")})
	}
	small := func() any { return d.rng.IntN(4) }
	var t []any
	switch space {
	case "formed":
		t = []any{small(), pick(d, []any{"a", "b", "c"}), pick(d, []any{nil, 1, 1.5, dec("1.5")}), d.value()}
		t = t[:2+d.rng.IntN(3)]
	case "numbers":
		t = []any{d.number(), pick(d, []any{1, "a", 1.5, dec("1.50"), true})}
	case "loose":
		t = []any{small(), d.value(), []any{1, d.value(), raw("\x82\xa1a\x01\xa1b\x92\x01\x81\xa1c\x05")}, raw("\x82\xa1x\x81\xa1y\x01\xa1z\xa3abc"), d.number()}
		t = t[:1+d.rng.IntN(5)]
	case "pairs":
		t = []any{pick(d, []any{"a", "b"}), pick(d, []any{-1, 0, 1, math.MinInt64}), pick(d, []any{nil, 1, 2, 3}), d.value()}
		t = t[:2+d.rng.IntN(3)]
	}
	if d.chance(6) {
		t[d.rng.IntN(len(t))] = d.value()
	}
	if d.chance(30) {
		t = t[:d.rng.IntN(len(t))]
	}
	return t
}

// key for an index of a space, mostly one that fits.
func (d *duel) key(space string, index int) any {
	if d.chance(40) {
		return pick(d, []any{nil, 5, "x", []any{1, 2, 3, 4}, []any{}})
	}
	var k []any
	switch {
	case space == "numbers" && index == 0:
		k = []any{d.number()}
	case space == "numbers":
		k = []any{d.number(), pick(d, []any{1, "a", 1.5, true})}
	case space == "pairs" && index == 0:
		k = []any{pick(d, []any{"a", "b"}), pick(d, []any{-1, 0, 1})}
	case space == "formed" && index == 1:
		k = []any{pick(d, []any{"a", "b", "c"})}
	case space == "formed" && index == 2:
		k = []any{pick(d, []any{nil, 1, 1.5, dec("1.50")})}
	default:
		k = []any{d.rng.IntN(4)}
	}
	if d.chance(12) {
		k[d.rng.IntN(len(k))] = d.value()
	}
	if d.chance(12) {
		k = k[:d.rng.IntN(len(k))]
	}
	return k
}

var names = []any{"id", "name", "n", "more", "nope", "[1]", "[2]", "[3]", "[4]", "[3][1]", "[3][2]", "[3][3].a", "[3][3].b[2].c", "[3][3].q", "[3][9]", "[3][4]",
	"[4].x.y", "[4].x.q", "[4].x", "[4].z", "[4].q", "[4]['z']", "[4][\"x\"].y", "[4][1]", "more.x", "more[1]", "[", "[0]", "[9]", "", "a.b", ".", "[4].x.[", "[2][*]", "['n']", "[3]."}

// ops are update operations for a space, mostly ones that make sense.
func (d *duel) ops() any {
	if d.chance(60) {
		return pick(d, []any{nil, 5, []any{5}, []any{[]any{}}, []any{[]any{5, 1, 1}}, []any{[]any{"+"}}, []any{[]any{"=", 1, 1, 1}}, []any{[]any{"=="}}, []any{[]any{"?", 1, 1}}})
	}
	all := []any{d.op()}
	if d.chance(4) {
		all = append(all, d.op())
	}
	// One that goes into a field behind another one on that field ends 2.6 by a
	// signal.
	if len(all) > 1 && d.p.version < "2.8.1" && slices.ContainsFunc(all, inside) {
		return all[:1]
	}
	return all
}

// inside tells whether an operation is about a part of a field.
func inside(op any) bool {
	path, ok := op.([]any)[1].(string) // every op has a field
	return ok && strings.ContainsAny(path, "[.")
}

func (d *duel) op() any {
	var field any = 1 + d.rng.IntN(5)
	switch d.rng.IntN(4) {
	case 0:
		field = pick(d, names)
	case 1:
		field = pick(d, []any{0, -1, -2, 1, 2, 3, 9, -9})
	}
	if d.chance(50) {
		field = pick(d, []any{1.5, nil, true, []any{}, 1 << 31, -1<<31 - 1})
	}
	op := pick(d, []any{"+", "-", "&", "|", "^", ":", "=", "!", "#", "+", "-", "=", "="}).(string)
	switch op {
	case "+", "-":
		if d.chance(15) {
			return []any{op, field, d.value()}
		}
		return []any{op, field, d.number()}
	case "&", "|", "^":
		if d.chance(15) {
			return []any{op, field, d.value()}
		}
		return []any{op, field, pick(d, []any{0, 1, 255, 1 << 53, uint64(math.MaxUint64)})}
	case ":":
		paste := pick(d, []any{"", "x", "yz", 5})
		return []any{op, field, d.rng.IntN(12) - 6, d.rng.IntN(12) - 6, paste}
	case "#":
		return []any{op, field, pick(d, []any{0, 1, 1, 1, 2, 100, -1, "x"})}
	}
	return []any{op, field, d.value()}
}

// any is a request of any kind, and the space that it is about.
func (d *duel) any() (string, request) {
	space := pick(d, []string{"formed", "numbers", "loose", "pairs"})
	index := d.rng.IntN(len(arena[space]))
	id := any(d.spaces[space])
	if d.chance(80) {
		id = pick(d, []any{9999, "x", -1, nil})
	}
	no := any(index)
	if d.chance(80) {
		no = pick(d, []any{17, "x", -1})
	}
	add := func(q *request, key xrow.Key, v any) {
		if !d.chance(100) { // a key that must be there is not
			q.body = append(q.body, struct {
				key   xrow.Key
				value any
			}{key, v})
		}
	}
	q := request{typ: pick(d, []xrow.Type{xrow.Insert, xrow.Replace, xrow.Replace, xrow.Update, xrow.Update, xrow.Update, xrow.Upsert, xrow.Upsert, xrow.Delete, xrow.Select, xrow.Select})}
	add(&q, xrow.KeySpaceID, id)
	switch q.typ {
	case xrow.Insert, xrow.Replace:
		add(&q, xrow.KeyTuple, d.tuple(space))
	case xrow.Upsert:
		add(&q, xrow.KeyTuple, d.tuple(space))
		add(&q, xrow.KeyOps, d.ops())
	case xrow.Delete, xrow.Update:
		add(&q, xrow.KeyIndexID, no)
		add(&q, xrow.KeyKey, d.key(space, index))
		if q.typ == xrow.Update {
			add(&q, xrow.KeyTuple, d.ops())
		}
	case xrow.Select:
		add(&q, xrow.KeyIndexID, no)
		add(&q, xrow.KeyLimit, pick(d, []any{1, 2, 100, 0}))
		add(&q, xrow.KeyOffset, pick(d, []any{0, 0, 1, 2}))
		add(&q, xrow.KeyIterator, d.rng.IntN(8))
		add(&q, xrow.KeyKey, d.key(space, index))
	}
	if (q.typ == xrow.Update || q.typ == xrow.Upsert) && d.chance(3) {
		add(&q, xrow.KeyIndexBase, pick(d, []any{1, 0, 1}))
	}
	return space, q
}
