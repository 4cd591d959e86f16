package load

import (
	"encoding/binary"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// steps are the requests of a workload whose unit takes several, each behind the answer to
// the one before: an interactive transaction in a stream of its own for each slot, or page
// after page of a space. What counts is the unit of a transaction, and each page.
type steps struct {
	frames []template // of a transaction; nil: pages
	keys   uint64
	slots  uint64
	after  [][]byte // by slot: the position behind its last page; nil: it begins
}

// streamAt is where the number of the stream is.
const streamAt = syncAt + 4 + 2

func newSteps(w *Workload, slots int) *steps {
	s := &steps{keys: w.Keys, slots: uint64(slots)}
	read, write := newRead(Select, w.Space), newWrite(xrow.Replace, w.Space, Value(w.ValueSize), 0)
	switch w.Op {
	case Txn:
		s.frames = []template{newBare(xrow.Begin), read.inStream(), write.inStream(), write.inStream(), newBare(xrow.Commit)}
	case ReadTxn:
		s.frames = []template{newBare(xrow.Begin), read.inStream(), read.inStream(), newBare(xrow.Commit)}
	case Pages:
		s.after = make([][]byte, slots)
	default:
		return nil
	}
	return s
}

// inStream is the same request with room for the number of a stream in its head.
func (t template) inStream() template {
	head := newHead(xrow.OK)
	b := append([]byte(nil), t.frame[:len(head)]...)
	b[xrow.FrameHead] = 0x83
	b = append(b, byte(xrow.KeyStreamID), 0xce, 0, 0, 0, 0)
	t.keyAt += len(b) - len(head)
	t.frame = append(b, t.frame[len(head):]...)
	xrow.EndFrame(t.frame, 0)
	return t
}

// newBare is a request of a stream with an empty body.
func newBare(typ xrow.Type) template {
	t := template{frame: append(newHead(typ), 0x80)}
	t = t.inStream()
	t.keyAt = -1
	return t
}

// append adds the request of a slot at a stage. Each slot has keys of its own: its
// transactions meet nobody.
func (s *steps) append(dst []byte, w *Workload, i uint32, sl *slot, key uint64) []byte {
	if s.frames == nil {
		return s.appendPage(dst, w, i)
	}
	if sl.stage == 0 || sl.stage == len(s.frames)-2 { // another one for the last statement
		sl.key = key%max(s.keys/s.slots, 1)*s.slots + uint64(i) + 1
	}
	at := len(dst)
	t := &s.frames[sl.stage]
	dst = append(dst, t.frame...)
	binary.BigEndian.PutUint32(dst[at+syncAt:], i)
	binary.BigEndian.PutUint32(dst[at+streamAt:], i+1)
	if t.keyAt >= 0 {
		binary.BigEndian.PutUint64(dst[at+t.keyAt:], sl.key)
	}
	return dst
}

// appendPage asks for the tuples behind the last page.
func (s *steps) appendPage(dst []byte, w *Workload, i uint32) []byte {
	at := len(dst)
	dst = append(dst, newHead(xrow.Select)...)
	binary.BigEndian.PutUint32(dst[at+syncAt:], i)
	n := byte(0x87)
	if s.after[i] != nil {
		n++
	}
	dst = append(dst, n, byte(xrow.KeySpaceID), 0xce)
	dst = binary.BigEndian.AppendUint32(dst, w.Space)
	dst = append(dst, byte(xrow.KeyIndexID), 0, byte(xrow.KeyIterator), 2, byte(xrow.KeyOffset), 0, byte(xrow.KeyLimit), RangeLen,
		byte(xrow.KeyKey), 0x90, byte(xrow.KeyFetchPosition), 0xc3)
	if s.after[i] != nil {
		dst = append(append(dst, byte(xrow.KeyAfterPosition), 0xd9, byte(len(s.after[i]))), s.after[i]...)
	}
	xrow.EndFrame(dst, at)
	return dst
}

// goesOn takes an answer, and tells whether the slot's unit needs another request.
func (s *steps) goesOn(i uint32, sl *slot, a *answer) bool {
	if s.frames == nil {
		s.after[i] = append(s.after[i][:0], a.position()...)
		if a.tuples() < RangeLen {
			s.after[i] = nil
		}
		return false
	}
	sl.stage++
	if a.code != 0 {
		sl.stage = len(s.frames)
	}
	if sl.stage < len(s.frames) {
		return true
	}
	sl.stage = 0
	return false
}

// position is the POSITION of an answer, empty: there is none.
func (a *answer) position() []byte {
	if len(a.body) < 2 || a.body[0] != 0x82 {
		return nil
	}
	at := 2
	at = mp.Skip(a.body, at)
	if at >= len(a.body) || a.body[at] != byte(xrow.KeyPosition) {
		return nil
	}
	return mp.TextOf(a.body[at+1:])
}
