package xrow

import (
	"encoding/binary"
	"math"

	"tarragon.dev/tarragon/internal/mp"

	"github.com/tinylib/msgp/msgp"
)

// Row is a header and the raw bytes of a body.
type Row struct {
	Type          Type
	Sync          uint64
	ReplicaID     uint32 // origin; 0: local
	GroupID       uint32
	LSN           uint64
	Timestamp     float64 // seconds since the epoch, the author's wall time
	TSN           uint64  // LSN of the first global row of the transaction, decoded; 0 stands for LSN: a single row
	Flags         Flags   // FlagCommit is set on every last row in memory; the wire leaves it out for single rows
	StreamID      uint64
	SchemaVersion uint64
	Term          uint64 // ours: term of the leader that wrote the row; 0: none
	From          uint64 // ours: LSN of the first row that this one stands for, the others were cut; 0: it stands for itself. See First
	Body          []byte // raw value, a map but in PING; nil: no body. Points into the input of Decode
}

// FrameHead is the length of the prefix of every frame: 0xce and a u32.
const FrameHead = 5

// MaxFrame is the length of the longest frame that is taken, without its prefix, and
// so the most that a tuple can have. Tarantool's is 2 GiB.
const MaxFrame = 64 << 20

// Append encodes the row as a frame. Keys come in Tarantool's order; ours
// follows them.
func (r *Row) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0xce, 0, 0, 0, 0)
	dst = r.AppendHeader(dst)
	dst = append(dst, r.Body...)
	EndFrame(dst, start)
	return dst
}

// AppendHeader encodes the header map alone.
func (r *Row) AppendHeader(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0x80)
	pairs := byte(1)
	dst = appendField(dst, KeyType, uint64(r.Type))
	if r.Sync != 0 {
		dst = appendField(dst, KeySync, r.Sync)
		pairs++
	}
	if r.ReplicaID != 0 {
		dst = appendField(dst, KeyReplicaID, uint64(r.ReplicaID))
		pairs++
	}
	if r.GroupID != 0 {
		dst = appendField(dst, KeyGroupID, uint64(r.GroupID))
		pairs++
	}
	if r.LSN != 0 {
		dst = appendField(dst, KeyLSN, r.LSN)
		pairs++
	}
	if r.Timestamp != 0 {
		dst = append(dst, byte(KeyTimestamp), 0xcb)
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(r.Timestamp))
		pairs++
	}
	flags := r.Flags
	if r.isSingle() {
		flags &^= FlagCommit
	} else {
		dst = appendField(dst, KeyTSN, r.LSN-r.TSN)
		pairs++
	}
	if r.StreamID != 0 {
		dst = appendField(dst, KeyStreamID, r.StreamID)
		pairs++
	}
	if flags != 0 {
		dst = appendField(dst, KeyFlags, uint64(flags))
		pairs++
	}
	if r.SchemaVersion != 0 {
		dst = appendField(dst, KeySchemaVersion, r.SchemaVersion)
		pairs++
	}
	if r.Term != 0 {
		dst = appendField(dst, KeyTerm, r.Term)
		pairs++
	}
	if r.From != 0 {
		dst = appendField(dst, KeyFrom, r.From)
		pairs++
	}
	dst[at] |= pairs
	return dst
}

// First is the LSN of the first row that this one stands for.
func (r *Row) First() uint64 {
	if r.From != 0 {
		return r.From
	}
	return r.LSN
}

// isSingle tells whether the row is a transaction of its own, or in none:
// then neither TSN nor COMMIT is written.
func (r *Row) isSingle() bool {
	return r.LSN == 0 || r.TSN == 0 || r.TSN == r.LSN && r.Flags&FlagCommit != 0
}

func appendField(dst []byte, k Key, v uint64) []byte {
	if v <= 0x7f {
		return append(dst, byte(k), byte(v))
	}
	return msgp.AppendUint64(append(dst, byte(k)), v)
}

// Decode reads a row from the payload of one frame (without the length). The
// whole payload must be a header map and at most one value more, none behind a
// NOP, both without malformed extensions; the error is an INVALID_MSGPACK [Error]. Nothing is allocated unless it
// fails.
func Decode(b []byte) (r Row, err error) {
	n, err := r.DecodeHeader(b)
	if err != nil || n == len(b) {
		return r, err
	}
	if r.Type == Nop {
		return r, badMsgpack("packet body", mp.ErrJunk)
	}
	m, err := ScanStrict(b[n:])
	if err != nil {
		return r, badMsgpack("packet body", err)
	}
	if n+m != len(b) {
		return r, badMsgpack("packet body", mp.ErrJunk)
	}
	r.Body = b[n:]
	return r, nil
}

// DecodeHeader reads the header that b begins with over a zero r and returns
// its length. What follows is not looked at. The bytes need no Scan before: a
// header is flat but for values of unknown keys, which are scanned here.
func (r *Row) DecodeHeader(b []byte) (n int, err error) {
	pairs, n, ok := mp.ReadMapHeader(b)
	if !ok {
		return 0, badMsgpack("packet header", nil)
	}
	hasTSN := false
	for range pairs {
		key, m, ok := mp.ReadUint(b[n:])
		if !ok {
			return 0, badMsgpack("packet header", nil)
		}
		n += m
		if key > 0xff || keyKinds[key] != mp.Uint {
			if m, ok = r.otherField(key, b[n:]); !ok {
				return 0, badMsgpack("packet header", nil)
			}
			n += m
			continue
		}
		v, m, ok := mp.ReadUint(b[n:])
		if !ok {
			return 0, badMsgpack("packet header", nil)
		}
		n += m
		switch Key(key) {
		case KeyType:
			r.Type = Type(narrow(v))
		case KeySync:
			r.Sync = v
		case KeyReplicaID:
			r.ReplicaID = narrow(v)
		case KeyGroupID:
			r.GroupID = narrow(v)
		case KeyLSN:
			if v > maxLSN {
				return 0, badMsgpack("packet header", nil)
			}
			r.LSN = v
		case KeyTSN:
			r.TSN, hasTSN = v, true
		case KeyFlags:
			r.Flags = Flags(v)
		case KeyStreamID:
			r.StreamID = v
		case KeySchemaVersion:
			r.SchemaVersion = v
		case KeyTerm:
			r.Term = v
		case KeyFrom:
			r.From = v
		}
	}
	r.finishHeader(hasTSN)
	return n, nil
}

// otherField reads the timestamp, or passes over a value that has no meaning
// in a header. The type of known keys is checked nevertheless.
func (r *Row) otherField(key uint64, b []byte) (n int, ok bool) {
	if key == uint64(KeyTimestamp) {
		if len(b) < 9 || b[0] != 0xcb {
			return 0, false
		}
		r.Timestamp = math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
		return 9, true
	}
	n, err := ScanStrict(b)
	return n, err == nil && (key > 0xff || Key(key).Accepts(b[0]))
}

// finishHeader makes TSN absolute. A row without TSN is a transaction of its
// own; one without an LSN is in none.
func (r *Row) finishHeader(hasTSN bool) {
	switch {
	case r.LSN == 0:
		r.TSN = 0
	case hasTSN:
		r.TSN = r.LSN - r.TSN // wraps around for local rows, as in Tarantool
	default:
		r.TSN = r.LSN
		r.Flags |= FlagCommit
	}
}

// narrow keeps a number that is too large for 32 bits too large, so that it is
// refused as unknown later and not taken for another one.
func narrow(v uint64) uint32 { return uint32(min(v, math.MaxUint32)) }
