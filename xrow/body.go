package xrow

import (
	"fmt"

	"tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// DML is the body of INSERT, REPLACE, UPDATE, DELETE and UPSERT. The raw
// values point into the input of DecodeDML.
type DML struct {
	Type      Type
	SpaceID   uint32
	IndexID   uint32
	IndexBase uint32
	Key       []byte // raw array; nil: absent
	Tuple     []byte // raw array: the tuple, or the operations of UPDATE
	Ops       []byte // raw array: the operations of UPSERT
}

// AppendBody encodes the body as the original writes it to its log: UPSERT has
// OPS before TUPLE, index 0 and base 0 are left out.
func (d *DML) AppendBody(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0x80)
	dst[at]++
	dst = append(dst, byte(KeySpaceID))
	dst = msgp.AppendUint32(dst, d.SpaceID)
	if d.IndexID != 0 {
		dst[at]++
		dst = append(dst, byte(KeyIndexID))
		dst = msgp.AppendUint32(dst, d.IndexID)
	}
	if d.IndexBase != 0 {
		dst[at]++
		dst = append(dst, byte(KeyIndexBase))
		dst = msgp.AppendUint32(dst, d.IndexBase)
	}
	if d.Key != nil {
		dst[at]++
		dst = append(append(dst, byte(KeyKey)), d.Key...)
	}
	if d.Ops != nil {
		dst[at]++
		dst = append(append(dst, byte(KeyOps)), d.Ops...)
	}
	if d.Tuple != nil {
		dst[at]++
		dst = append(append(dst, byte(KeyTuple)), d.Tuple...)
	}
	return dst
}

// DecodeDML reads a body that Scan went over. Mandatory keys are checked; the
// error is an [Error]: INVALID_MSGPACK or MISSING_REQUEST_FIELD.
func DecodeDML(t Type, body []byte) (d DML, err error) {
	d.Type = t
	hasSpace := false
	err = eachKey(body, func(k Key, v []byte) error {
		var ok = true
		switch k {
		case KeySpaceID:
			d.SpaceID, ok = u32(v)
			hasSpace = true
		case KeyIndexID:
			d.IndexID, ok = u32(v)
		case KeyIndexBase:
			d.IndexBase, ok = u32(v)
		case KeyKey:
			d.Key, ok = v, isArray(v[0])
		case KeyTuple:
			d.Tuple, ok = v, isArray(v[0])
		case KeyOps:
			d.Ops, ok = v, isArray(v[0])
		}
		if !ok {
			return badMsgpack("packet body", nil)
		}
		return nil
	})
	switch {
	case err != nil:
		return d, err
	case !hasSpace:
		return d, missing("SPACE_ID")
	case d.Key == nil && (t == Update || t == Delete):
		return d, missing("KEY")
	case d.Tuple == nil && t != Delete:
		return d, missing("TUPLE")
	case d.Ops == nil && t == Upsert:
		return d, missing("OPS")
	}
	return d, nil
}

// Synchro is the body of CONFIRM, ROLLBACK, PROMOTE and DEMOTE.
type Synchro struct {
	ReplicaID uint32         // owner whose rows are meant; PROMOTE: owner of the row that it follows
	LSN       uint64         // up to here (ROLLBACK: from here on); PROMOTE: the row that it follows
	Term      uint64         // PROMOTE, DEMOTE: their own term
	VClock    *vclock.VClock // JOIN META and snapshots only: confirmed LSN per owner
	PrevTerm  uint64         // ours: term of the PROMOTE that this one follows
	Rules     uint64         // ours: 1 = strong rules
}

// AppendBody encodes the body of a row of the given type.
func (s *Synchro) AppendBody(dst []byte, t Type) []byte {
	at := len(dst)
	dst = append(dst, 0x82, byte(KeyReplicaID))
	dst = msgp.AppendUint32(dst, s.ReplicaID)
	dst = append(dst, byte(KeyLSN))
	dst = msgp.AppendUint64(dst, s.LSN)
	if t == Promote || t == Demote {
		dst[at]++
		dst = append(dst, byte(KeyTerm))
		dst = msgp.AppendUint64(dst, s.Term)
	}
	if s.VClock != nil {
		dst[at]++
		dst = append(dst, byte(KeyVClock))
		dst = AppendVClock(dst, s.VClock)
	}
	if s.PrevTerm != 0 {
		dst[at]++
		dst = append(dst, byte(KeyPrevTerm))
		dst = msgp.AppendUint64(dst, s.PrevTerm)
	}
	if s.Rules != 0 {
		dst[at]++
		dst = append(dst, byte(KeyRules))
		dst = msgp.AppendUint64(dst, s.Rules)
	}
	return dst
}

// DecodeSynchro reads the body of a row that acts on the limbo.
func DecodeSynchro(body []byte) (s Synchro, err error) {
	err = eachKey(body, func(k Key, v []byte) error {
		var ok = true
		switch k {
		case KeyReplicaID:
			s.ReplicaID, ok = u32(v)
		case KeyLSN:
			s.LSN, ok = u64(v)
		case KeyTerm:
			s.Term, ok = u64(v)
		case KeyPrevTerm:
			s.PrevTerm, ok = u64(v)
		case KeyRules:
			s.Rules, ok = u64(v)
		case KeyVClock:
			vc, err := DecodeVClock(v)
			if err != nil {
				return err
			}
			s.VClock = &vc
		}
		if !ok {
			return badMsgpack("synchronous request", nil)
		}
		return nil
	})
	return s, err
}

// Raft is the body of a RAFT row: on the network what an instance shows of
// itself, in the log {term, vote}.
type Raft struct {
	Term         uint64
	Vote         uint32
	State        uint8 // 1 follower, 2 candidate, 3 leader; 0: not given
	LeaderID     uint32
	IsLeaderSeen bool
	VClock       *vclock.VClock // a candidate's, without component 0
}

// AppendBody encodes the body, keys in the original's order 0, 1, 2, 4, 5, 3
// as captured, zero values left out.
func (r *Raft) AppendBody(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0x81, 0)
	dst = msgp.AppendUint64(dst, r.Term)
	if r.Vote != 0 {
		dst[at]++
		dst = msgp.AppendUint32(append(dst, 1), r.Vote)
	}
	if r.State != 0 {
		dst[at]++
		dst = append(dst, 2, r.State)
	}
	if r.LeaderID != 0 {
		dst[at]++
		dst = msgp.AppendUint32(append(dst, 4), r.LeaderID)
	}
	if r.IsLeaderSeen {
		dst[at]++
		dst = append(dst, 5, 0xc3)
	}
	if r.VClock != nil {
		dst[at]++
		dst = AppendVClock(append(dst, 3), r.VClock)
	}
	return dst
}

// DecodeRaft reads the body of a RAFT row. Whether the values make sense is
// for the receiver to say (raft.md section 1).
func DecodeRaft(body []byte) (r Raft, err error) {
	err = eachKey(body, func(k Key, v []byte) error {
		var ok = true
		var n uint64
		switch k {
		case 0:
			r.Term, ok = u64(v)
		case 1:
			r.Vote, ok = u32(v)
		case 2:
			n, ok = u64(v)
			ok = ok && n <= 255
			r.State = uint8(n)
		case 3:
			vc, err := DecodeVClock(v)
			if err != nil {
				return err
			}
			r.VClock = &vc
		case 4:
			r.LeaderID, ok = u32(v)
		case 5:
			r.IsLeaderSeen, _, ok = ReadBool(v)
		}
		if !ok {
			return badMsgpack("raft request", nil)
		}
		return nil
	})
	return r, err
}

// AppendVClock encodes the set components but 0, in ascending order.
func AppendVClock(dst []byte, v *vclock.VClock) []byte {
	g := v.Global()
	dst = msgp.AppendMapHeader(dst, uint32(g.Len()))
	for id, lsn := range g {
		if lsn != 0 {
			dst = append(dst, byte(id))
			dst = msgp.AppendUint64(dst, lsn)
		}
	}
	return dst
}

// DecodeVClock reads a scanned vclock map. Component 0 and zero LSNs are left
// out; an ID of 32 or more, or one that comes twice without growing, is an error.
func DecodeVClock(b []byte) (v vclock.VClock, err error) {
	pairs, n, ok := ReadMapHeader(b)
	for range pairs {
		var id, lsn uint64
		var m int
		if id, m, ok = ReadUint(b[n:]); !ok {
			break
		}
		n += m
		if lsn, m, ok = ReadUint(b[n:]); !ok {
			break
		}
		n += m
		if id == 0 || lsn == 0 {
			continue
		}
		if ok = id < vclock.Max && lsn > v[id] && lsn < 1<<63; !ok {
			break
		}
		v[id] = lsn
	}
	if !ok {
		return v, badMsgpack("vclock", nil)
	}
	return v, nil
}

// eachKey goes over the pairs of a scanned body map. Keys that are no unsigned
// integers, or larger than a key can be, are passed over with their values.
func eachKey(body []byte, f func(k Key, v []byte) error) error {
	pairs, n, ok := ReadMapHeader(body)
	if !ok {
		return badMsgpack("packet body", nil)
	}
	for range pairs {
		key, size, ok := ReadUint(body[n:])
		if !ok || key > 0xff {
			if n, ok = skipPair(body, n); !ok {
				return badMsgpack("packet body", nil)
			}
			continue
		}
		n += size
		m, err := Scan(body[n:])
		if err != nil {
			return badMsgpack("packet body", err)
		}
		if err := f(Key(key), body[n:n+m]); err != nil {
			return err
		}
		n += m
	}
	return nil
}

func u64(v []byte) (uint64, bool) {
	n, _, ok := ReadUint(v)
	return n, ok
}

// u32 cuts to 32 bits silently, as the original does.
func u32(v []byte) (uint32, bool) {
	n, _, ok := ReadUint(v)
	return uint32(n), ok
}

func badMsgpack(what string, cause error) error {
	return &Error{Code: ErrInvalidMsgpack, Message: "Invalid MsgPack - " + what, Err: cause}
}

func missing(field string) error {
	return &Error{Code: ErrMissingRequestField, Message: fmt.Sprintf("Missing mandatory field '%s' in request", field)}
}
