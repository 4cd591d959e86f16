package xrow

import (
	"encoding/binary"
	"fmt"
	"math"

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
	TSN           uint64  // LSN of the first row of the transaction, decoded; equal to LSN for a single row
	Flags         Flags   // FlagCommit is set on every last row in memory; the wire leaves it out for single rows
	StreamID      uint64
	SchemaVersion uint64
	Term          uint64 // ours: term of the leader that wrote the row; 0: none
	Body          []byte // raw map; nil: no body. Points into the input of Decode
}

// FrameHead is the length of the prefix of every frame: 0xce and a u32.
const FrameHead = 5

// Append encodes the row as a frame. Keys come in the original's order; ours
// follows them.
func (r *Row) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0xce, 0, 0, 0, 0)
	dst = r.AppendHeader(dst)
	dst = append(dst, r.Body...)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-FrameHead))
	return dst
}

// AppendHeader encodes the header map alone.
func (r *Row) AppendHeader(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0x80)
	put := func(k Key, v uint64) {
		dst = append(dst, byte(k))
		dst = msgp.AppendUint64(dst, v)
		dst[at]++
	}
	put(KeyType, uint64(r.Type))
	if r.Sync != 0 {
		put(KeySync, r.Sync)
	}
	if r.ReplicaID != 0 {
		put(KeyReplicaID, uint64(r.ReplicaID))
	}
	if r.GroupID != 0 {
		put(KeyGroupID, uint64(r.GroupID))
	}
	if r.LSN != 0 {
		put(KeyLSN, r.LSN)
	}
	if r.Timestamp != 0 {
		dst = append(dst, byte(KeyTimestamp))
		dst = msgp.AppendFloat64(dst, r.Timestamp)
		dst[at]++
	}
	flags := r.Flags
	if r.LSN != 0 {
		if single := r.TSN == r.LSN && flags&FlagCommit != 0; single {
			flags &^= FlagCommit
		} else {
			put(KeyTSN, r.LSN-r.TSN)
		}
	}
	if r.StreamID != 0 {
		put(KeyStreamID, r.StreamID)
	}
	if flags != 0 {
		put(KeyFlags, uint64(flags))
	}
	if r.SchemaVersion != 0 {
		put(KeySchemaVersion, r.SchemaVersion)
	}
	if r.Term != 0 {
		put(KeyTerm, r.Term)
	}
	return dst
}

// Decode reads a row from the payload of one frame (without the length). The
// whole payload must be a header map and at most one map more; the error is an
// INVALID_MSGPACK [Error].
func Decode(b []byte) (r Row, err error) {
	n, err := Scan(b)
	if err != nil {
		return r, badMsgpack("packet header", err)
	}
	if err := r.decodeHeader(b[:n]); err != nil {
		return r, err
	}
	if n == len(b) {
		return r, nil
	}
	m, err := Scan(b[n:])
	if err != nil || n+m != len(b) || !isMap(b[n]) {
		return r, badMsgpack("packet body", err)
	}
	r.Body = b[n:]
	return r, nil
}

// decodeHeader reads the header map; b was scanned.
func (r *Row) decodeHeader(b []byte) error {
	pairs, n, ok := ReadMapHeader(b)
	if !ok {
		return badMsgpack("packet header", nil)
	}
	hasTSN := false
	for range pairs {
		key, size, ok := ReadUint(b[n:])
		if !ok || key > math.MaxUint8 {
			if n, ok = skipPair(b, n); !ok {
				return badMsgpack("packet header", nil)
			}
			continue
		}
		n += size
		if Key(key) == KeyTimestamp {
			if b[n] != 0xcb {
				return badMsgpack("packet header", nil)
			}
			r.Timestamp = math.Float64frombits(binary.BigEndian.Uint64(b[n+1:]))
			n += 9
			continue
		}
		field := r.headerField(Key(key), &hasTSN)
		if field == nil {
			m, err := Scan(b[n:])
			if err != nil {
				return badMsgpack("packet header", err)
			}
			n += m
			continue
		}
		v, size, ok := ReadUint(b[n:])
		if !ok {
			return badMsgpack("packet header", nil)
		}
		field(v)
		n += size
	}
	return r.finishHeader(hasTSN)
}

// headerField tells where the unsigned value of a header key goes; nil: unknown key.
func (r *Row) headerField(key Key, hasTSN *bool) func(uint64) {
	switch key {
	case KeyType:
		return func(v uint64) { r.Type = Type(v) }
	case KeySync:
		return func(v uint64) { r.Sync = v }
	case KeyReplicaID:
		return func(v uint64) { r.ReplicaID = uint32(v) }
	case KeyGroupID:
		return func(v uint64) { r.GroupID = uint32(v) }
	case KeyLSN:
		return func(v uint64) { r.LSN = v }
	case KeyTSN:
		return func(v uint64) { r.TSN, *hasTSN = v, true }
	case KeyFlags:
		return func(v uint64) { r.Flags = Flags(v) }
	case KeyStreamID:
		return func(v uint64) { r.StreamID = v }
	case KeySchemaVersion:
		return func(v uint64) { r.SchemaVersion = v }
	case KeyTerm:
		return func(v uint64) { r.Term = v }
	}
	return nil
}

func (r *Row) finishHeader(hasTSN bool) error {
	if r.LSN == 0 {
		return nil
	}
	if hasTSN {
		r.TSN = r.LSN - r.TSN // wraps around for local rows, as in the original
	} else {
		r.TSN = r.LSN
		r.Flags |= FlagCommit
	}
	return nil
}

func skipPair(b []byte, n int) (int, bool) {
	for range 2 {
		m, err := Scan(b[n:])
		if err != nil {
			return n, false
		}
		n += m
	}
	return n, true
}

// IsDML tells whether the type changes tuples (NOP is none).
func (t Type) IsDML() bool {
	return t >= Insert && t <= Delete || t == Upsert
}

// IsSynchro tells whether the row acts on the limbo.
func (t Type) IsSynchro() bool {
	return t == Confirm || t == Rollback || t == Promote || t == Demote
}

func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	if t&ErrorFlag != 0 {
		return fmt.Sprintf("ERROR(%d)", uint32(t&^ErrorFlag))
	}
	return fmt.Sprintf("TYPE(%d)", uint32(t))
}

var typeNames = map[Type]string{
	OK: "OK", Select: "SELECT", Insert: "INSERT", Replace: "REPLACE", Update: "UPDATE", Delete: "DELETE",
	Call16: "CALL_16", Auth: "AUTH", Eval: "EVAL", Upsert: "UPSERT", Call: "CALL", Execute: "EXECUTE", Nop: "NOP",
	Prepare: "PREPARE", Begin: "BEGIN", Commit: "COMMIT", RollbackTxn: "ROLLBACK", InsertArrow: "INSERT_ARROW",
	RaftState: "RAFT", Promote: "PROMOTE", Demote: "DEMOTE", Confirm: "CONFIRM", Rollback: "SYNC_ROLLBACK",
	Ping: "PING", Join: "JOIN", Subscribe: "SUBSCRIBE", VoteOld: "VOTE_DEPRECATED", Vote: "VOTE",
	FetchSnap: "FETCH_SNAPSHOT", Register: "REGISTER", JoinMeta: "JOIN_META", JoinSnapshot: "JOIN_SNAPSHOT",
	ID: "ID", Watch: "WATCH", Unwatch: "UNWATCH", Event: "EVENT", WatchOnce: "WATCH_ONCE", Chunk: "CHUNK",
}
