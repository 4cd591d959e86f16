package box

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"tarragon.dev/tarragon/internal/mp"
)

// class orders values of different kinds inside a scalar field (Tarantool, src/box/tuple_compare.cc).
type class uint8

const (
	classNil class = iota
	classBool
	classNumber
	classString
	classBinary
	classUUID
	classDatetime
	classOther
)

func classOfValue(b []byte) class {
	switch mp.KindOf(b[0]) {
	case mp.Nil:
		return classNil
	case mp.Bool:
		return classBool
	case mp.Uint, mp.Int, mp.Float, mp.Double:
		return classNumber
	case mp.Str:
		return classString
	case mp.Bin:
		return classBinary
	case mp.Ext:
		switch extType(b) {
		case mp.ExtDecimal:
			return classNumber
		case mp.ExtUUID:
			return classUUID
		case mp.ExtDatetime:
			return classDatetime
		}
	}
	return classOther
}

// compareValues orders two values of a field of type t; both fit it. nil comes
// before everything.
func compareValues(t fieldType, a, b []byte) int {
	if a[0] == 0xc0 || b[0] == 0xc0 {
		return cmp.Compare(classOfValue(a), classOfValue(b))
	}
	switch t {
	case typeUnsigned, typeUint8, typeUint16, typeUint32, typeUint64:
		x, _ := mp.IntOf(a)
		y, _ := mp.IntOf(b)
		return cmp.Compare(x, y)
	case typeInteger, typeInt8, typeInt16, typeInt32, typeInt64:
		return compareIntegers(a, b)
	case typeString, typeVarbinary:
		return bytes.Compare(mp.TextOf(a), mp.TextOf(b))
	case typeScalar:
		ca, cb := classOfValue(a), classOfValue(b)
		if ca != cb {
			return cmp.Compare(ca, cb)
		}
		return compareClass(ca, a, b)
	}
	return compareClass(classOfValue(a), a, b)
}

func compareClass(c class, a, b []byte) int {
	switch c {
	case classBool:
		return cmp.Compare(a[0], b[0])
	case classNumber:
		return compareNumbers(a, b)
	case classString, classBinary:
		return bytes.Compare(mp.TextOf(a), mp.TextOf(b))
	case classUUID:
		_, x := mp.ExtOf(a)
		_, y := mp.ExtOf(b)
		return bytes.Compare(x, y)
	case classDatetime:
		return compareDatetimes(a, b)
	}
	return 0
}

func compareIntegers(a, b []byte) int {
	x, xneg := mp.IntOf(a)
	y, yneg := mp.IntOf(b)
	switch {
	case xneg != yneg && xneg:
		return -1
	case xneg != yneg:
		return 1
	}
	return cmp.Compare(x, y) // in two's complement the order holds on either side of 0
}

func compareDatetimes(a, b []byte) int {
	xs, xn := datetime(a)
	ys, yn := datetime(b)
	return cmp.Or(cmp.Compare(xs, ys), cmp.Compare(xn, yn))
}

func datetime(b []byte) (sec int64, nsec uint32) {
	_, p := mp.ExtOf(b)
	sec = int64(binary.LittleEndian.Uint64(p))
	if len(p) == 16 {
		nsec = binary.LittleEndian.Uint32(p[8:])
	}
	return sec, nsec
}

func float(b []byte) float64 {
	if b[0] == 0xca {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b[1:])))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
}

// compareNumbers orders any two numbers by their exact value, and so that the
// order is one. A decimal that equals a double, and is not equal to it by the
// rules of Tarantool, comes beside it. NaN comes before all others. Which
// numbers are one key is another matter, see rivals.go.
func compareNumbers(a, b []byte) int {
	ka, kb := mp.KindOf(a[0]), mp.KindOf(b[0])
	fa, fb := ka == mp.Float || ka == mp.Double, kb == mp.Float || kb == mp.Double
	switch {
	case ka == mp.Ext || kb == mp.Ext:
		return compareDecimals(a, b)
	case fa && fb:
		return cmp.Compare(float(a), float(b))
	case fa:
		return -compareIntFloat(b, float(a))
	case fb:
		return compareIntFloat(a, float(b))
	}
	return compareIntegers(a, b)
}

func compareIntFloat(a []byte, f float64) int {
	switch {
	case math.IsNaN(f) || f < -(1<<63):
		return 1
	case f >= 1<<64:
		return -1
	}
	u, neg := mp.IntOf(a)
	whole := math.Floor(f)
	var c int
	switch {
	case neg && whole >= 0:
		return -1
	case neg:
		c = cmp.Compare(int64(u), int64(whole))
	case whole < 0:
		return 1
	default:
		c = cmp.Compare(u, uint64(whole))
	}
	if c == 0 && f > whole {
		return -1
	}
	return c
}

// compareDecimals compares two numbers one of which is a decimal. Decimals are
// rare in keys, so this path may allocate.
func compareDecimals(a, b []byte) int {
	if mp.KindOf(a[0]) != mp.Ext {
		return -compareDecimals(b, a)
	}
	_, p := mp.ExtOf(a)
	x, _ := readDecimal(p)
	var f float64
	switch mp.KindOf(b[0]) {
	case mp.Ext:
		_, p := mp.ExtOf(b)
		y, _ := readDecimal(p)
		return x.compare(y)
	case mp.Float, mp.Double:
		f = float(b)
		switch {
		case math.IsNaN(f) || math.IsInf(f, -1):
			return 1
		case math.IsInf(f, 1):
			return -1
		}
		if c := x.compare(exactly(f)); c != 0 {
			return c
		}
	default:
		if c := x.compare(ofInteger(b)); c != 0 {
			return c
		}
		f = approximate(b)
		if compareIntFloat(b, f) != 0 {
			return 0 // no double has that value
		}
	}
	rounded, _ := ofDouble(f)
	return x.compare(rounded)
}

// hintOf maps a value of a field of type t to a number such that
// hint(a) < hint(b) follows from a < b or they are equal.
func hintOf(t fieldType, b []byte) uint64 {
	if b[0] == 0xc0 {
		return 0
	}
	switch t {
	case typeUnsigned, typeUint8, typeUint16, typeUint32, typeUint64:
		u, _ := mp.IntOf(b)
		return u
	case typeInteger, typeInt8, typeInt16, typeInt32, typeInt64:
		u, neg := mp.IntOf(b)
		if !neg && u >= 1<<63 {
			return math.MaxUint64
		}
		return u ^ 1<<63
	case typeString, typeVarbinary:
		return headHint(mp.TextOf(b))
	case typeScalar:
		c := classOfValue(b)
		return uint64(c)<<56 | classHint(c, b)>>8
	}
	return classHint(classOfValue(b), b)
}

func classHint(c class, b []byte) uint64 {
	switch c {
	case classBool:
		return uint64(b[0])
	case classNumber:
		return floatHint(approximate(b))
	case classString, classBinary:
		return headHint(mp.TextOf(b))
	case classUUID:
		_, p := mp.ExtOf(b)
		return binary.BigEndian.Uint64(p)
	case classDatetime:
		sec, _ := datetime(b)
		return uint64(sec) ^ 1<<63
	}
	return 0
}

func headHint(s []byte) uint64 {
	if len(s) >= 8 {
		return binary.BigEndian.Uint64(s)
	}
	var h uint64
	for i, c := range s {
		h |= uint64(c) << (56 - 8*i)
	}
	return h
}

// approximate is the nearest float64, which keeps the order up to equality.
func approximate(b []byte) float64 {
	switch mp.KindOf(b[0]) {
	case mp.Ext:
		_, p := mp.ExtOf(b)
		d, _ := readDecimal(p)
		return d.float()
	case mp.Float, mp.Double:
		return float(b)
	}
	u, neg := mp.IntOf(b)
	if neg {
		return float64(int64(u))
	}
	return float64(u)
}

func floatHint(f float64) uint64 {
	if math.IsNaN(f) {
		return 0
	}
	if f == 0 {
		f = 0 // -0 and 0 are equal
	}
	u := math.Float64bits(f)
	if u>>63 != 0 {
		return ^u
	}
	return u | 1<<63
}
