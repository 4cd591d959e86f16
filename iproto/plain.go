package iproto

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Most requests are of one form, which is decoded in one pass: a header of type and
// sync, a body of small keys with numbers and with arrays of scalars and texts. All
// others are decoded as if there were no such form, with the same outcome.

// decodePlain reads a header of a small type and a sync; n is 0 for another one.
func (h *header) decodePlain(b []byte) (n int) {
	if len(b) < 5 || b[0] != 0x82 || b[1] != byte(xrow.KeyType) || b[2] > 0x7f || b[3] != byte(xrow.KeySync) {
		return 0
	}
	sync, size, ok := mp.ReadUint(b[4:])
	if !ok {
		return 0
	}
	*h = header{typ: xrow.Type(b[2]), sync: sync}
	return 4 + size
}

// plainBody is what bodies of SELECT and DML requests mostly have. Slices point into the
// frame; arrays are raw.
type plainBody struct {
	shape shape
	raw   []byte // the whole body

	has [2]uint64 // bit set of the known keys that are present

	space, index, limit, offset, iterator, indexBase uint32

	key, tuple, ops []byte
}

// decodePlain reads a body that has nothing else; false: it has, or is none.
func (q *body) decodePlain(b []byte) bool {
	if len(b) == 0 || b[0]&0xf0 != 0x80 {
		return false
	}
	if q.more {
		*q = body{}
	}
	q.plainBody = plainBody{shape: bodyMap, raw: b}
	n := 1
	for range b[0] & 0x0f {
		if len(b)-n < 2 {
			return false
		}
		k := xrow.Key(b[n])
		n++
		switch k {
		case xrow.KeySpaceID, xrow.KeyIndexID, xrow.KeyLimit, xrow.KeyOffset, xrow.KeyIterator, xrow.KeyIndexBase:
			v, size, ok := mp.ReadUint(b[n:])
			if !ok {
				return false
			}
			q.putUint(k, v)
			n += size
		case xrow.KeyKey, xrow.KeyTuple, xrow.KeyOps:
			size := mp.ReadFlatArray(b[n:])
			if size == 0 {
				return false
			}
			q.putArray(k, b[n:n+size])
			n += size
		default:
			return false
		}
		q.has[0] |= 1 << k // all of them are below 64
	}
	return n == len(b)
}
