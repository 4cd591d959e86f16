package box

import (
	"math"
	"math/big"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
)

// fieldType is a declared type of a field or key part.
type fieldType uint8

const (
	typeAny fieldType = iota
	typeUnsigned
	typeString
	typeNumber
	typeDouble
	typeInteger
	typeBoolean
	typeVarbinary
	typeScalar
	typeDecimal
	typeUUID
	typeDatetime
	typeInterval
	typeArray
	typeMap
	typeInt8
	typeUint8
	typeInt16
	typeUint16
	typeInt32
	typeUint32
	typeInt64
	typeUint64
	typeFloat32
	typeFloat64
	typeDecimal32
	typeDecimal64
	typeDecimal128
	typeDecimal256
	typeUnknown
)

var typeNames = [...]string{"any", "unsigned", "string", "number", "double", "integer", "boolean", "varbinary", "scalar", "decimal", "uuid",
	"datetime", "interval", "array", "map", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
	"decimal32", "decimal64", "decimal128", "decimal256"}

func (t fieldType) String() string { return typeNames[t] }

// parseType reads a type's name as it may stand in _space and _index.
func parseType(s string) fieldType {
	s = strings.ToLower(s)
	switch s {
	case "*":
		return typeAny
	case "num", "uint":
		return typeUnsigned
	case "str":
		return typeString
	case "int":
		return typeInteger
	}
	for i, name := range typeNames {
		if name == s {
			return fieldType(i)
		}
	}
	return typeUnknown
}

// indexable tells whether a key part can have the type.
func (t fieldType) indexable() bool {
	switch t {
	case typeAny, typeInterval, typeArray, typeMap, typeUnknown:
		return false
	}
	return true
}

// accepts tells whether a value that is not nil fits the type.
func (t fieldType) accepts(b []byte) bool {
	k := mp.KindOf(b[0])
	switch t {
	case typeAny:
		return k != mp.Ext || extType(b) >= 0
	case typeUnsigned, typeUint8, typeUint16, typeUint32, typeUint64:
		return k == mp.Uint
	case typeInteger, typeInt8, typeInt16, typeInt32, typeInt64:
		return k == mp.Uint || k == mp.Int
	case typeNumber:
		return k == mp.Uint || k == mp.Int || k == mp.Float || k == mp.Double || k == mp.Ext && extType(b) == mp.ExtDecimal
	case typeDouble:
		return k == mp.Uint || k == mp.Int || k == mp.Float || k == mp.Double
	case typeFloat32:
		return k == mp.Float
	case typeFloat64:
		return k == mp.Double
	case typeString:
		return k == mp.Str
	case typeVarbinary:
		return k == mp.Bin
	case typeBoolean:
		return k == mp.Bool
	case typeArray:
		return k == mp.Array
	case typeMap:
		return k == mp.Map
	case typeDecimal, typeDecimal32, typeDecimal64, typeDecimal128, typeDecimal256:
		return k == mp.Ext && extType(b) == mp.ExtDecimal
	case typeUUID:
		return k == mp.Ext && extType(b) == mp.ExtUUID
	case typeDatetime:
		return k == mp.Ext && extType(b) == mp.ExtDatetime
	case typeInterval:
		return k == mp.Ext && extType(b) == mp.ExtInterval
	case typeScalar:
		switch k {
		case mp.Nil, mp.Array, mp.Map:
			return false
		case mp.Ext:
			e := extType(b)
			return e == mp.ExtDecimal || e == mp.ExtUUID || e == mp.ExtDatetime
		}
		return true
	}
	return false
}

func extType(b []byte) mp.ExtType {
	t, _ := mp.ExtOf(b)
	return t
}

// limits of the values of an integer type of a fixed size.
func (t fieldType) limits() (lo int64, hi uint64) {
	switch t {
	case typeInt8:
		return math.MinInt8, math.MaxInt8
	case typeUint8:
		return 0, math.MaxUint8
	case typeInt16:
		return math.MinInt16, math.MaxInt16
	case typeUint16:
		return 0, math.MaxUint16
	case typeInt32:
		return math.MinInt32, math.MaxInt32
	case typeUint32:
		return 0, math.MaxUint32
	case typeInt64:
		return math.MinInt64, math.MaxInt64
	}
	return 0, math.MaxUint64
}

// outOfRange tells whether an integer, which the type accepts, does not fit it.
func (t fieldType) outOfRange(b []byte) bool {
	if t < typeInt8 || t > typeUint64 {
		return false
	}
	lo, hi := t.limits()
	if u, neg := mp.IntOf(b); !neg {
		return u > hi
	} else {
		return int64(u) < lo
	}
}

// contains tells whether every value of u is a value of t, so that a field may
// be widened from u to t, or an index of type u stand on a field of type t.
func (t fieldType) contains(u fieldType) bool {
	if t == u || t == typeAny {
		return true
	}
	switch t {
	case typeScalar:
		return u.indexable()
	case typeNumber:
		return u.numeric()
	case typeDecimal:
		return u.digits() > 0
	case typeDouble:
		return u == typeFloat32 || u == typeFloat64
	case typeInteger:
		return u == typeUnsigned || u >= typeInt8 && u <= typeUint64
	case typeUnsigned:
		return u == typeUint8 || u == typeUint16 || u == typeUint32 || u == typeUint64
	}
	return false
}

func (t fieldType) numeric() bool {
	switch t {
	case typeUnsigned, typeInteger, typeNumber, typeDouble, typeDecimal:
		return true
	}
	return t >= typeInt8 && t <= typeDecimal256
}

// digits is the precision of a decimal of fixed size; 0: it is none.
func (t fieldType) digits() int {
	switch t {
	case typeDecimal32:
		return 9
	case typeDecimal64:
		return 18
	case typeDecimal128:
		return 38
	case typeDecimal256:
		return 76
	}
	return 0
}

// fits tells whether a decimal of fixed size can hold the value: all its digits
// behind the scale are zeroes, and the others are not too many.
func (t fieldType) fits(b []byte, scale int) bool {
	d, ok := toDecimal(b)
	if !ok || d.adjusted() >= maxDigits || d.adjusted() < -maxDigits && d.coef.Sign() != 0 {
		return false
	}
	rest := new(big.Int)
	if d.coef.Sign() == 0 {
		return true
	}
	up := pow10(max(scale-d.scale, d.scale-scale))
	if scale >= d.scale {
		d.coef.Mul(d.coef, up)
	} else {
		d.coef.QuoRem(d.coef, up, rest)
	}
	return rest.Sign() == 0 && len(d.digits()) <= t.digits()
}
