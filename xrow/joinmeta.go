package xrow

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// JoinMetaBody is what we add to the JOIN_META row, which has no body in the
// Tarantool. Tarantool joiners do not look at it.
type JoinMetaBody struct {
	History   []terms.Span // terms in effect, oldest first
	Term, LSN uint64       // committed: all rows of the term's owner up to this LSN
	Tuples    uint64       // about how many follow, for people; 0: not told
	Share     *Share       // what of the state a filtered replica gets; nil: all
	File      *File        // in which the base copy is; nil: it is in none, or that is not written yet
}

// maxBegan bounds what JOIN_META tells of how terms began, in bytes: it is one frame. The
// oldest terms go without.
const maxBegan = 16 << 20

// AppendBody encodes {HISTORY: [[term, owner, first, last], ...], COMMITTED: [term, LSN], TUPLES: n}.
// A term under Tarantool's rules has two elements more: its writer, and 1. MOVE has an array
// for each term of which is known how it began.
func (j *JoinMetaBody) AppendBody(dst []byte) []byte {
	pairs := byte(2)
	if j.Tuples != 0 {
		pairs++
	}
	moves := AppendMoves(nil, j.History, maxBegan)
	if len(moves) > 1 {
		pairs++
	}
	if j.Share != nil {
		pairs++
	}
	if j.File != nil {
		pairs++
	}
	dst = append(dst, 0x80|pairs, byte(KeyHistory))
	dst = msgp.AppendArrayHeader(dst, uint32(len(j.History)))
	for _, s := range j.History {
		elems := byte(4)
		if s.Rules == terms.Tarantool {
			elems = 6
		}
		dst = append(dst, 0x90|elems)
		dst = msgp.AppendUint64(dst, s.Term)
		dst = msgp.AppendUint32(dst, s.Owner)
		dst = msgp.AppendUint64(dst, s.First)
		dst = msgp.AppendUint64(dst, s.Last)
		if s.Rules == terms.Tarantool {
			dst = append(msgp.AppendUint32(dst, s.Writer), 1)
		}
	}
	dst = append(dst, byte(KeyCommitted), 0x92)
	dst = msgp.AppendUint64(dst, j.Term)
	dst = msgp.AppendUint64(dst, j.LSN)
	if j.Tuples != 0 {
		dst = msgp.AppendUint64(append(dst, byte(KeyTuples)), j.Tuples)
	}
	if len(moves) > 1 {
		dst = append(append(dst, byte(KeyMove)), moves...)
	}
	if j.Share != nil {
		dst = j.Share.Append(append(dst, 0xcc, byte(KeyShare)))
	}
	if j.File != nil {
		dst = j.File.append(append(dst, 0xcc, byte(KeyFile)))
	}
	return dst
}

// DecodeJoinMeta reads the body of a JOIN_META row; ours is false when the
// sender is of Tarantool's kind and told nothing. Terms must grow, and spans
// must not be empty.
func DecodeJoinMeta(body []byte) (j JoinMetaBody, ours bool, err error) {
	if body == nil {
		return j, false, nil
	}
	var moves []byte
	f := openFields(body)
	for f.next() {
		var ok bool
		switch f.key {
		case KeyMove:
			moves = f.val
		case KeyHistory:
			if j.History, ok = readSpans(f.val); !ok {
				return j, false, badMsgpack("invalid HISTORY", nil)
			}
			ours = true
		case KeyCommitted:
			var at [2]uint64
			if !ReadUints(f.val, at[:]) || at[1] > maxLSN {
				return j, false, badMsgpack("invalid COMMITTED", nil)
			}
			j.Term, j.LSN = at[0], at[1]
		case KeyShare:
			if j.Share, ok = ReadShare(f.val); !ok {
				return j, false, badMsgpack("invalid SHARE", nil)
			}
		case KeyFile:
			if j.File, ok = readFile(f.val); !ok {
				return j, false, badMsgpack("invalid FILE", nil)
			}
		case KeyTuples:
			if j.Tuples, ok = u64(f.val); !ok {
				return j, false, badMsgpack("invalid TUPLES", nil)
			}
		}
	}
	if f.bad {
		return j, false, badMsgpack("request body", nil)
	}
	if moves != nil && !ReadMoves(moves, j.History) {
		return j, false, badMsgpack("invalid MOVE", nil)
	}
	return j, ours, nil
}

func readSpans(v []byte) (spans []terms.Span, ok bool) {
	elems, n, ok := mp.ReadArrayHeader(v)
	if !ok {
		return nil, false
	}
	for range elems {
		m, err := mp.Scan(v[n:])
		if err != nil {
			return nil, false
		}
		span, ok := readSpan(v[n : n+m])
		if !ok || len(spans) > 0 && span.Term <= spans[len(spans)-1].Term {
			return nil, false
		}
		n += m
		spans = append(spans, span)
	}
	return spans, true
}

// readSpan reads the array of one term, of 4 elements or, under Tarantool's
// rules, of 6.
func readSpan(v []byte) (span terms.Span, ok bool) {
	var s [6]uint64
	s[4] = vclock.Max // not given
	if !ReadUints(v, s[:4]) && !ReadUints(v, s[:]) {
		return span, false
	}
	span = terms.Span{Term: s[0], Owner: uint32(s[1]), First: s[2], Last: s[3], Writer: uint32(s[1]), Rules: terms.Strong}
	if s[5] == 1 {
		span.Rules = terms.Tarantool
	}
	if s[4] != vclock.Max {
		span.Writer = uint32(s[4])
	}
	bad := s[1] >= vclock.Max || s[4] > vclock.Max || s[5] > 1 || span.First > span.Last || span.Last > maxLSN
	return span, !bad
}

// ReadUints reads an array of exactly len(to) unsigned integers.
func ReadUints(v []byte, to []uint64) bool {
	elems, n, ok := mp.ReadArrayHeader(v)
	if !ok || elems != len(to) {
		return false
	}
	for i := range to {
		u, m, ok := mp.ReadUint(v[n:])
		if !ok {
			return false
		}
		to[i] = u
		n += m
	}
	return true
}
