package mp

import "encoding/binary"

// scalar has the length of every token that its first byte tells alone and
// that has no content but its own bytes; 0: all others.
var scalar = func() (size [256]uint8) {
	for c := range 0x80 {
		size[c] = 1
	}
	for c := 0xa0; c <= 0xbf; c++ {
		size[c] = uint8(1 + c&0x1f)
	}
	size[0x80], size[0x90] = 1, 1 // empty
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

// heads has how many bytes of a token tell its length; 0: no token begins so.
var heads = func() (size [256]uint8) {
	for c := range size {
		size[c] = 1
	}
	size[0xc1] = 0
	for _, c := range []byte{0xc4, 0xc7, 0xd9} {
		size[c], size[c+1], size[c+2] = 2, 3, 5
	}
	size[0xdc], size[0xdd] = 3, 5
	size[0xde], size[0xdf] = 3, 5
	return size
}()

// token measures the token at b[i:], whose head is there: its bytes, and the
// number of values that follow as its content.
func token(b []byte, i int) (size, inside uint64) {
	c := b[i]
	if n := scalar[c]; n > 0 {
		return uint64(n), 0
	}
	switch {
	case c <= 0x8f:
		return 1, 2 * uint64(c&0x0f)
	case c <= 0x9f:
		return 1, uint64(c & 0x0f)
	}
	switch c {
	case 0xc4, 0xd9:
		return 2 + uint64(b[i+1]), 0
	case 0xc5, 0xda:
		return 3 + uint64(binary.BigEndian.Uint16(b[i+1:])), 0
	case 0xc6, 0xdb:
		return 5 + uint64(binary.BigEndian.Uint32(b[i+1:])), 0
	case 0xc7:
		return 3 + uint64(b[i+1]), 0
	case 0xc8:
		return 4 + uint64(binary.BigEndian.Uint16(b[i+1:])), 0
	case 0xc9:
		return 6 + uint64(binary.BigEndian.Uint32(b[i+1:])), 0
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return 2 + 1<<(c-0xd4), 0
	case 0xdc:
		return 3, uint64(binary.BigEndian.Uint16(b[i+1:]))
	case 0xdd:
		return 5, uint64(binary.BigEndian.Uint32(b[i+1:]))
	case 0xde:
		return 3, 2 * uint64(binary.BigEndian.Uint16(b[i+1:]))
	case 0xdf:
		return 5, 2 * uint64(binary.BigEndian.Uint32(b[i+1:]))
	}
	return 1, 0 // 0xc1: scanned values have none
}

// step is token for bytes that may end anywhere.
func step(b []byte) (size int, inside uint64, err error) {
	if len(b) == 0 {
		return 0, 0, errTruncated
	}
	head := int(heads[b[0]])
	switch {
	case head == 0:
		return 0, 0, errReserved
	case head > len(b):
		return 0, 0, errTruncated
	}
	whole, inside := token(b, 0)
	if whole > uint64(len(b)) {
		return 0, 0, errTruncated
	}
	return int(whole), inside, nil
}
