package box

import (
	"math"
	"math/bits"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// appendSum computes old + arg or old - arg. Integers stay exact, a decimal
// makes the result one, everything else is computed in double precision.
func appendSum(dst []byte, o *op, old []byte, typ fieldType) ([]byte, error) {
	if !typeNumber.accepts(old) {
		return dst, o.wrongType("a number")
	}
	ka, kb := mp.KindOf(old[0]), mp.KindOf(o.arg[0])
	switch {
	case ka == mp.Ext || kb == mp.Ext:
		return appendDecimalSum(dst, o, old)
	case (ka == mp.Uint || ka == mp.Int) && (kb == mp.Uint || kb == mp.Int):
		return appendIntSum(dst, o, old)
	}
	a, b := approximate(old), approximate(o.arg)
	sum := a + b
	if o.code == '-' {
		sum = a - b // not a + -b: a NaN keeps its sign
	}
	if f := float32(sum); math.Abs(sum) <= math.MaxFloat32 && float64(f) == sum && typ != typeDouble && typ != typeFloat64 {
		return msgp.AppendFloat32(dst, f), nil
	}
	return msgp.AppendFloat64(dst, sum), nil
}

// appendIntSum adds exactly; the result must lie in [-2^63, 2^64-1].
func appendIntSum(dst []byte, o *op, old []byte) ([]byte, error) {
	a, aneg := mp.IntOf(old)
	b, bneg := mp.IntOf(o.arg)
	// Both as 128 bits in two's complement.
	ahi, bhi := extend(aneg), extend(bneg)
	if o.code == '-' {
		var borrow uint64
		b, borrow = bits.Sub64(0, b, 0)
		bhi, _ = bits.Sub64(0, bhi, borrow)
	}
	lo, carry := bits.Add64(a, b, 0)
	hi, _ := bits.Add64(ahi, bhi, carry)
	switch {
	case hi == 0:
		return msgp.AppendUint64(dst, lo), nil
	case hi == math.MaxUint64 && lo>>63 == 1:
		return msgp.AppendInt64(dst, int64(lo)), nil
	}
	return dst, xrow.Errorf(xrow.ErrUpdateIntegerOverflow, o.code, o.name())
}

func extend(neg bool) uint64 {
	if neg {
		return math.MaxUint64
	}
	return 0
}

func appendDecimalSum(dst []byte, o *op, old []byte) ([]byte, error) {
	a, aok := toDecimal(old)
	b, bok := toDecimal(o.arg)
	if !aok || !bok {
		return dst, o.wrongType("a number convertible to decimal")
	}
	sign := int64(1)
	if o.code == '-' {
		sign = -1
	}
	sum, ok := a.plus(b, sign)
	if !ok {
		return dst, xrow.Errorf(xrow.ErrUpdateDecimalOverflow, o.code, o.name())
	}
	return sum.append(dst), nil
}
