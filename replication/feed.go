package replication

import (
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// feed is what relays send: groups, and what goes between them. It is a value under
// the hub's lock.
//
// Invariant: upTo never goes back, and no group beyond it leaves.
type feed struct {
	ring     ring
	upTo     uint64            // groups up to this number may be sent
	raft     raftState         // what we show
	beats    uint64            // heartbeats asked for so far
	beatSync uint64            // VCLOCK_SYNC of heartbeats
	own      xrow.Own          // Tarragon's own spaces, of which no filter decides
	void     []uint64          // LSNs of own PROMOTEs that go out as NOPs; never changed, only replaced
	lazy     uint32            // the leader that we hear; 0: none, or ourselves
	sees     [vclock.Max]sight // what peers show, by their IDs
}

// raftState is our newest RAFT message, encoded.
type raftState struct {
	seq   uint64 // raised by each message; 0: none yet
	term  uint64
	vote  uint32
	frame []byte // never changed in place
	plain []byte // the same for peers of Tarantool's kind, without keys of ours
	local []byte // that as a row of the local group, for old releases
}

// sight is what a peer shows of its election state, over our applier.
type sight struct {
	term   uint64
	leader uint32 // the leader that it is, or hears; 0: none
}

// take takes the effects of a Step. all: everybody has something to send; more: there
// are more groups; turn: who gets rows and acks at once has changed.
func (f *feed) take(e *instance.Effects, want demand) (all, more, turn bool) {
	if e.Group != nil {
		f.ring.add(e.GroupNo, e.Group, want)
	}
	if e.Own != nil {
		f.own = *e.Own
	}
	if e.VoidPromotes != nil {
		f.void = e.VoidPromotes
	}
	turn = e.Lazy != f.lazy
	all = e.Beat || e.Raft != nil || turn
	more = e.Relay > f.upTo
	f.upTo = max(f.upTo, e.Relay)
	f.lazy = e.Lazy
	f.beatSync = e.BeatSync
	if e.Raft != nil {
		f.raft.show(e.Raft)
	}
	if e.Beat {
		f.beats++
	}
	return all, more, turn
}

// show encodes a message for each kind of peer.
func (s *raftState) show(msg *xrow.Raft) {
	row := xrow.Row{Type: xrow.RaftState, Body: msg.AppendBody(nil)}
	*s = raftState{seq: s.seq + 1, term: msg.Term, vote: msg.Vote, frame: row.Append(nil)}
	plain := *msg
	plain.Quorum, plain.Unfit, plain.Move = "", nil, nil
	row.Body = plain.AppendBody(nil)
	s.plain = row.Append(nil)
	row.GroupID = xrow.GroupLocal
	s.local = row.Append(nil)
}

// setSight tells whether that is news.
func (f *feed) setSight(peer uint32, s sight) bool {
	if peer >= vclock.Max || f.sees[peer] == s {
		return false
	}
	f.sees[peer] = s
	return true
}

// hearsOurLeader tells whether a peer shows the leader that we hear.
func (f *feed) hearsOurLeader(peer uint32) bool {
	return f.lazy != 0 && f.sees[peer].leader == f.lazy && f.sees[peer].term == f.raft.term
}
