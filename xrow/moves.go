package xrow

import (
	"sort"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// AppendMoves encodes how terms began, [[term, owner, kind, at, gap, loose, took, by, reason, token], ...], of those
// of which something is known: token is left out where it is 0: the value of MOVE in JOIN_META, and what a store keeps beside
// its checkpoints. The newest ones, as many as limit bytes hold; 0: all. An empty array is one byte.
func AppendMoves(dst []byte, history []terms.Span, limit int) []byte {
	from, size, known := len(history), 0, uint32(0)
	for ; from > 0; from-- {
		b := &history[from-1].Began
		if !b.Known() {
			continue
		}
		if size += 64 + len(b.By) + len(b.Reason); limit != 0 && size > limit {
			break
		}
		known++
	}
	dst = msgp.AppendArrayHeader(dst, known)
	for i := range history[from:] {
		s := &history[from+i]
		b := &s.Began
		if !b.Known() {
			continue
		}
		head := byte(0x99)
		if b.Token != 0 {
			head = 0x9a
		}
		dst = msgp.AppendUint32(msgp.AppendUint64(append(dst, head), s.Term), s.Writer)
		dst = msgp.AppendUint64(append(dst, byte(b.Kind)), b.At)
		dst = append(msgp.AppendUint64(dst, b.Gap), bit(b.Loose))
		dst = msgp.AppendUint64(dst, b.Took)
		dst = msgp.AppendString(msgp.AppendString(dst, terms.ClipMove(b.By)), terms.ClipMove(b.Reason))
		if b.Token != 0 {
			dst = msgp.AppendUint64(dst, b.Token)
		}
	}
	return dst
}

// ReadMoves reads what AppendMoves wrote into the terms that it speaks of, by term and
// writer; v was scanned. A later version may add elements. false: it is not that.
func ReadMoves(v []byte, history []terms.Span) bool {
	all, n := elementsOf(v)
	if all == nil {
		return false
	}
	for range n {
		one, elems := all.array()
		if one == nil || elems < 9 {
			return false
		}
		term, writer := one.uint(1<<64-1), uint32(one.uint(vclock.Max-1))
		b := terms.Began{Kind: terms.MoveKind(one.uint(127)), At: one.uint(terms.MaxMicros), Gap: one.uint(terms.MaxMicros),
			Loose: one.uint(1) == 1, Took: one.uint(terms.MaxMicros), By: one.text(), Reason: one.text()}
		if elems >= 10 {
			b.Token = one.uint(1<<64 - 1)
		}
		if one.bad {
			return false
		}
		at := sort.Search(len(history), func(i int) bool { return history[i].Term >= term })
		if at < len(history) && history[at].Term == term && history[at].Writer == writer {
			history[at].Began = b
		}
	}
	return !all.bad
}
