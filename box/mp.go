package box

import (
	"encoding/binary"

	"tarragon.dev/tarragon/xrow"
)

// The helpers here read MessagePack that passed xrow.Scan: they rely on it
// being whole.

// kind is the class of a MessagePack value.
type kind uint8

const (
	kindNil kind = iota
	kindUint
	kindInt
	kindFloat
	kindDouble
	kindStr
	kindBin
	kindBool
	kindArray
	kindMap
	kindExt
)

var kindNames = [...]string{"nil", "unsigned", "integer", "float", "double", "string", "blob", "boolean", "array", "map", "extension"}

func (k kind) String() string { return kindNames[k] }

// kindOf classifies the value at the head of b. Any signed encoding counts as
// an integer, whatever the number is, as in Tarantool.
func kindOf(b []byte) kind {
	c := b[0]
	switch {
	case c <= 0x7f:
		return kindUint
	case c <= 0x8f:
		return kindMap
	case c <= 0x9f:
		return kindArray
	case c <= 0xbf:
		return kindStr
	case c >= 0xe0:
		return kindInt
	}
	switch c {
	case 0xc0:
		return kindNil
	case 0xc2, 0xc3:
		return kindBool
	case 0xc4, 0xc5, 0xc6:
		return kindBin
	case 0xca:
		return kindFloat
	case 0xcb:
		return kindDouble
	case 0xcc, 0xcd, 0xce, 0xcf:
		return kindUint
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return kindInt
	case 0xd9, 0xda, 0xdb:
		return kindStr
	case 0xdc, 0xdd:
		return kindArray
	case 0xde, 0xdf:
		return kindMap
	}
	return kindExt
}

// token measures the token at b[i:] and how many values follow as its content.
func token(b []byte, i int) (end, inside int) {
	c := b[i]
	switch {
	case c <= 0x7f || c >= 0xe0:
		return i + 1, 0
	case c <= 0x8f:
		return i + 1, 2 * int(c&0x0f)
	case c <= 0x9f:
		return i + 1, int(c & 0x0f)
	case c <= 0xbf:
		return i + 1 + int(c&0x1f), 0
	}
	switch c {
	case 0xc4, 0xd9:
		return i + 2 + int(b[i+1]), 0
	case 0xc5, 0xda:
		return i + 3 + int(binary.BigEndian.Uint16(b[i+1:])), 0
	case 0xc6, 0xdb:
		return i + 5 + int(binary.BigEndian.Uint32(b[i+1:])), 0
	case 0xc7:
		return i + 3 + int(b[i+1]), 0
	case 0xc8:
		return i + 4 + int(binary.BigEndian.Uint16(b[i+1:])), 0
	case 0xc9:
		return i + 6 + int(binary.BigEndian.Uint32(b[i+1:])), 0
	case 0xca, 0xce, 0xd2:
		return i + 5, 0
	case 0xcb, 0xcf, 0xd3:
		return i + 9, 0
	case 0xcc, 0xd0:
		return i + 2, 0
	case 0xcd, 0xd1:
		return i + 3, 0
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return i + 2 + 1<<(c-0xd4), 0
	case 0xdc:
		return i + 3, int(binary.BigEndian.Uint16(b[i+1:]))
	case 0xdd:
		return i + 5, int(binary.BigEndian.Uint32(b[i+1:]))
	case 0xde:
		return i + 3, 2 * int(binary.BigEndian.Uint16(b[i+1:]))
	case 0xdf:
		return i + 5, 2 * int(binary.BigEndian.Uint32(b[i+1:]))
	}
	return i + 1, 0
}

// skip is the index behind the value at b[i:].
func skip(b []byte, i int) int {
	for left := 1; left > 0; left-- {
		var inside int
		i, inside = token(b, i)
		left += inside
	}
	return i
}

// arrayHead reads an array header: number of elements, and where they begin.
// No bytes are an empty array.
func arrayHead(b []byte) (n, at int) {
	if len(b) == 0 {
		return 0, 0
	}
	at, n = token(b, 0)
	return n, at
}

// value cuts b down to its first value.
func value(b []byte) []byte { return b[:skip(b, 0)] }

func beUint(b []byte, width int) uint64 {
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

// integer reads a value of kindUint or kindInt. neg tells that the number is
// below 0 and u its two's complement.
func integer(b []byte) (u uint64, neg bool) {
	c := b[0]
	switch {
	case c <= 0x7f:
		return uint64(c), false
	case c >= 0xe0:
		return uint64(int64(int8(c))), true
	case c <= 0xcf:
		return beUint(b[1:], 1<<(c-0xcc)), false
	}
	width := 1 << (c - 0xd0)
	shift := 64 - 8*width
	v := int64(beUint(b[1:], width)<<shift) >> shift
	return uint64(v), v < 0
}

// text is the payload of a str or bin.
func text(b []byte) []byte {
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

// Extension types that the box looks into.
const (
	extDecimal  = int8(xrow.ExtDecimal)
	extUUID     = int8(xrow.ExtUUID)
	extDatetime = int8(xrow.ExtDatetime)
	extInterval = int8(xrow.ExtInterval)
)

// ext reads an extension.
func ext(b []byte) (typ int8, payload []byte) {
	c := b[0]
	if c >= 0xd4 {
		return int8(b[1]), b[2 : 2+1<<(c-0xd4)]
	}
	switch c {
	case 0xc7:
		return int8(b[2]), b[3 : 3+int(b[1])]
	case 0xc8:
		return int8(b[3]), b[4 : 4+int(binary.BigEndian.Uint16(b[1:]))]
	}
	return int8(b[5]), b[6 : 6+int(binary.BigEndian.Uint32(b[1:]))]
}

func isExt(c byte) bool { return c >= 0xc7 && c <= 0xc9 || c >= 0xd4 && c <= 0xd8 }

// checkExts refuses a value that holds a malformed decimal, uuid, datetime or
// interval, wherever it is.
func checkExts(b []byte) error {
	for i := 0; i < len(b); {
		if isExt(b[i]) && !validExt(b[i:]) {
			return xrow.Errorf(xrow.ErrInvalidMsgpack, "packet body")
		}
		i, _ = token(b, i)
	}
	return nil
}

// validExt asks xrow, and of a decimal also that it can be computed with.
func validExt(b []byte) bool {
	typ, p := ext(b)
	if typ == extDecimal {
		if _, ok := readDecimal(p); !ok {
			return false
		}
	}
	return xrow.CheckExt(xrow.ExtType(typ), p) == nil
}
