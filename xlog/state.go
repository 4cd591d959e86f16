package xlog

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// State is what a checkpoint carries besides tuples. Neither package may import the
// other, so that of a core is a type of its own with the same fields: server converts.
type State struct {
	VClock       vclock.VClock // of the whole log before NextGroup
	Term         uint64
	Vote         uint32
	History      []terms.Span  // oldest first
	Confirmed    uint64        // LSN of the newest span's owner up to which all is committed
	ConfirmedOf  vclock.VClock // greatest confirmed LSN per owner, ever
	VoidPromotes []uint64      // LSNs of own PROMOTEs that are void
	Undecided    *xrow.Group   // rows before NextGroup whose fate is open; nil: none
	NextGroup    uint64        // where replay of the log goes on
	Share        *xrow.Share   // of a filtered replica: the spaces that the checkpoint has; nil: it has all
}

// maxSpans bounds the history that a decoder believes.
const maxSpans = 1 << 24

func appendState(dst []byte, s *State) []byte {
	dst = appendClock(dst, &s.VClock)
	dst = binary.AppendUvarint(dst, s.Term)
	dst = binary.AppendUvarint(dst, uint64(s.Vote))
	dst = binary.AppendUvarint(dst, s.Confirmed)
	dst = binary.AppendUvarint(dst, s.NextGroup)
	dst = binary.AppendUvarint(dst, uint64(len(s.History)))
	for _, span := range s.History {
		dst = binary.AppendUvarint(dst, span.Term)
		dst = binary.AppendUvarint(dst, uint64(span.Owner))
		dst = binary.AppendUvarint(dst, span.First)
		dst = binary.AppendUvarint(dst, span.Last)
		dst = binary.AppendUvarint(dst, uint64(span.Writer)<<1|bit(span.Rules == terms.Tarantool))
	}
	dst = appendClock(dst, &s.ConfirmedOf)
	dst = binary.AppendUvarint(dst, uint64(len(s.VoidPromotes)))
	for _, lsn := range s.VoidPromotes {
		dst = binary.AppendUvarint(dst, lsn)
	}
	var group []byte
	if s.Undecided != nil {
		group = appendValue(nil, owner{}, s.Undecided, extras{full: true})
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(group))), group...)
	if s.Share != nil {
		share := s.Share.Append(nil)
		dst = append(binary.AppendUvarint(dst, uint64(len(share))), share...)
	}
	return dst
}

func bit(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

// state reads what appendState wrote; version 1 knew of no terms under the
// Tarantool's rules.
func (r *reader) state(version byte) (s State, err error) {
	s.VClock = r.clock()
	s.Term, s.Vote = r.uvarint(), r.u32()
	s.Confirmed, s.NextGroup = r.uvarint(), r.uvarint()
	spans := r.uvarint()
	if spans > maxSpans || spans > uint64(len(r.b)) {
		return s, damaged("bad term history")
	}
	if spans > 0 {
		s.History = make([]terms.Span, spans)
	}
	for i := range s.History {
		s.History[i] = terms.Span{Term: r.uvarint(), Owner: r.u32(), First: r.uvarint(), Last: r.uvarint(), Rules: terms.Strong}
		span := &s.History[i]
		span.Writer = span.Owner
		if version > 1 {
			v := r.uvarint()
			r.bad = r.bad || v>>1 >= vclock.Max
			span.Writer = uint32(v >> 1)
			if v&1 == 1 {
				span.Rules = terms.Tarantool
			}
		}
		r.bad = r.bad || span.Owner >= vclock.Max
	}
	if version > 1 {
		s.ConfirmedOf = r.clock()
		void := r.uvarint()
		if void > uint64(len(r.b)) {
			return s, damaged("bad state")
		}
		for range void {
			s.VoidPromotes = append(s.VoidPromotes, r.uvarint())
		}
	} else if n := len(s.History); n > 0 && s.History[n-1].Owner < vclock.Max {
		s.ConfirmedOf[s.History[n-1].Owner] = s.Confirmed
	}
	size := r.uvarint()
	if r.bad || size > uint64(len(r.b)) {
		return s, damaged("bad state")
	}
	if size > 0 {
		// The input belongs to an iterator of Pebble's; the rows live on.
		_, s.Undecided, err = decodeValue(slices.Clone(r.b[:size]), vclock.VClock{})
		r.b = r.b[size:]
	}
	if err != nil || version < endShare {
		return s, err
	}
	if size = r.uvarint(); r.bad || size > uint64(len(r.b)) {
		return s, damaged("bad state")
	}
	var ok bool
	if s.Share, ok = xrow.ReadShare(r.b[:size]); !ok {
		return s, damaged("bad share")
	}
	r.b = r.b[size:]
	return s, nil
}

// endRecord makes a checkpoint valid: the state, and what was written before it.
type endRecord struct {
	chunks   uint64
	tuples   uint64
	bytes    uint64 // of all tuples
	checksum uint32 // CRC32C over all chunks, in order
	state    State
}

// endVersion 2 has the writer and the rules of each term, ConfirmedOf and
// VoidPromotes. endShare has a share behind that: only the store of a filtered replica has
// such checkpoints, which earlier versions must not take for all there is.
const (
	endVersion = 2
	endShare   = 3
)

func appendEnd(dst []byte, e *endRecord) []byte {
	start := len(dst)
	version := byte(endVersion)
	if e.state.Share != nil {
		version = endShare
	}
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, e.chunks)
	dst = binary.AppendUvarint(dst, e.tuples)
	dst = binary.AppendUvarint(dst, e.bytes)
	dst = binary.LittleEndian.AppendUint32(dst, e.checksum)
	dst = appendState(dst, &e.state)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func decodeEnd(value []byte) (e endRecord, err error) {
	if len(value) < crcLen {
		return e, damaged("no end record")
	}
	body := value[:len(value)-crcLen]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(value[len(body):]) {
		return e, damaged("bad checksum of an end record")
	}
	r := reader{b: body}
	version := r.byte()
	if version > endShare {
		return e, newer("checkpoint", uint64(version), endShare)
	}
	e.chunks, e.tuples, e.bytes = r.uvarint(), r.uvarint(), r.uvarint()
	if r.bad || len(r.b) < crcLen {
		return e, damaged("bad end record")
	}
	e.checksum = binary.LittleEndian.Uint32(r.b)
	r.b = r.b[crcLen:]
	if e.state, err = r.state(version); err != nil {
		return e, err
	}
	if len(r.b) != 0 {
		return e, damaged("bad end record")
	}
	return e, nil
}
