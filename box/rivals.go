package box

import (
	"bytes"
	"math"
	"math/big"
	"slices"

	"tarragon.dev/tarragon/internal/mp"

	"github.com/tinylib/msgp/msgp"
)

// Two numbers can be one key of an index and still lie in different places of
// its tree. Tarantool compares a decimal with a double by what printf's
// %.15g makes of the double, so that decimal 0.1 is double 0.1, and is also the
// double next to it, while doubles are compared exactly: no order is like that.
// The tree keeps to exact values; whoever looks for a key looks in all places
// that its rules make one key of.
//
// What is left out: a decimal of more than fifteen digits between a double and
// that double's fifteen digits comes on the other side of it than in the
// Tarantool. Decided by Tarantool, mp_compare_decimal_any_number and hint_double.

// mixes tells whether values of the type can be one key without being equal.
func (t fieldType) mixes() bool { return t == typeNumber || t == typeScalar }

// hinted is below what numbers Tarantool compares integer parts first, in
// the first part of a tree.
const hinted = 1 << 59

// oneNumber tells whether Tarantool takes a decimal for a double.
func oneNumber(d decimal, f float64, first bool) bool {
	r, ok := ofDouble(f)
	if !ok || d.compare(r) != 0 {
		return false
	}
	if !first || math.Abs(f) >= hinted {
		return true
	}
	return d.whole().Cmp(big.NewInt(int64(f))) == 0
}

// oneKey tells whether two values of a part that mixes are one key.
func oneKey(t fieldType, a, b []byte, first bool) bool {
	if compareValues(t, a, b) == 0 {
		return true
	}
	if mp.KindOf(a[0]) != mp.Ext {
		a, b = b, a
	}
	if !t.mixes() || classOfValue(a) != classNumber || classOfValue(b) != classNumber || mp.KindOf(a[0]) != mp.Ext {
		return false
	}
	_, p := mp.ExtOf(a)
	d, _ := readDecimal(p)
	switch mp.KindOf(b[0]) {
	case mp.Float, mp.Double:
		return oneNumber(d, float(b), first)
	case mp.Ext:
		return false
	}
	return d.compare(ofInteger(b)) == 0
}

// mayHaveRivals is a quick look at a value: false for all that are nothing
// special.
func mayHaveRivals(v []byte) bool {
	switch mp.KindOf(v[0]) {
	case mp.Float, mp.Double:
		f := float(v)
		return f != math.Trunc(f) || math.Abs(f) >= 1e15
	case mp.Uint, mp.Int:
		u, neg := mp.IntOf(v)
		if neg {
			u = -u
		}
		return u >= 1e15
	case mp.Ext:
		return extType(v) == mp.ExtDecimal
	}
	return false
}

// hasRivals looks at the first values of a key.
func (ix *index) hasRivals(values []byte, parts int) bool {
	if !ix.mixes {
		return false
	}
	for i := range parts {
		if ix.parts[i].typ.mixes() && mayHaveRivals(values) {
			return true
		}
		if i+1 < parts {
			values = values[mp.Skip(values, 0):]
		}
	}
	return false
}

// rivals are the values, other than v, that are one key with it as part k
// behind a prefix. For a decimal only those that are in the index.
func (ix *index) rivals(prefix []byte, k int, v []byte) (out [][]byte) {
	if !ix.parts[k].typ.mixes() || !mayHaveRivals(v) {
		return nil
	}
	first := k == 0
	switch mp.KindOf(v[0]) {
	case mp.Float, mp.Double:
		f := float(v)
		if d, ok := ofDouble(f); ok && d.compare(exactly(f)) != 0 && oneNumber(d, f, first) {
			out = append(out, d.append(nil))
		}
		return out
	case mp.Uint, mp.Int:
		d := ofInteger(v)
		if compareDecimals(d.append(nil), v) != 0 {
			out = append(out, d.append(nil))
		}
		return out
	}
	_, p := mp.ExtOf(v)
	d, _ := readDecimal(p)
	if a := d.adjusted(); d.scale <= 0 && a >= doubleDigits && a <= 19 || d.scale > 0 && a >= doubleDigits && a <= 19 {
		if w := d.whole(); d.compare(decimal{coef: w}) == 0 && (w.IsUint64() || w.IsInt64()) {
			var i []byte
			if w.IsUint64() {
				i = msgp.AppendUint64(nil, w.Uint64())
			} else {
				i = msgp.AppendInt64(nil, w.Int64())
			}
			if compareDecimals(v, i) != 0 {
				out = append(out, i)
			}
		}
	}
	lo, hi, ok := d.doubles()
	if !ok {
		return out
	}
	if ix.parts[k].desc {
		lo, hi = hi, lo
	}
	last := msgp.AppendFloat64(nil, hi)
	probe := ix.keyProbe(msgp.AppendFloat64(bytes.Clone(prefix), lo), k+1)
	for at := ix.seek(&probe, false); at.leaf != 0; at = ix.seek(&probe, true) {
		w := walker{b: ix.mem.tuple(ix.refAt(at))}
		if ix.compareKey(&w, prefix, k) != 0 {
			break
		}
		p := &ix.parts[k]
		there := mp.First(w.part(p))
		if p.sign(compareValues(p.typ, there, last)) > 0 {
			break
		}
		// Whatever has the place of a double may have doubles behind it.
		f := approximate(there)
		double := msgp.AppendFloat64(nil, f)
		if compareNumbers(there, double) == 0 && compareValues(p.typ, double, v) != 0 && oneNumber(d, f, first) {
			out = append(out, double)
		}
		probe = ix.keyProbe(append(bytes.Clone(prefix), there...), k+1)
	}
	return out
}

// doubles are the least and the greatest double that has the decimal's value
// in fifteen digits; none has one of more digits.
func (d decimal) doubles() (lo, hi float64, ok bool) {
	f := d.float()
	if r, finite := ofDouble(f); !finite || r.compare(d) != 0 || f == 0 {
		return 0, 0, false
	}
	reach := func(towards float64) float64 {
		// Half a unit of the fifteenth digit is far less than 128 doubles away.
		in, step := f, uint64(128)
		for ; step > 0; step /= 2 {
			var next float64
			if up := (towards > f) == (f > 0); up {
				next = math.Float64frombits(math.Float64bits(in) + step)
			} else {
				next = math.Float64frombits(math.Float64bits(in) - step)
			}
			if r, finite := ofDouble(next); finite && r.compare(d) == 0 {
				in = next
			}
		}
		return in
	}
	return reach(math.Inf(-1)), reach(math.Inf(1)), true
}

// keys are all keys of that many parts that are one with the given one, in the
// order of the index.
func (ix *index) keys(values []byte, parts int) (out [][]byte) {
	var add func(prefix, values []byte, k int)
	add = func(prefix, values []byte, k int) {
		if k == parts {
			out = append(out, prefix)
			return
		}
		v := mp.First(values)
		all := append(ix.rivals(prefix, k, v), v)
		p := &ix.parts[k]
		slices.SortFunc(all, func(a, b []byte) int { return p.sign(compareValues(p.typ, a, b)) })
		for _, a := range all {
			add(append(bytes.Clone(prefix), a...), values[len(v):], k+1)
		}
	}
	add(nil, values, 0)
	return out
}

// rival finds a live tuple, other than the entry of that very key, that has one
// of the keys which are one with it; but is not looked at.
func (ix *index) rival(values []byte, but ref) (r ref, by uint64) {
	if !ix.hasRivals(values, len(ix.parts)) {
		return 0, 0
	}
	for _, key := range ix.keys(values, len(ix.parts)) {
		p := ix.keyProbe(key, len(ix.parts))
		found, last := ix.only(&p, but)
		if found != 0 && ix.oneKey(&walker{b: ix.mem.tuple(found)}, values) {
			return found, last
		}
		by = max(by, last)
	}
	return 0, by
}

// rivalOf is rival for the key of a tuple.
func (ix *index) rivalOf(tuple []byte, but ref) (r ref, by uint64) {
	if !ix.mixes {
		return 0, 0
	}
	return ix.rival(ix.appendKey(nil, tuple, len(ix.parts)), but)
}

// oneKey tells whether a tuple has a key. That it has one of ix.keys is not
// enough: a double can have its place beside a decimal that is one key with
// another double.
func (ix *index) oneKey(a *walker, values []byte) bool {
	for i := range ix.parts {
		p := &ix.parts[i]
		if !oneKey(p.typ, a.part(p), values, i == 0) {
			return false
		}
		if i+1 < len(ix.parts) {
			values = values[mp.Skip(values, 0):]
		}
	}
	return true
}

// keepsKey tells whether a tuple made of another has the same key.
func (ix *index) keepsKey(old, new []byte) bool {
	if !ix.mixes {
		return ix.sameKey(old, new)
	}
	return ix.oneKey(&walker{b: new}, ix.appendKey(nil, old, len(ix.parts)))
}

// order compares values of a part by the rules of Tarantool.
func (p *part) order(a, b []byte, first bool) int {
	c := compareValues(p.typ, a, b)
	if c != 0 && p.typ.mixes() && oneKey(p.typ, a, b, first) {
		return 0
	}
	return p.sign(c)
}
