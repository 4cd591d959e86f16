package xrow

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// Ballot is what an instance tells of itself before anybody logged in: the
// answer to VOTE, and the data of the event internal.ballot.
type Ballot struct {
	IsROCfg         bool // read_only is configured
	IsRO            bool // not writable now, whatever the reason
	IsAnon          bool
	IsBooted        bool
	VClock          vclock.VClock
	GCVClock        vclock.VClock // the oldest position that a subscriber can begin at
	CanLead         bool          // election mode candidate or manual
	BootstrapLeader string        // UUID; empty: none chosen yet
	InstanceName    string        // empty: none
	Registered      []string      // UUIDs of all members, the own one too; fewer than 32
	Kind            Kind          // as in a SubscribeRequest
	Replicaset      string        // ours: UUID of the replica set; empty: none, or not told
	Founding        int           // ours: voters that the set needs before it is complete; 0: it is
	SetName         string        // ours: of the replica set; empty: none, or not told
	Leads           BallotLeader  // ours: who leads it; zero: not told
	Group           string        // ours: whose ballot it is; empty: the replica set's
}

// BallotLeader is the leader whose PROMOTE is in effect, for who has not joined yet.
type BallotLeader struct {
	Term       uint64 // in effect, whether its leader is heard or not
	UUID, Name string // empty: none is heard
	Addr       string // for clients; empty: not known
}

// Keys of a ballot (Tarantool: IPROTO_BALLOT_KEYS).
const (
	ballotIsROCfg         Key = 0x01
	ballotVClock          Key = 0x02
	ballotGCVClock        Key = 0x03
	ballotIsRO            Key = 0x04
	ballotIsAnon          Key = 0x05
	ballotIsBooted        Key = 0x06
	ballotCanLead         Key = 0x07
	ballotBootstrapLeader Key = 0x08
	ballotRegistered      Key = 0x09
	ballotInstanceName    Key = 0x0a
)

// AppendBody encodes {BALLOT: {...}}, which is both the body of the answer to
// VOTE and the data of the event. GROUP stands beside BALLOT, where there is one.
func (b *Ballot) AppendBody(dst []byte) []byte {
	leader := b.BootstrapLeader
	if leader == "" {
		leader = NilUUID
	}
	pairs := byte(0x81)
	if b.Group != "" {
		pairs++
	}
	m := openMap(append(dst, pairs, byte(KeyBallot)))
	m.bool(ballotIsROCfg, b.IsROCfg)
	m.bool(ballotIsRO, b.IsRO)
	m.bool(ballotIsAnon, b.IsAnon)
	m.bool(ballotIsBooted, b.IsBooted)
	m.vclock(ballotVClock, &b.VClock)
	m.vclock(ballotGCVClock, &b.GCVClock)
	m.bool(ballotCanLead, b.CanLead)
	m.string(ballotBootstrapLeader, leader)
	m.string(ballotInstanceName, b.InstanceName)
	m.key(ballotRegistered)
	m.dst = msgp.AppendArrayHeader(m.dst, uint32(len(b.Registered)))
	for _, uuid := range b.Registered {
		m.dst = msgp.AppendString(m.dst, uuid)
	}
	m.kind(b.Kind)
	if b.Replicaset != "" {
		m.key(KeySet)
		m.dst = b.appendSet(m.dst)
	}
	if b.Group != "" {
		m.dst = msgp.AppendString(append(m.dst, byte(KeyGroup)), b.Group)
	}
	return m.dst
}

// DecodeBallot reads the answer to VOTE. What it does not tell has its
// default: booted, a Tarantool, all else false or empty.
func DecodeBallot(body []byte) (b Ballot, err error) {
	b.IsBooted, b.Kind = true, Tarantool
	_, err = b.Update(body)
	return b, err
}

// Update reads the data of an event over b: what it does not tell stays as it
// is. An instance that has just started sends an empty map, which says nothing.
func (b *Ballot) Update(data []byte) (empty bool, err error) {
	empty = true
	f := openFields(data)
	for f.next() {
		if f.key == KeyBallot {
			told, ok := b.update(f.val)
			if !ok {
				return true, badMsgpack("packet body", nil)
			}
			empty = empty && !told
		}
		if f.key == KeyGroup {
			var ok bool
			if b.Group, ok = readName(f.val); !ok {
				return true, badMsgpack("packet body", nil)
			}
		}
	}
	if f.bad {
		return true, badMsgpack("packet body", nil)
	}
	return empty, nil
}

// update reads the inner map; told: it has a known key, the name apart.
func (b *Ballot) update(m []byte) (told, ok bool) {
	f := openFields(m)
	for f.next() {
		known, ok := true, false
		switch f.key {
		case ballotIsROCfg:
			b.IsROCfg, _, ok = mp.ReadBool(f.val)
		case ballotIsRO:
			b.IsRO, _, ok = mp.ReadBool(f.val)
		case ballotIsAnon:
			b.IsAnon, _, ok = mp.ReadBool(f.val)
		case ballotIsBooted:
			b.IsBooted, _, ok = mp.ReadBool(f.val)
		case ballotVClock:
			ok = readVClock(f.val, &b.VClock)
		case ballotGCVClock:
			ok = readVClock(f.val, &b.GCVClock)
		case ballotCanLead:
			b.CanLead, _, ok = mp.ReadBool(f.val)
		case ballotBootstrapLeader:
			b.BootstrapLeader, ok = readUUID(f.val)
		case ballotRegistered:
			b.Registered, ok = readUUIDs(f.val)
		case ballotInstanceName:
			known = false
			b.InstanceName, ok = readName(f.val)
		case KeyRules:
			known = false
			b.Kind, ok = readKind(f.val)
		case KeySet:
			known = false
			ok = b.readSet(f.val)
		default:
			known, ok = false, true
		}
		if !ok {
			return told, false
		}
		told = told || known
	}
	return told, !f.bad
}

// appendSet encodes [replica set UUID, voters needed, name, term, leader's UUID, name, address].
func (b *Ballot) appendSet(dst []byte) []byte {
	l := &b.Leads
	told := b.SetName != "" || *l != BallotLeader{}
	elems := byte(0x92)
	if told {
		elems = 0x97
	}
	dst = msgp.AppendInt(msgp.AppendString(append(dst, elems), b.Replicaset), b.Founding)
	if !told {
		return dst
	}
	dst = msgp.AppendUint64(msgp.AppendString(dst, terms.ClipMove(b.SetName)), l.Term)
	for _, text := range [...]string{l.UUID, l.Name, l.Addr} {
		dst = msgp.AppendString(dst, terms.ClipMove(text))
	}
	return dst
}

// readSet reads [replica set UUID, voters needed], and what later versions add: who leads.
// A longer text than that of a move is cut.
func (b *Ballot) readSet(v []byte) (ok bool) {
	elems, n, ok := mp.ReadArrayHeader(v)
	if !ok || elems < 2 {
		return false
	}
	m, err := mp.Scan(v[n:])
	if err != nil {
		return false
	}
	if b.Replicaset, ok = readUUID(v[n : n+m]); !ok {
		return false
	}
	need, used, ok := mp.ReadUint(v[n+m:])
	b.Founding = int(min(need, vclock.Max))
	if !ok || elems < 7 {
		return ok
	}
	e := elements{rest: v[n+m+used:]}
	b.SetName, b.Leads = e.text(), BallotLeader{Term: e.uint(1<<64 - 1), UUID: e.text(), Name: e.text(), Addr: e.text()}
	return !e.bad
}

// readUUIDs reads fewer than 32 UUIDs.
func readUUIDs(v []byte) (uuids []string, ok bool) {
	elems, n, ok := mp.ReadArrayHeader(v)
	if !ok || elems >= vclock.Max {
		return nil, false
	}
	for range elems {
		m, err := mp.Scan(v[n:])
		if err != nil {
			return nil, false
		}
		uuid, ok := readUUID(v[n : n+m])
		if !ok {
			return nil, false
		}
		uuids = append(uuids, uuid)
		n += m
	}
	return uuids, true
}
