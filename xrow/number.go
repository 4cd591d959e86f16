package xrow

import (
	"crypto/sha256"

	"tarragon.dev/tarragon/internal/mp"

	"github.com/tinylib/msgp/msgp"
)

// Number makes a request one of an exactly-once session (docs/protocol/sessions.md): it
// is executed once or never, as often as it comes. It is never changed.
type Number struct {
	Session string // its ID
	Slot    uint64 // from 1
	No      uint64 // greater than those before it in the slot; from 1
	Repeat  bool   // it may have been sent before
	Digest  Digest // of the request
}

// Digest tells one request from another under the same number.
type Digest [16]byte

// maxSessionID bounds the text of an ID: a UUID and two numbers.
const maxSessionID = 100

// DigestOf is that of a request by its type and its body as it came.
func DigestOf(t Type, body []byte) (d Digest) {
	h := sha256.New()
	_, _ = h.Write([]byte{byte(t >> 8), byte(t)}) // it never fails
	_, _ = h.Write(body)
	var sum [sha256.Size]byte
	copy(d[:], h.Sum(sum[:0]))
	return d
}

// IsNumberKey tells whether a key of a request's header belongs to its number.
func IsNumberKey(k uint64) bool { return k >= uint64(KeySession) && k <= uint64(KeyRepeat) }

// Read takes the value of such a key, and tells its length.
func (n *Number) Read(k Key, v []byte) (size int, ok bool) {
	switch k {
	case KeySession:
		var id []byte
		if id, size, ok = mp.ReadString(v); ok && len(id) <= maxSessionID {
			n.Session = string(id)
		}
	case KeySlot:
		n.Slot, size, ok = mp.ReadUint(v)
	case KeyNumber:
		n.No, size, ok = mp.ReadUint(v)
	case KeyRepeat:
		n.Repeat, size, ok = mp.ReadBool(v)
	}
	return size, ok
}

// Check is what is missing; nil: nothing.
func (n *Number) Check() *Error {
	if n.Session == "" || n.Slot == 0 || n.No == 0 {
		return Errorf(ErrIllegalParams, "a request with a number has SESSION, SLOT and NUMBER, which are no zeroes")
	}
	return nil
}

// AppendPairs encodes the number as pairs of a header, and tells how many there are.
func (n *Number) AppendPairs(dst []byte) ([]byte, int) {
	dst = msgp.AppendString(append(dst, 0xcc, byte(KeySession)), n.Session)
	dst = msgp.AppendUint64(append(dst, 0xcc, byte(KeySlot)), n.Slot)
	dst = msgp.AppendUint64(append(dst, 0xcc, byte(KeyNumber)), n.No)
	if !n.Repeat {
		return dst, 3
	}
	return append(dst, 0xcc, byte(KeyRepeat), 0xc3), 4
}
