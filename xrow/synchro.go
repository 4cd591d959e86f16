package xrow

import "tarragon.dev/tarragon/vclock"

// Synchro is the body of CONFIRM, ROLLBACK, PROMOTE and DEMOTE.
type Synchro struct {
	ReplicaID uint32         // owner whose rows are meant; PROMOTE: owner of the row that it follows
	LSN       uint64         // up to here (ROLLBACK: from here on), as Tarantools understand it
	Term      uint64         // PROMOTE, DEMOTE: their own term
	VClock    *vclock.VClock // JOIN META and snapshots only: confirmed LSN per owner
	PrevTerm  uint64         // ours: term of the PROMOTE that this one follows
	Rules     uint64         // ours: RulesStrong, or 0
	StrongLSN uint64         // ours: LSN by the strong rules; 0: the same as LSN
}

// RulesStrong is what a PROMOTE says that begins a term under the strong rules.
const RulesStrong = 1

// Strong is the LSN by the strong rules: of a PROMOTE the row that it follows, of
// a CONFIRM the last row of its term that is committed.
func (s *Synchro) Strong() uint64 {
	if s.StrongLSN != 0 {
		return s.StrongLSN
	}
	return s.LSN
}

// AppendBody encodes the body. Owner and LSN are always there, all else is
// left out when zero.
func (s *Synchro) AppendBody(dst []byte) []byte {
	m := openMap(dst)
	m.uint(KeyReplicaID, uint64(s.ReplicaID))
	m.uint(KeyLSN, s.LSN)
	m.uintNonzero(KeyTerm, s.Term)
	if s.VClock != nil {
		m.vclock(KeyVClock, s.VClock)
	}
	m.uintNonzero(KeyPrevTerm, s.PrevTerm)
	m.uintNonzero(KeyRules, s.Rules)
	m.uintNonzero(KeyStrongLSN, s.StrongLSN)
	return m.dst
}

// DecodeSynchro reads the body of a row that acts on the limbo.
func DecodeSynchro(body []byte) (s Synchro, err error) {
	f := openFields(body)
	for f.next() {
		if !f.key.Accepts(f.val[0]) {
			return s, badMsgpack("request body", nil)
		}
		ok := true
		switch f.key {
		case KeyReplicaID:
			s.ReplicaID, _ = u32(f.val)
		case KeyLSN:
			s.LSN, ok = readLSN(f.val)
		case KeyTerm:
			s.Term, _ = u64(f.val)
		case KeyVClock:
			s.VClock = new(vclock.VClock)
			ok = readVClock(f.val, s.VClock)
		case KeyPrevTerm:
			s.PrevTerm, _ = u64(f.val)
		case KeyRules:
			s.Rules, _ = u64(f.val)
		case KeyStrongLSN:
			s.StrongLSN, ok = readLSN(f.val)
		}
		if !ok {
			return s, badMsgpack("request body", nil)
		}
	}
	if f.bad {
		return s, badMsgpack("request body", nil)
	}
	return s, nil
}
