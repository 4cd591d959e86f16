package xrow

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// Raft is the body of a RAFT row: on the network what an instance shows of
// itself, in the log {term, vote}.
type Raft struct {
	Term         uint64
	Vote         uint32
	State        uint8 // 1 follower, 2 candidate, 3 leader; 0: not given
	LeaderID     uint32
	IsLeaderSeen bool
	VClock       *vclock.VClock // a candidate's, without component 0
	// Quorum is the synchronous quorum that the sender's configuration asks for, a
	// number or a formula; of ours only.
	Quorum string
	// Unfit is why the sender may not lead; empty: it may. nil: it is of an earlier
	// version, which knows no handover, or of Tarantool's kind.
	Unfit *string
	// Move is a leader's word, in a term under Tarantool's rules, on who is to lead next; of
	// ours only, nil: there is none.
	Move *terms.Move
}

// Keys of a RAFT body (Tarantool: IPROTO_RAFT_KEYS).
const (
	raftTerm         Key = 0
	raftVote         Key = 1
	raftState        Key = 2
	raftVClock       Key = 3
	raftLeaderID     Key = 4
	raftIsLeaderSeen Key = 5
	raftQuorum       Key = 0x78 // ours
	raftUnfit        Key = 0x7e // ours
)

// AppendBody encodes the body in Tarantool's order, which is not that of
// the keys. The term is always there, zero values are left out.
func (r *Raft) AppendBody(dst []byte) []byte {
	m := openMap(dst)
	m.uint(raftTerm, r.Term)
	m.uintNonzero(raftVote, uint64(r.Vote))
	m.uintNonzero(raftState, uint64(r.State))
	m.uintNonzero(raftLeaderID, uint64(r.LeaderID))
	if r.IsLeaderSeen {
		m.bool(raftIsLeaderSeen, true)
	}
	if r.VClock != nil {
		m.vclock(raftVClock, r.VClock)
	}
	if r.Quorum != "" {
		m.string(raftQuorum, r.Quorum)
	}
	if r.Unfit != nil {
		m.key(raftUnfit)
		m.dst = msgp.AppendString(m.dst, *r.Unfit)
	}
	if r.Move != nil {
		m.key(KeyMove)
		m.dst = appendMove(m.dst, r.Move)
	}
	return m.dst
}

// DecodeRaft reads the body of a RAFT row. Whether the values make sense is
// for the receiver to say.
func DecodeRaft(body []byte) (r Raft, err error) {
	if body == nil {
		return r, badMsgpack("malformed raft request", nil)
	}
	f := openFields(body)
	for f.next() {
		ok := true
		switch f.key {
		case raftTerm:
			r.Term, ok = u64(f.val)
		case raftVote:
			r.Vote, ok = u32(f.val)
		case raftState:
			var v uint64
			v, ok = u64(f.val)
			r.State = uint8(min(v, 255))
		case raftLeaderID:
			r.LeaderID, ok = u32(f.val)
		case raftIsLeaderSeen:
			r.IsLeaderSeen, _, ok = mp.ReadBool(f.val)
		case raftVClock:
			r.VClock = new(vclock.VClock)
			ok = readVClock(f.val, r.VClock)
		case raftQuorum:
			var text []byte
			text, _, ok = mp.ReadString(f.val)
			r.Quorum = string(text)
		case raftUnfit:
			var text []byte
			text, _, ok = mp.ReadString(f.val)
			unfit := string(text)
			r.Unfit = &unfit
		case KeyMove:
			r.Move, ok = readMove(f.val)
		}
		if !ok {
			return r, badMsgpack("raft body", nil)
		}
	}
	if f.bad {
		return r, badMsgpack("raft body", nil)
	}
	return r, nil
}
