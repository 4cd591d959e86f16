package box

import (
	"encoding/binary"

	"tarragon.dev/tarragon/xrow"
)

// versionHead is the size of a version's header, see doc.go.
const versionHead = 20

// noEnd is the end of a version that nobody replaced; also the largest number
// a transaction could have.
const noEnd = 1<<48 - 1

func (a *arena) head(r ref) []byte {
	return a.pages[r>>12][int(r&0xfff)*unit:]
}

func (a *arena) begin(r ref) uint64 { return binary.LittleEndian.Uint64(a.head(r)) & noEnd }
func (a *arena) end(r ref) uint64   { return binary.LittleEndian.Uint64(a.head(r)[4:]) >> 16 }
func (a *arena) prev(r ref) ref     { return ref(binary.LittleEndian.Uint32(a.head(r)[12:])) }

func (a *arena) setBegin(r ref, seq uint64) {
	h := a.head(r)
	binary.LittleEndian.PutUint32(h, uint32(seq))
	binary.LittleEndian.PutUint16(h[4:], uint16(seq>>32))
}

func (a *arena) setEnd(r ref, seq uint64) {
	h := a.head(r)
	binary.LittleEndian.PutUint32(h[6:], uint32(seq))
	binary.LittleEndian.PutUint16(h[10:], uint16(seq>>32))
}

func (a *arena) setPrev(r, prev ref) { binary.LittleEndian.PutUint32(a.head(r)[12:], uint32(prev)) }

// live tells whether r is the newest version and not deleted.
func (a *arena) live(r ref) bool { return r != 0 && a.end(r) == noEnd }

// madeBy is the transaction that made the newest version what it is: live, or
// deleted. 0: there is no version.
func (a *arena) madeBy(r ref) uint64 {
	if r == 0 {
		return 0
	}
	if end := a.end(r); end != noEnd {
		return end
	}
	return a.begin(r)
}

// tuple is the array of the version. It stays where it is until the version is
// freed.
func (a *arena) tuple(r ref) []byte {
	h := a.head(r)
	n := binary.LittleEndian.Uint32(h[16:])
	return h[versionHead : versionHead+n : versionHead+n]
}

// lasts tells whether the bytes of a tuple stay what they are when its version
// is freed: it has a page of its own, which goes to the garbage collector and is
// used by nobody else. Readers keep such a tuple instead of copying it.
func lasts(tuple []byte) bool { return versionHead+len(tuple) > smallMax }

// newVersion stores a tuple as the version of transaction seq above prev.
func (a *arena) newVersion(seq uint64, prev ref, tuple []byte) (ref, error) {
	r, b, err := a.alloc(versionHead + len(tuple))
	if err != nil {
		return 0, err
	}
	binary.LittleEndian.PutUint64(b, seq)
	binary.LittleEndian.PutUint32(b[6:], 0xffffffff)
	binary.LittleEndian.PutUint16(b[10:], 0xffff)
	binary.LittleEndian.PutUint32(b[12:], uint32(prev))
	binary.LittleEndian.PutUint32(b[16:], uint32(len(tuple)))
	copy(b[versionHead:], tuple)
	return r, nil
}

func (a *arena) freeVersion(r ref) { a.release(r, versionHead+len(a.tuple(r))) }

// at goes down from r to the newest version with begin <= bound; 0: none.
func (a *arena) at(r ref, bound uint64) ref {
	for r != 0 && a.begin(r) > bound {
		r = a.prev(r)
	}
	return r
}

func tooLarge(size, limit int) error {
	return xrow.Errorf(xrow.ErrMemtxMaxTupleSize, size+versionHead, limit)
}
