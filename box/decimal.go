package box

import (
	"math"
	"math/big"
	"strconv"

	"tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// maxDigits is the precision of a decimal of the original since 3.5.
const maxDigits = 76

// decimal is coef * 10^-scale.
type decimal struct {
	coef  *big.Int
	scale int
}

var ten = big.NewInt(10)

// readDecimal decodes the payload of a decimal: scale, packed digits, sign in
// the last nibble.
func readDecimal(p []byte) (d decimal, ok bool) {
	if len(p) < 2 {
		return d, false
	}
	n, err := xrow.Scan(p)
	if err != nil || n == len(p) {
		return d, false
	}
	if k := kindOf(p); k != kindUint && k != kindInt {
		return d, false
	}
	u, neg := integer(p)
	if !neg && u > 1<<20 || neg && int64(u) < -(1<<20) {
		return d, false
	}
	digits := make([]byte, 0, 2*(len(p)-n))
	for i, c := range p[n:] {
		digits = append(digits, '0'+c>>4)
		if i < len(p)-n-1 {
			digits = append(digits, '0'+c&15)
		}
	}
	for _, c := range digits {
		if c > '9' {
			return d, false
		}
	}
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	d.scale = int(int64(u))
	if len(digits) > maxDigits || d.scale > maxDigits || len(digits)-d.scale > maxDigits {
		return d, false
	}
	d.coef, _ = new(big.Int).SetString(string(digits), 10)
	switch p[len(p)-1] & 15 {
	case 0xa, 0xc, 0xe, 0xf:
	case 0xb, 0xd:
		d.coef.Neg(d.coef)
	default:
		return d, false
	}
	return d, true
}

func (d decimal) rat() *big.Rat {
	r := new(big.Rat).SetInt(d.coef)
	pow := new(big.Int).Exp(ten, big.NewInt(int64(max(d.scale, -d.scale))), nil)
	if d.scale < 0 {
		return r.Mul(r, new(big.Rat).SetInt(pow))
	}
	return r.Quo(r, new(big.Rat).SetInt(pow))
}

// toDecimal converts a number; NaN and the infinities have no decimal.
func toDecimal(b []byte) (decimal, bool) {
	switch kindOf(b) {
	case kindExt:
		_, p := ext(b)
		return readDecimal(p)
	case kindFloat, kindDouble:
		f := float(b)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return decimal{}, false
		}
		r, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
		if !ok {
			return decimal{}, false
		}
		prec, _ := r.FloatPrec()
		coef := new(big.Int).Mul(r.Num(), new(big.Int).Exp(ten, big.NewInt(int64(prec)), nil))
		return decimal{coef.Quo(coef, r.Denom()), prec}, true
	}
	u, neg := integer(b)
	if neg {
		return decimal{big.NewInt(int64(u)), 0}, true
	}
	return decimal{new(big.Int).SetUint64(u), 0}, true
}

// plus is d + sign*e; ok is false when it needs too many digits.
func (d decimal) plus(e decimal, sign int64) (sum decimal, ok bool) {
	sum.scale = max(d.scale, e.scale)
	if sum.scale-min(d.scale, e.scale) > 4*maxDigits {
		return sum, false
	}
	up := func(x decimal) *big.Int {
		pow := new(big.Int).Exp(ten, big.NewInt(int64(sum.scale-x.scale)), nil)
		return pow.Mul(pow, x.coef)
	}
	right := up(e)
	sum.coef = new(big.Int).Add(up(d), right.Mul(right, big.NewInt(sign)))
	digits := len(new(big.Int).Abs(sum.coef).Text(10))
	return sum, digits <= maxDigits && sum.scale <= maxDigits && digits-sum.scale <= maxDigits
}

// append encodes the decimal as an extension value.
func (d decimal) append(dst []byte) []byte {
	payload := msgp.AppendInt(make([]byte, 0, maxDigits), d.scale)
	digits := new(big.Int).Abs(d.coef).Text(10)
	sign := byte(0xc)
	if d.coef.Sign() < 0 {
		sign = 0xd
	}
	if len(digits)%2 == 0 {
		digits = "0" + digits
	}
	for i := 0; i+1 < len(digits); i += 2 {
		payload = append(payload, (digits[i]-'0')<<4|(digits[i+1]-'0'))
	}
	payload = append(payload, (digits[len(digits)-1]-'0')<<4|sign)
	return appendExt(dst, extDecimal, payload)
}

// appendExt encodes an extension in the shortest form.
func appendExt(dst []byte, typ int8, payload []byte) []byte {
	switch n := len(payload); n {
	case 1:
		dst = append(dst, 0xd4)
	case 2:
		dst = append(dst, 0xd5)
	case 4:
		dst = append(dst, 0xd6)
	case 8:
		dst = append(dst, 0xd7)
	case 16:
		dst = append(dst, 0xd8)
	default:
		dst = append(dst, 0xc7, byte(n))
	}
	return append(append(dst, byte(typ)), payload...)
}
