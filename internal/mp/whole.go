package mp

import (
	"encoding/binary"
	"math"
)

// The readers here take values that passed [Scan]: they rely on their being
// whole.

// Token measures the token at b[i:]: the index behind it, and how many values
// follow as its content.
func Token(b []byte, i int) (end, inside int) {
	size, n := token(b, i)
	return i + int(size), int(n)
}

// Skip is the index behind the value at b[i:].
func Skip(b []byte, i int) int {
	for left := 1; left > 0; left-- {
		if n := scalar[b[i]]; n > 0 {
			i += int(n)
			continue
		}
		var inside int
		i, inside = Token(b, i)
		left += inside
	}
	return i
}

// First cuts b down to its first value.
func First(b []byte) []byte { return b[:Skip(b, 0)] }

// ArrayOf is the number of elements of an array, and where they begin. No
// bytes are an empty array.
func ArrayOf(b []byte) (n, at int) {
	if len(b) == 0 {
		return 0, 0
	}
	at, n = Token(b, 0)
	return n, at
}

// IntOf is an [Uint] or [Int]. neg tells that the number is below 0 and u its
// two's complement.
func IntOf(b []byte) (u uint64, neg bool) {
	c := b[0]
	switch {
	case c <= 0x7f:
		return uint64(c), false
	case c >= 0xe0:
		return uint64(int64(int8(c))), true
	case c <= 0xcf:
		return number(b[1:], 1<<(c-0xcc)), false
	}
	width := 1 << (c - 0xd0)
	shift := 64 - 8*width
	v := int64(number(b[1:], width)<<shift) >> shift
	return uint64(v), v < 0
}

// FloatOf is a [Float] or [Double].
func FloatOf(b []byte) float64 {
	if b[0] == 0xca {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b[1:])))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
}

// TextOf is the content of a [Str] or [Bin]; it points into b.
func TextOf(b []byte) []byte {
	c := b[0]
	if c&0xe0 == 0xa0 {
		return b[1 : 1+int(c&0x1f)]
	}
	switch c {
	case 0xc4, 0xd9:
		return b[2 : 2+int(b[1])]
	case 0xc5, 0xda:
		return b[3 : 3+int(binary.BigEndian.Uint16(b[1:]))]
	}
	return b[5 : 5+int(binary.BigEndian.Uint32(b[1:]))]
}

// ExtOf is an [Ext]; payload points into b.
func ExtOf(b []byte) (t ExtType, payload []byte) {
	c := b[0]
	if c >= 0xd4 {
		return ExtType(b[1]), b[2 : 2+1<<(c-0xd4)]
	}
	switch c {
	case 0xc7:
		return ExtType(b[2]), b[3 : 3+int(b[1])]
	case 0xc8:
		return ExtType(b[3]), b[4 : 4+int(binary.BigEndian.Uint16(b[1:]))]
	}
	return ExtType(b[5]), b[6 : 6+int(binary.BigEndian.Uint32(b[1:]))]
}

func number(b []byte, width int) uint64 {
	switch width {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}
