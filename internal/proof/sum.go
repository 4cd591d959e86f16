package proof

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"

	"tarragon.dev/tarragon/xrow"
)

// Size is the length of a digest, in bytes.
const Size = 4 * 8

// Sum is the digest of a set of rows or tuples: the sum of their hashes, number by number
// modulo 2^64. The zero value is that of none.
type Sum [4]uint64

// Add adds the digest of another part.
func (s *Sum) Add(o Sum) {
	for i := range s {
		s[i] += o[i]
	}
}

// Bytes is the digest as it is sent, big endian.
func (s Sum) Bytes() []byte {
	b := make([]byte, 0, Size)
	for _, v := range s {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// String is the digest in hex.
func (s Sum) String() string { return hex.EncodeToString(s.Bytes()) }

// Parse reads what Bytes made; false: it has another length.
func Parse(b []byte) (s Sum, ok bool) {
	if len(b) != Size {
		return s, false
	}
	for i := range s {
		s[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return s, true
}

// Hasher makes digests of single rows and tuples. It belongs to one goroutine.
type Hasher struct {
	h    hash.Hash
	head []byte
	out  []byte
}

// NewHasher makes one.
func NewHasher() *Hasher { return &Hasher{h: sha256.New()} }

// What is hashed begins with what it is. The numbers are sent between versions.
const (
	kindRow   = 1
	kindTuple = 2
)

// Row is the digest of a row that is decided.
func (h *Hasher) Row(r *xrow.Row) Sum {
	return h.sum(r.Body, kindRow, r.Term, uint64(r.ReplicaID), r.LSN, uint64(r.Type), math.Float64bits(r.Timestamp))
}

// Tuple is the digest of a tuple of a space.
func (h *Hasher) Tuple(space uint32, tuple []byte) Sum {
	return h.sum(tuple, kindTuple, uint64(space))
}

// sum hashes numbers of eight bytes, big endian, and what follows them.
func (h *Hasher) sum(rest []byte, numbers ...uint64) Sum {
	h.head = h.head[:0]
	for _, n := range numbers {
		h.head = binary.BigEndian.AppendUint64(h.head, n)
	}
	h.h.Reset()
	_, _ = h.h.Write(h.head) // a hash never fails
	_, _ = h.h.Write(rest)
	h.out = h.h.Sum(h.out[:0])
	s, _ := Parse(h.out)
	return s
}

// Window is the digest of the rows of one author whose LSNs, divided by the step, are the same.
type Window struct {
	First uint64 // the LSN that it begins with, a multiple of the step, whether it has that row or not
	Rows  uint64
	Sum   Sum
}

// Windows are those of ascending LSNs.
type Windows struct {
	Step uint64 // LSNs of a window, at least 1
	List []Window
}

// Add takes a row, of an LSN greater than those before it.
func (w *Windows) Add(lsn uint64, s Sum) {
	first := lsn - lsn%w.Step
	if n := len(w.List); n == 0 || w.List[n-1].First != first {
		w.List = append(w.List, Window{First: first})
	}
	last := &w.List[len(w.List)-1]
	last.Rows++
	last.Sum.Add(s)
}

// Equal tells whether two digests are the same.
func (w *Window) Equal(o *Window) bool { return w.Rows == o.Rows && w.Sum == o.Sum }
