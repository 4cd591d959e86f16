package mp

import (
	"encoding/binary"
	"math"
)

// The readers here take any bytes.

// ReadScalar measures the value at the head of b if its first byte tells its
// length: it has no elements, and is no long text and no extension. 0: it is
// another one, or is cut.
func ReadScalar(b []byte) (n int) {
	if len(b) > 0 {
		n = int(scalar[b[0]])
	}
	if n > len(b) {
		return 0
	}
	return n
}

// ReadUint reads an unsigned integer of any width.
func ReadUint(b []byte) (v uint64, n int, ok bool) {
	if len(b) > 0 && b[0] <= 0x7f { // small, so that it can be inlined
		return uint64(b[0]), 1, true
	}
	return readWideUint(b)
}

func readWideUint(b []byte) (v uint64, n int, ok bool) {
	if len(b) == 0 || b[0] < 0xcc || b[0] > 0xcf {
		return 0, 0, false
	}
	width := 1 << (b[0] - 0xcc)
	if len(b) < 1+width {
		return 0, 0, false
	}
	return number(b[1:], width), 1 + width, true
}

// ReadMapHeader reads how many pairs the map at the head of b has.
func ReadMapHeader(b []byte) (pairs, n int, ok bool) {
	if len(b) == 0 || kinds[b[0]] != Map {
		return 0, 0, false
	}
	size, inside, err := step(b)
	return int(inside / 2), size, err == nil
}

// ReadArrayHeader reads how many elements the array at the head of b has.
func ReadArrayHeader(b []byte) (elems, n int, ok bool) {
	if len(b) == 0 || kinds[b[0]] != Array {
		return 0, 0, false
	}
	size, inside, err := step(b)
	return int(inside), size, err == nil
}

// ReadFlatArray measures the array at the head of b if it has fewer than 65536
// elements, and these are scalars and texts of less than 64 KiB. 0: it is another
// value, or is cut.
func ReadFlatArray(b []byte) (n int) {
	elems := 0
	switch {
	case len(b) == 0:
		return 0
	case b[0]&0xf0 == 0x90:
		elems, n = int(b[0]&0x0f), 1
	case b[0] == 0xdc && len(b) >= 3:
		elems, n = int(binary.BigEndian.Uint16(b[1:])), 3
	default:
		return 0
	}
	for range elems {
		if n >= len(b) {
			return 0
		}
		c := b[n]
		if size := int(scalar[c]); size > 0 {
			n += size
			continue
		}
		switch {
		case (c == 0xd9 || c == 0xc4) && len(b)-n >= 2:
			n += 2 + int(b[n+1])
		case (c == 0xda || c == 0xc5) && len(b)-n >= 3:
			n += 3 + int(binary.BigEndian.Uint16(b[n+1:]))
		default:
			return 0
		}
	}
	if n > len(b) {
		return 0
	}
	return n
}

// ReadString reads a str (not a bin); s points into b.
func ReadString(b []byte) (s []byte, n int, ok bool) {
	if len(b) == 0 || kinds[b[0]] != Str {
		return nil, 0, false
	}
	n, _, err := step(b)
	if err != nil {
		return nil, 0, false
	}
	return TextOf(b[:n]), n, true
}

// ReadBool reads a boolean.
func ReadBool(b []byte) (v bool, n int, ok bool) {
	if len(b) == 0 || b[0] != 0xc2 && b[0] != 0xc3 {
		return false, 0, false
	}
	return b[0] == 0xc3, 1, true
}

// ReadInt reads an integer of any form that fits in 64 bits with a sign.
func ReadInt(b []byte) (v int64, n int, ok bool) {
	if u, n, ok := ReadUint(b); ok {
		return int64(u), n, u <= math.MaxInt64
	}
	if len(b) == 0 || kinds[b[0]] != Int || len(b) < int(scalar[b[0]]) {
		return 0, 0, false
	}
	u, _ := IntOf(b)
	return int64(u), int(scalar[b[0]]), true
}

// ReadExt reads an extension; payload points into b.
func ReadExt(b []byte) (t ExtType, payload []byte, n int, ok bool) {
	if len(b) == 0 || kinds[b[0]] != Ext {
		return 0, nil, 0, false
	}
	n, _, err := step(b)
	if err != nil {
		return 0, nil, 0, false
	}
	t, payload = ExtOf(b)
	return t, payload, n, true
}
