package box

import (
	"cmp"
	"math"
	"math/big"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

const (
	maxDigits = xrow.MaxDecimalDigits
	// maxExponent bounds the power of ten of a decimal's first digit.
	// Tarantool: decimal_context.
	maxExponent = xrow.MaxDecimalExponent
	// doubleDigits is to how many digits Tarantool rounds a double before it
	// compares it with a decimal or adds it to one: those that are certain.
	doubleDigits = 15
)

// decimal is coef * 10^-scale.
type decimal struct {
	coef  *big.Int
	scale int
	minus bool // of a zero
}

var ten = big.NewInt(10)

func pow10(n int) *big.Int { return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil) }

// readDecimal decodes the payload of a decimal: scale, packed digits, sign in
// the last nibble.
func readDecimal(p []byte) (d decimal, ok bool) {
	if xrow.CheckExt(mp.ExtDecimal, p) != nil {
		return d, false
	}
	n := mp.Skip(p, 0)
	u, _ := mp.IntOf(p)
	d.scale = int(int64(u))
	digits := make([]byte, 0, 2*(len(p)-n))
	for i, c := range p[n:] {
		digits = append(digits, '0'+c>>4)
		if i < len(p)-n-1 {
			digits = append(digits, '0'+c&15)
		}
	}
	d.coef, _ = new(big.Int).SetString(string(digits), 10)
	if sign := p[len(p)-1] & 15; sign == 0xb || sign == 0xd {
		d.minus = d.coef.Sign() == 0
		d.coef.Neg(d.coef)
	}
	return d, true
}

// digits are those of the coefficient, without a sign.
func (d decimal) digits() string { return new(big.Int).Abs(d.coef).Text(10) }

// adjusted is the power of ten of the first digit.
func (d decimal) adjusted() int { return len(d.digits()) - 1 - d.scale }

// String prints as Tarantool does: with an exponent where there would be
// zeroes on either side. Tarantool: decNumberToString.
func (d decimal) String() string {
	s, sign := d.digits(), ""
	if d.coef.Sign() < 0 || d.minus {
		sign = "-"
	}
	adjusted := len(s) - 1 - d.scale
	switch {
	case d.scale < 0 || adjusted < -6:
		if len(s) > 1 {
			s = s[:1] + "." + s[1:]
		}
		s += "E"
		if adjusted >= 0 {
			s += "+"
		}
		return sign + s + strconv.Itoa(adjusted)
	case d.scale == 0:
		return sign + s
	case len(s) <= d.scale:
		s = strings.Repeat("0", d.scale-len(s)+1) + s
	}
	return sign + s[:len(s)-d.scale] + "." + s[len(s)-d.scale:]
}

// compare orders by value. What lies far apart is never brought to one scale.
func (d decimal) compare(e decimal) int {
	sign := d.coef.Sign()
	if c := cmp.Compare(sign, e.coef.Sign()); c != 0 || sign == 0 {
		return c
	}
	if c := cmp.Compare(d.adjusted(), e.adjusted()); c != 0 {
		return c * sign
	}
	x, y := d.coef, e.coef
	if d.scale < e.scale {
		x = new(big.Int).Mul(x, pow10(e.scale-d.scale))
	} else if d.scale > e.scale {
		y = new(big.Int).Mul(y, pow10(d.scale-e.scale))
	}
	return x.Cmp(y)
}

// float is the nearest float64.
func (d decimal) float() float64 {
	f, _ := strconv.ParseFloat(d.coef.Text(10)+"e"+strconv.Itoa(-d.scale), 64) // an infinity if it is out of range
	return f
}

// whole is the integer part.
func (d decimal) whole() *big.Int {
	if d.scale <= 0 {
		return new(big.Int).Mul(d.coef, pow10(-d.scale))
	}
	if d.adjusted() < 0 {
		return new(big.Int)
	}
	return new(big.Int).Quo(d.coef, pow10(d.scale))
}

// ofDouble is the decimal that Tarantool makes of a double, printf's %.15g.
// NaN and the infinities have none.
func ofDouble(f float64) (d decimal, ok bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return d, false
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return decimal{big.NewInt(int64(f)), 0, f == 0 && math.Signbit(f)}, true
	}
	text := strconv.FormatFloat(f, 'e', doubleDigits-1, 64) // d.dddde±xx
	mantissa, exponent, _ := strings.Cut(text, "e")
	exp, _ := strconv.Atoi(exponent)
	d.coef, _ = new(big.Int).SetString(strings.Replace(mantissa, ".", "", 1), 10)
	d.scale = doubleDigits - 1 - exp
	return d.trimmed(exp), true
}

// trimmed drops zeroes as %g does: those behind the point, or, with an exponent
// beyond the digits, all.
func (d decimal) trimmed(exp int) decimal {
	least := 0
	if exp >= doubleDigits {
		least = math.MinInt
	}
	q, r := new(big.Int), new(big.Int)
	for d.scale > least {
		if q.QuoRem(d.coef, ten, r); r.Sign() != 0 {
			break
		}
		d.coef.Set(q)
		d.scale--
	}
	return d
}

// exactly is the value of a double, which is finite.
func exactly(f float64) decimal {
	r := new(big.Rat).SetFloat64(f)
	twos := r.Denom().BitLen() - 1 // the denominator is a power of two
	coef := new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(twos)), nil)
	return decimal{coef: coef.Mul(coef, r.Num()), scale: twos}
}

// toDecimal converts a number as Tarantool's arithmetic does; NaN and the
// infinities have no decimal.
func toDecimal(b []byte) (decimal, bool) {
	switch mp.KindOf(b[0]) {
	case mp.Ext:
		_, p := mp.ExtOf(b)
		return readDecimal(p)
	case mp.Float, mp.Double:
		return ofDouble(float(b))
	}
	return ofInteger(b), true
}

func ofInteger(b []byte) decimal {
	u, neg := mp.IntOf(b)
	if neg {
		return decimal{coef: big.NewInt(int64(u))}
	}
	return decimal{coef: new(big.Int).SetUint64(u)}
}

// plus is d + sign*e, rounded to the digits that there are, half away from
// zero; ok is false when it is too large. Tarantool: decNumberAdd.
func (d decimal) plus(e decimal, sign int64) (sum decimal, ok bool) {
	e.coef = new(big.Int).Mul(e.coef, big.NewInt(sign))
	e.minus = e.coef.Sign() == 0 && e.minus != (sign < 0)
	if e.adjusted() > d.adjusted() && e.coef.Sign() != 0 || d.coef.Sign() == 0 {
		d, e = e, d
	}
	// Of what lies far below the digits of the greater one only the sign counts.
	if far := maxDigits + 2 - d.adjusted(); d.coef.Sign() != 0 && e.scale > far && e.adjusted() < -far {
		e = decimal{coef: big.NewInt(int64(e.coef.Sign())), scale: far}
	}
	up := func(x decimal) *big.Int {
		if x.coef.Sign() == 0 {
			return new(big.Int)
		}
		return new(big.Int).Mul(x.coef, pow10(sum.scale-x.scale))
	}
	sum.scale = max(d.scale, e.scale)
	sum.coef = new(big.Int).Add(up(d), up(e))
	sum.minus = sum.coef.Sign() == 0 && d.minus && e.minus
	for {
		extra := len(sum.digits()) - maxDigits
		if extra <= 0 {
			break
		}
		half := pow10(extra)
		half.Quo(half, big.NewInt(2))
		if sum.coef.Sign() < 0 {
			half.Neg(half)
		}
		sum.coef.Quo(half.Add(half, sum.coef), pow10(extra))
		sum.scale -= extra
	}
	return sum, sum.adjusted() <= maxExponent
}

// append encodes the decimal as an extension value.
func (d decimal) append(dst []byte) []byte {
	payload := make([]byte, 0, maxDigits)
	if d.scale < 0 {
		payload = msgp.AppendInt(payload, d.scale)
	} else {
		payload = msgp.AppendUint(payload, uint(d.scale))
	}
	digits := d.digits()
	sign := byte(0xc)
	if d.coef.Sign() < 0 || d.minus {
		sign = 0xd
	}
	if len(digits)%2 == 0 {
		digits = "0" + digits
	}
	for i := 0; i+1 < len(digits); i += 2 {
		payload = append(payload, (digits[i]-'0')<<4|(digits[i+1]-'0'))
	}
	payload = append(payload, (digits[len(digits)-1]-'0')<<4|sign)
	return appendExt(dst, mp.ExtDecimal, payload)
}

// appendExt encodes an extension in the shortest form.
func appendExt(dst []byte, typ mp.ExtType, payload []byte) []byte {
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
