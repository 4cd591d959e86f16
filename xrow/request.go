package xrow

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// JoinRequest is the body of JOIN and, but for the name, of FETCH_SNAPSHOT.
type JoinRequest struct {
	InstanceUUID  string // empty: absent or nil
	InstanceName  string // empty: none
	ServerVersion uint32 // major<<16 | minor<<8 | patch; 0: not told, then no META stage
	Incarnation   uint64 // ours: of the joiner's store; 0: an instance of Tarantool's kind
	Checkpoint    bool   // FETCH_SNAPSHOT: out of a checkpoint file
	Group         string // ours: whose state; empty: the replica set's
	Feature       uint32 // ours: the newest feature level that the joiner reads; 0: not told
	Share         *Share // ours: what a filtered replica takes, by the name of its filter alone; nil: all
	Copy          *Copy  // ours: a base copy of some spaces is asked for, and not a state; nil: a state
	File          bool   // ours: a command will bring the base copy: the answer has no tuples
}

// AppendBody encodes the body; empty fields are left out.
func (j *JoinRequest) AppendBody(dst []byte) []byte {
	m := openMap(dst)
	m.string(KeyInstanceUUID, j.InstanceUUID)
	m.string(KeyInstanceName, j.InstanceName)
	m.uintNonzero(KeyServerVersion, uint64(j.ServerVersion))
	m.uintNonzero(KeyIncarnation, j.Incarnation)
	if j.Checkpoint {
		m.bool(KeyIsCheckpoint, true)
	}
	m.string(KeyGroup, j.Group)
	m.uintNonzero(KeyFeature, uint64(j.Feature))
	m.share(j.Share)
	m.copy(j.Copy)
	if j.File {
		m.key(KeyFile)
		m.dst = append(m.dst, 0x90)
	}
	return m.dst
}

// DecodeJoin reads the body of JOIN or FETCH_SNAPSHOT.
func DecodeJoin(body []byte) (j JoinRequest, err error) {
	d, err := decodeRequest(body, useInstance|useVersion|useIncarnation|useGroup|useFeature|useShare|useCopy)
	return JoinRequest{d.InstanceUUID, d.InstanceName, d.ServerVersion, d.Incarnation, d.checkpoint, d.Group, d.Feature, d.Share, d.copy, d.file}, err
}

// RegisterRequest is the body of REGISTER.
type RegisterRequest struct {
	InstanceUUID string // empty: absent or nil
	InstanceName string // empty: none
	VClock       vclock.VClock
	Incarnation  uint64 // ours: as in a JoinRequest
	Group        string // ours: as in a JoinRequest
	Feature      uint32 // ours: as in a JoinRequest
}

// AppendBody encodes the body; an empty name is left out.
func (r *RegisterRequest) AppendBody(dst []byte) []byte {
	m := openMap(dst)
	m.string(KeyInstanceUUID, r.InstanceUUID)
	m.string(KeyInstanceName, r.InstanceName)
	m.vclock(KeyVClock, &r.VClock)
	m.uintNonzero(KeyIncarnation, r.Incarnation)
	m.string(KeyGroup, r.Group)
	m.uintNonzero(KeyFeature, uint64(r.Feature))
	return m.dst
}

// DecodeRegister reads the body of REGISTER.
func DecodeRegister(body []byte) (r RegisterRequest, err error) {
	d, err := decodeRequest(body, useInstance|useVClock|useIncarnation|useGroup|useFeature)
	return RegisterRequest{d.InstanceUUID, d.InstanceName, d.VClock, d.Incarnation, d.Group, d.Feature}, err
}

// SubscribeRequest is the body of SUBSCRIBE.
type SubscribeRequest struct {
	ReplicasetUUID string // empty: absent or nil
	ReplicasetName string // empty: none
	InstanceUUID   string // empty: absent or nil
	InstanceName   string // empty: none
	VClock         vclock.VClock
	ServerVersion  uint32 // major<<16 | minor<<8 | patch
	Anon           bool
	IDFilter       uint32      // bit i: rows of origin i must not be sent
	Kind           Kind        // ours say so; who says nothing is a Tarantool
	Incarnation    uint64      // ours: as in a JoinRequest
	Process        uint64      // ours: drawn by each process; 0: not told
	Group          string      // ours: as in a JoinRequest
	Feature        uint32      // ours: as in a JoinRequest
	Share          *Share      // ours: what the stream is to have, see Share; nil: all
	Procedures     []Procedure // ours: that the one that asks has; nil: not told
}

// AppendBody encodes the body; empty names and zero values of ours are left out.
func (s *SubscribeRequest) AppendBody(dst []byte) []byte {
	m := openMap(dst)
	m.string(KeyReplicasetUUID, s.ReplicasetUUID)
	m.string(KeyReplicasetName, s.ReplicasetName)
	m.string(KeyInstanceUUID, s.InstanceUUID)
	m.string(KeyInstanceName, s.InstanceName)
	m.vclock(KeyVClock, &s.VClock)
	m.uint(KeyServerVersion, uint64(s.ServerVersion))
	m.bool(KeyReplicaAnon, s.Anon)
	m.idSet(KeyIDFilter, s.IDFilter)
	m.kind(s.Kind)
	m.uintNonzero(KeyIncarnation, s.Incarnation)
	m.uintNonzero(KeyProcess, s.Process)
	m.string(KeyGroup, s.Group)
	m.uintNonzero(KeyFeature, uint64(s.Feature))
	m.share(s.Share)
	m.procedures(s.Procedures)
	return m.dst
}

// DecodeSubscribe reads the body of SUBSCRIBE.
func DecodeSubscribe(body []byte) (s SubscribeRequest, err error) {
	d, err := decodeRequest(body, useReplicaset|useInstance|useVClock|useVersion|useAnon|useRules|useIncarnation|useProcess|useGroup|useFeature|useShare|useProcedures)
	return d.SubscribeRequest, err
}

// SubscribeOK is the body of the answer to SUBSCRIBE.
type SubscribeOK struct {
	ReplicasetUUID string // empty: absent or nil
	ReplicasetName string // empty: none
	VClock         vclock.VClock
	Kind           Kind        // as in a SubscribeRequest
	Shown          Shown       // ours: what the one that asked has shown to us before
	Process        uint64      // ours: as in a SubscribeRequest
	Group          string      // ours: that of the SubscribeRequest
	Feature        uint32      // ours: the newest feature level that the one that answers reads; 0: not told
	Procedures     []Procedure // ours: as in a SubscribeRequest
}

// Shown is what a life of an instance has shown to a peer.
type Shown struct {
	Incarnation uint64 // of that life; 0: nothing is told
	Term        uint64
	Vote        uint32        // in that term
	VClock      vclock.VClock // greatest one that was acked
}

// AppendBody encodes the body; an empty name and zero values of ours are left out.
func (s *SubscribeOK) AppendBody(dst []byte) []byte {
	m := openMap(dst)
	m.string(KeyReplicasetUUID, s.ReplicasetUUID)
	m.string(KeyReplicasetName, s.ReplicasetName)
	m.vclock(KeyVClock, &s.VClock)
	m.kind(s.Kind)
	if s.Shown.Incarnation != 0 {
		m.shown(&s.Shown)
	}
	m.uintNonzero(KeyProcess, s.Process)
	m.string(KeyGroup, s.Group)
	m.uintNonzero(KeyFeature, uint64(s.Feature))
	m.procedures(s.Procedures)
	return m.dst
}

// shown appends [incarnation, term, vote, vclock].
func (m *mapWriter) shown(s *Shown) {
	m.key(KeyShown)
	m.dst = append(m.dst, 0x94)
	m.dst = msgp.AppendUint64(m.dst, s.Incarnation)
	m.dst = msgp.AppendUint64(m.dst, s.Term)
	m.dst = msgp.AppendUint64(m.dst, uint64(s.Vote))
	m.dst = AppendVClock(m.dst, &s.VClock)
}

// readShown reads it.
func readShown(v []byte, s *Shown) (ok bool) {
	n, at, ok := mp.ReadArrayHeader(v)
	if !ok || n != 4 {
		return false
	}
	var vote uint64
	for _, to := range []*uint64{&s.Incarnation, &s.Term, &vote} {
		x, used, ok := mp.ReadUint(v[at:])
		if !ok {
			return false
		}
		*to = x
		at += used
	}
	if vote >= vclock.Max {
		return false
	}
	s.Vote = uint32(vote)
	return readVClock(v[at:], &s.VClock)
}

// DecodeSubscribeOK reads the body of the answer to SUBSCRIBE.
func DecodeSubscribeOK(body []byte) (s SubscribeOK, err error) {
	d, err := decodeRequest(body, useReplicaset|useVClock|useRules|useShown|useProcess|useGroup|useFeature|useProcedures)
	return SubscribeOK{d.ReplicasetUUID, d.ReplicasetName, d.VClock, d.Kind, d.shown, d.Process, d.Group, d.Feature, d.Procedures}, err
}

// AppendVClockBody encodes {VCLOCK: v}, the OK rows of JOIN, REGISTER and
// FETCH_SNAPSHOT.
func AppendVClockBody(dst []byte, v *vclock.VClock) []byte {
	return AppendVClock(append(dst, 0x81, byte(KeyVClock)), v)
}

// AppendGroupVClockBody is AppendVClockBody for the Core of a group, {VCLOCK: v, GROUP: name};
// an empty one is the replica set's.
func AppendGroupVClockBody(dst []byte, v *vclock.VClock, group string) []byte {
	m := openMap(dst)
	m.vclock(KeyVClock, v)
	m.string(KeyGroup, group)
	return m.dst
}

// DecodeVClockBody reads the body of such an OK row; component 0 is dropped.
func DecodeVClockBody(body []byte) (v vclock.VClock, group string, err error) {
	d, err := decodeRequest(body, useVClock|useGroup)
	return d.VClock, d.Group, err
}

// AppendGroup encodes {GROUP: name}, the body of a VOTE; without a group it has none.
func AppendGroup(dst []byte, group string) []byte {
	if group == "" {
		return dst
	}
	m := openMap(dst)
	m.string(KeyGroup, group)
	return m.dst
}

// DecodeGroup reads of any replication request whose Core is meant; empty: the replica
// set's.
func DecodeGroup(body []byte) (group string, err error) {
	if body == nil {
		return "", nil
	}
	d, err := decodeRequest(body, useGroup)
	return d.Group, err
}

// use says which keys a request has.
type use uint16

const (
	useReplicaset use = 1 << iota // UUID and name
	useInstance                   // UUID and name
	useVClock
	useVersion
	useAnon // and the filter
	useRules
	useIncarnation // and out of a checkpoint
	useShown
	useProcess
	useGroup
	useFeature
	useShare
	useCopy
	useProcedures
)

// usedBy tells what has the key; 0: no request.
func usedBy(k Key) use {
	switch k {
	case KeyReplicasetUUID, KeyReplicasetName:
		return useReplicaset
	case KeyInstanceUUID, KeyInstanceName:
		return useInstance
	case KeyVClock:
		return useVClock
	case KeyServerVersion:
		return useVersion
	case KeyReplicaAnon, KeyIDFilter:
		return useAnon
	case KeyRules:
		return useRules
	case KeyIncarnation, KeyIsCheckpoint:
		return useIncarnation
	case KeyShown:
		return useShown
	case KeyProcess:
		return useProcess
	case KeyGroup:
		return useGroup
	case KeyFeature:
		return useFeature
	case KeyShare:
		return useShare
	case KeyCopy, KeyFile:
		return useCopy
	case KeyProcedures:
		return useProcedures
	}
	return 0
}

// request is the union of all replication requests; SUBSCRIBE has nearly all.
type request struct {
	SubscribeRequest
	checkpoint bool
	copy       *Copy
	file       bool
	shown      Shown
}

// decodeRequest reads the keys in use. A key that the request does not use is
// passed over whatever its value is, as in Tarantool, and the texts of
// errors are Tarantool's.
func decodeRequest(body []byte, in use) (d request, err error) {
	if in&useRules != 0 {
		d.Kind = Tarantool
	}
	f := openFields(body)
	for f.next() {
		if in&usedBy(f.key) == 0 {
			continue
		}
		var ok bool
		var what string
		switch f.key {
		case KeyReplicasetUUID:
			what = "replicaset UUID"
			d.ReplicasetUUID, ok = readUUID(f.val)
		case KeyReplicasetName:
			what = "invalid REPLICASET_NAME"
			d.ReplicasetName, ok = readName(f.val)
		case KeyInstanceUUID:
			what = "instance UUID"
			d.InstanceUUID, ok = readUUID(f.val)
		case KeyInstanceName:
			what = "invalid INSTANCE_NAME"
			d.InstanceName, ok = readName(f.val)
		case KeyVClock:
			what = "invalid VCLOCK"
			ok = readVClock(f.val, &d.VClock)
		case KeyServerVersion:
			what = "invalid VERSION"
			d.ServerVersion, ok = u32(f.val)
		case KeyReplicaAnon:
			what = "invalid REPLICA_ANON flag"
			d.Anon, _, ok = mp.ReadBool(f.val)
		case KeyIDFilter:
			what = "invalid ID_FILTER"
			d.IDFilter, ok = readIDSet(f.val)
		case KeyRules:
			what = "invalid RULES"
			d.Kind, ok = readKind(f.val)
		case KeyIncarnation:
			what = "invalid INCARNATION"
			d.Incarnation, ok = u64(f.val)
		case KeyProcess:
			what = "invalid PROCESS"
			d.Process, ok = u64(f.val)
		case KeyFeature:
			what = "invalid FEATURE"
			d.Feature, ok = u32(f.val)
		case KeyCopy:
			what = "invalid COPY"
			d.copy, ok = readCopy(f.val)
		case KeyFile:
			what = "invalid FILE"
			_, _, ok = mp.ReadArrayHeader(f.val)
			d.file = true
		case KeyShare:
			what = "invalid SHARE"
			d.Share, ok = ReadShare(f.val)
		case KeyProcedures:
			what = "invalid PROCEDURES"
			d.Procedures, ok = readProcedures(f.val)
		case KeyGroup:
			what = "invalid GROUP"
			d.Group, ok = readName(f.val)
		case KeyShown:
			what = "invalid SHOWN"
			ok = readShown(f.val, &d.shown)
		case KeyIsCheckpoint:
			what = "invalid IS_CHECKPOINT_JOIN flag"
			d.checkpoint, _, ok = mp.ReadBool(f.val)
		}
		if !ok {
			return d, badMsgpack(what, nil)
		}
	}
	if f.bad {
		return d, badMsgpack("request body", nil)
	}
	return d, nil
}

// readIDSet reads an array of instance IDs as a bit mask.
func readIDSet(v []byte) (set uint32, ok bool) {
	elems, n, ok := mp.ReadArrayHeader(v)
	for range elems {
		id, m, ok := mp.ReadUint(v[n:])
		if !ok || id >= vclock.Max {
			return 0, false
		}
		set |= 1 << id
		n += m
	}
	return set, ok
}
