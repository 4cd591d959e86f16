package xrow

import (
	"encoding/binary"
	"errors"
)

// MaxDepth is how deep foreign MessagePack may be nested.
const MaxDepth = 128

// ErrMsgpack is the cause of every refusal of malformed MessagePack.
var ErrMsgpack = errors.New("xrow: malformed MessagePack")

var (
	errTruncated = wrapped("truncated input")
	errReserved  = wrapped("reserved byte 0xc1")
	errDepth     = wrapped("nested too deeply")
	errJunk      = wrapped("junk after input")
)

type scanError struct{ detail string }

func wrapped(detail string) error         { return &scanError{detail} }
func (e *scanError) Error() string        { return ErrMsgpack.Error() + ": " + e.detail }
func (e *scanError) Is(target error) bool { return target == ErrMsgpack }

// Scan goes over the one MessagePack value that b begins with and returns its
// length. It neither recurses nor allocates, and never looks beyond b: a header
// that promises more elements than there are bytes is refused at once.
func Scan(b []byte) (n int, err error) { return scanWith(b, false) }

func scanWith(b []byte, exts bool) (n int, err error) {
	var shallow [8]uint64 // nearly all input fits; a larger array costs its clearing
	n, err = scan(b, shallow[:], exts)
	if err == errDepth {
		var deep [MaxDepth]uint64
		return scan(b, deep[:], exts)
	}
	return n, err
}

// scan goes as deep as outer has room for; exts: extensions are looked into.
func scan(b []byte, outer []uint64, exts bool) (n int, err error) {
	depth := 0        // of the value at n
	left := uint64(1) // values still to come at this depth; outer has those of the depths above
	for {
		if n >= len(b) {
			return n, errTruncated
		}
		c := b[n]
		size, inside := int(scalar[c]), uint64(0)
		switch {
		case size > 0:
		case c <= 0x8f:
			size, inside = 1, 2*uint64(c&0x0f)
		case c <= 0x9f:
			size, inside = 1, uint64(c&0x0f)
		default:
			if size, inside, err = step(b[n:]); err != nil {
				return n, err
			}
			if exts && isExt(c) {
				t, payload, _, _ := ReadExt(b[n:])
				if err := CheckExt(t, payload); err != nil {
					return n, err
				}
			}
		}
		if size > len(b)-n {
			return n, errTruncated
		}
		n += size
		left--
		if inside > 0 {
			if inside > uint64(len(b)-n) {
				return n, errTruncated
			}
			if depth+1 == len(outer) {
				return n, errDepth
			}
			outer[depth] = left
			depth++
			left = inside
		}
		for left == 0 {
			if depth == 0 {
				return n, nil
			}
			depth--
			left = outer[depth]
		}
	}
}

// scalar has the length of every token that its first byte tells alone and
// that has no content but its own bytes; 0: all others.
var scalar = func() (size [256]uint8) {
	for c := range 0x80 {
		size[c] = 1
	}
	for c := 0xa0; c <= 0xbf; c++ {
		size[c] = uint8(1 + c&0x1f)
	}
	size[0xc0], size[0xc2], size[0xc3] = 1, 1, 1
	size[0xca], size[0xcb] = 5, 9
	for i := range 4 {
		size[0xcc+i] = 1 + 1<<i
		size[0xd0+i] = 1 + 1<<i
	}
	for c := 0xe0; c <= 0xff; c++ {
		size[c] = 1
	}
	return size
}()

// step measures the token at the head of b: its bytes, and the number of
// values that follow as its content.
func step(b []byte) (size int, inside uint64, err error) {
	if len(b) == 0 {
		return 0, 0, errTruncated
	}
	c := b[0]
	switch {
	case c <= 0x7f || c >= 0xe0:
		return 1, 0, nil
	case c <= 0x8f:
		return 1, 2 * uint64(c&0x0f), nil
	case c <= 0x9f:
		return 1, uint64(c & 0x0f), nil
	case c <= 0xbf:
		return payload(b, 1, uint64(c&0x1f))
	}
	switch c {
	case 0xc0, 0xc2, 0xc3:
		return 1, 0, nil
	case 0xc4, 0xd9:
		return counted(b, 1, 0)
	case 0xc5, 0xda:
		return counted(b, 2, 0)
	case 0xc6, 0xdb:
		return counted(b, 4, 0)
	case 0xc7:
		return counted(b, 1, 1)
	case 0xc8:
		return counted(b, 2, 1)
	case 0xc9:
		return counted(b, 4, 1)
	case 0xca, 0xce, 0xd2:
		return payload(b, 1, 4)
	case 0xcb, 0xcf, 0xd3:
		return payload(b, 1, 8)
	case 0xcc, 0xd0:
		return payload(b, 1, 1)
	case 0xcd, 0xd1:
		return payload(b, 1, 2)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return payload(b, 2, 1<<(c-0xd4))
	case 0xdc, 0xdd, 0xde, 0xdf:
		width := 2 << (c & 1)
		if len(b) < 1+width {
			return 0, 0, errTruncated
		}
		count := number(b[1:], width)
		if c >= 0xde {
			count *= 2
		}
		return 1 + width, count, nil
	}
	return 0, 0, errReserved
}

func payload(b []byte, head int, size uint64) (int, uint64, error) {
	if uint64(len(b)) < uint64(head)+size {
		return 0, 0, errTruncated
	}
	return head + int(size), 0, nil
}

func counted(b []byte, width int, extra int) (int, uint64, error) {
	if len(b) < 1+width {
		return 0, 0, errTruncated
	}
	return payload(b, 1+width+extra, number(b[1:], width))
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
	if len(b) == 0 || !isMap(b[0]) {
		return 0, 0, false
	}
	size, inside, err := step(b)
	return int(inside / 2), size, err == nil
}

// ReadArrayHeader reads how many elements the array at the head of b has.
func ReadArrayHeader(b []byte) (elems, n int, ok bool) {
	if len(b) == 0 || !isArray(b[0]) {
		return 0, 0, false
	}
	size, inside, err := step(b)
	return int(inside), size, err == nil
}

// ReadString reads a str (not a bin); s points into b.
func ReadString(b []byte) (s []byte, n int, ok bool) {
	if len(b) == 0 || !isString(b[0]) {
		return nil, 0, false
	}
	n, _, err := step(b)
	if err != nil {
		return nil, 0, false
	}
	head := 1
	switch b[0] {
	case 0xd9:
		head = 2
	case 0xda:
		head = 3
	case 0xdb:
		head = 5
	}
	return b[head:n], n, true
}

// ReadBool reads a boolean.
func ReadBool(b []byte) (v bool, n int, ok bool) {
	if len(b) == 0 || b[0] != 0xc2 && b[0] != 0xc3 {
		return false, 0, false
	}
	return b[0] == 0xc3, 1, true
}

func isMap(c byte) bool    { return c&0xf0 == 0x80 || c == 0xde || c == 0xdf }
func isArray(c byte) bool  { return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd }
func isExt(c byte) bool    { return c >= 0xc7 && c <= 0xc9 || c >= 0xd4 && c <= 0xd8 }
func isString(c byte) bool { return c&0xe0 == 0xa0 || c >= 0xd9 && c <= 0xdb }
