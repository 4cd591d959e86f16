package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// A request is built once and patched: SYNC and the key have a fixed width.
//
//	ce <len> | 82 00 <type> 01 ce <sync> | 82 10 ce <space> 21 92 cf <key> <value> [cf <field> ...]
//	ce <len> | 82 00 01     01 ce <sync> | 86 10 ce <space> 11 <index> 14 <iterator> 13 00 12 <limit> 20 91 cf <key>
const (
	syncAt        = xrow.FrameHead + 5
	frameOverhead = 64 // of a request or an answer beyond its value and further fields, at most
	fieldSize     = 9
	maxFields     = 13 // the tuple is a fixarray
)

// Iterators of a SELECT.
const (
	iterEq = 0
	iterGe = 5
)

// template is a request whose key and SYNC are filled in.
type template struct {
	frame   []byte
	keyAt   int
	valueAt int // of the bytes of a write's value
	fieldAt int // of the first further field's number
	fields  int
}

func newHead(typ xrow.Type) []byte {
	return []byte{0xce, 0, 0, 0, 0, 0x82, byte(xrow.KeyType), byte(typ), byte(xrow.KeySync), 0xce, 0, 0, 0, 0}
}

// newRead is the template of a Select, a Range or a Secondary.
func newRead(op Op, space uint32) template {
	index, iterator, limit := byte(0), byte(iterEq), byte(1)
	switch op {
	case Range:
		iterator, limit = iterGe, RangeLen
	case Secondary:
		index = 1
	}
	b := append(newHead(xrow.Select), 0x86, byte(xrow.KeySpaceID), 0xce)
	b = binary.BigEndian.AppendUint32(b, space)
	b = append(b, byte(xrow.KeyIndexID), index, byte(xrow.KeyIterator), iterator, byte(xrow.KeyOffset), 0,
		byte(xrow.KeyLimit), limit, byte(xrow.KeyKey), 0x91, 0xcf)
	t := template{keyAt: len(b)}
	b = binary.BigEndian.AppendUint64(b, 0)
	xrow.EndFrame(b, 0)
	t.frame = b
	return t
}

// newWrite is the template of a Replace or an Insert.
func newWrite(typ xrow.Type, space uint32, value []byte, fields int) template {
	b := append(newHead(typ), 0x82, byte(xrow.KeySpaceID), 0xce)
	b = binary.BigEndian.AppendUint32(b, space)
	b = append(b, byte(xrow.KeyTuple), 0x92+byte(fields), 0xcf)
	t := template{keyAt: len(b), fields: fields}
	b = binary.BigEndian.AppendUint64(b, 0)
	b = msgp.AppendStringFromBytes(b, value)
	t.valueAt = len(b) - len(value)
	t.fieldAt = len(b) + 1
	for range fields {
		b = binary.BigEndian.AppendUint64(append(b, 0xcf), 0)
	}
	xrow.EndFrame(b, 0)
	t.frame = b
	return t
}

// append adds the request to dst. The further fields count up from first.
func (t *template) append(dst []byte, sync uint32, key, first uint64) []byte {
	at := len(dst)
	dst = append(dst, t.frame...)
	binary.BigEndian.PutUint32(dst[at+syncAt:], sync)
	binary.BigEndian.PutUint64(dst[at+t.keyAt:], key)
	for i := range t.fields {
		binary.BigEndian.PutUint64(dst[at+t.fieldAt+i*fieldSize:], first+uint64(i))
	}
	return dst
}

// scramble gives a request another value: whole words of chance, which nobody can make
// smaller.
func (t *template) scramble(frame []byte, rng *rand.PCG) {
	value := frame[t.valueAt : t.fieldAt-1]
	for ; len(value) >= 8; value = value[8:] {
		binary.LittleEndian.PutUint64(value, rng.Uint64())
	}
}

// answer is one reply.
type answer struct {
	sync uint64
	code uint32 // of the error, 0: none
	body []byte
}

var errAnswer = errors.New("load: the server's bytes are no answers")

// cut takes the first frame off b. n is its size with the head, 0: b holds
// only a part of it.
func cut(b []byte) (a answer, n int, err error) {
	if len(b) < xrow.FrameHead {
		return a, 0, nil
	}
	if b[0] != 0xce {
		return a, 0, fmt.Errorf("%w: length begins with %#x", errAnswer, b[0])
	}
	size := int(binary.BigEndian.Uint32(b[1:]))
	if size > 64<<20 {
		return a, 0, fmt.Errorf("%w: length %d", errAnswer, size)
	}
	n = xrow.FrameHead + size
	if len(b) < n {
		return a, 0, nil
	}
	a, err = decode(b[xrow.FrameHead:n])
	return a, n, err
}

// decode reads a reply. The layout that all servers use is read in place.
func decode(p []byte) (answer, error) {
	if len(p) >= 26 && p[0] == 0x83 && p[1] == byte(xrow.KeyType) && p[2] == 0xce &&
		p[7] == byte(xrow.KeySync) && p[8] == 0xcf && p[17] == byte(xrow.KeySchemaVersion) {
		body := 0
		switch p[18] {
		case 0xce:
			body = 23
		case 0xcf:
			body = 27
		}
		if body > 0 && len(p) >= body {
			return answer{
				sync: binary.BigEndian.Uint64(p[9:]),
				code: binary.BigEndian.Uint32(p[3:]) &^ uint32(xrow.ErrorFlag),
				body: p[body:],
			}, nil
		}
	}
	row, err := xrow.Decode(p)
	if err != nil {
		return answer{}, errors.Join(errAnswer, err)
	}
	a := answer{sync: row.Sync, body: row.Body}
	if row.Type >= xrow.ErrorFlag {
		a.code = uint32(row.Type &^ xrow.ErrorFlag)
	}
	return a, nil
}

// message is the text of an error reply.
func (a *answer) message() string {
	row := xrow.Row{Type: xrow.ErrorFlag | xrow.Type(a.code), Body: bytes.Clone(a.body)}
	if e := row.AsError(); e != nil {
		return e.Message
	}
	return "no text"
}

// tuples is how many tuples a reply to DML or SELECT holds.
func (a *answer) tuples() int {
	if len(a.body) < 3 || a.body[0] != 0x81 || a.body[1] != byte(xrow.KeyData) {
		return 0
	}
	n, _, ok := mp.ReadArrayHeader(a.body[2:])
	if !ok {
		return 0
	}
	return n
}
