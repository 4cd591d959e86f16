package mp

import "math"

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
