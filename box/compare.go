package box

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
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
	switch kindOf(b) {
	case kindNil:
		return classNil
	case kindBool:
		return classBool
	case kindUint, kindInt, kindFloat, kindDouble:
		return classNumber
	case kindStr:
		return classString
	case kindBin:
		return classBinary
	case kindExt:
		switch extType(b) {
		case extDecimal:
			return classNumber
		case extUUID:
			return classUUID
		case extDatetime:
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
		x, _ := integer(a)
		y, _ := integer(b)
		return cmp.Compare(x, y)
	case typeInteger, typeInt8, typeInt16, typeInt32, typeInt64:
		return compareIntegers(a, b)
	case typeString, typeVarbinary:
		return bytes.Compare(text(a), text(b))
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
		return bytes.Compare(text(a), text(b))
	case classUUID:
		_, x := ext(a)
		_, y := ext(b)
		return bytes.Compare(x, y)
	case classDatetime:
		return compareDatetimes(a, b)
	}
	return 0
}

func compareIntegers(a, b []byte) int {
	x, xneg := integer(a)
	y, yneg := integer(b)
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
	_, p := ext(b)
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
	ka, kb := kindOf(a), kindOf(b)
	fa, fb := ka == kindFloat || ka == kindDouble, kb == kindFloat || kb == kindDouble
	switch {
	case ka == kindExt || kb == kindExt:
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
	u, neg := integer(a)
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
	if kindOf(a) != kindExt {
		return -compareDecimals(b, a)
	}
	_, p := ext(a)
	x, _ := readDecimal(p)
	var f float64
	switch kindOf(b) {
	case kindExt:
		_, p := ext(b)
		y, _ := readDecimal(p)
		return x.compare(y)
	case kindFloat, kindDouble:
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
		u, _ := integer(b)
		return u
	case typeInteger, typeInt8, typeInt16, typeInt32, typeInt64:
		u, neg := integer(b)
		if !neg && u >= 1<<63 {
			return math.MaxUint64
		}
		return u ^ 1<<63
	case typeString, typeVarbinary:
		return headHint(text(b))
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
		return headHint(text(b))
	case classUUID:
		_, p := ext(b)
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
	switch kindOf(b) {
	case kindExt:
		_, p := ext(b)
		d, _ := readDecimal(p)
		return d.float()
	case kindFloat, kindDouble:
		return float(b)
	}
	u, neg := integer(b)
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
