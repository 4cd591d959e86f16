package xrow

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// Synchro is the body of CONFIRM, ROLLBACK, PROMOTE and DEMOTE.
type Synchro struct {
	ReplicaID uint32         // owner whose rows are meant; PROMOTE: owner of the row that it follows
	LSN       uint64         // up to here (ROLLBACK: from here on), as Tarantools understand it
	Term      uint64         // PROMOTE, DEMOTE: their own term
	VClock    *vclock.VClock // JOIN META and snapshots only: confirmed LSN per owner
	PrevTerm  uint64         // ours: term of the PROMOTE that this one follows
	Rules     uint64         // ours: RulesStrong, or 0
	StrongLSN uint64         // ours: LSN by the strong rules; 0: the same as LSN
	Move      *terms.Move    // ours: how the write role moves. CONFIRM: it is a HANDOVER; PROMOTE: how it came
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
	if s.Move != nil {
		m.key(KeyMove)
		m.dst = appendMove(m.dst, s.Move)
	}
	return m.dst
}

// appendMove writes nothing that readMove refuses: who cannot read a PROMOTE cannot go on.
func appendMove(b []byte, m *terms.Move) []byte {
	head := byte(0x94)
	switch {
	case m.Token != 0:
		head = 0x98
	case m.Gap != 0:
		head = 0x96
	}
	b = msgp.AppendUint32(append(b, head, byte(m.Kind)), m.To)
	b = msgp.AppendString(msgp.AppendString(b, terms.ClipMove(m.By)), terms.ClipMove(m.Reason))
	if head != 0x94 {
		b = append(msgp.AppendUint64(b, min(m.Gap, terms.MaxMicros)), bit(m.Loose))
	}
	if m.Token != 0 {
		b = msgp.AppendUint64(msgp.AppendUint64(b, m.Token), min(m.Lease, terms.MaxMicros))
	}
	return b
}

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// readMove reads what appendMove wrote; a later version may add elements.
func readMove(v []byte) (m *terms.Move, ok bool) {
	e, n := elementsOf(v)
	if e == nil || n < 4 {
		return nil, false
	}
	kind, to, by, reason := e.uint(127), e.uint(vclock.Max-1), e.text(), e.text()
	m = &terms.Move{Kind: terms.MoveKind(kind), To: uint32(to), By: by, Reason: reason}
	if n >= 6 {
		m.Gap, m.Loose = e.uint(terms.MaxMicros), e.uint(1) == 1
	}
	if n >= 8 {
		m.Token, m.Lease = e.uint(1<<64-1), e.uint(terms.MaxMicros)
	}
	return m, !e.bad
}

// elements reads the elements of an array one after the other. After the first that is not
// what was asked for all are zero.
type elements struct {
	rest []byte
	bad  bool
}

// elementsOf opens an array; nil: it is none.
func elementsOf(v []byte) (e *elements, n int) {
	n, at, ok := mp.ReadArrayHeader(v)
	if !ok {
		return nil, 0
	}
	return &elements{rest: v[at:]}, n
}

// array opens the next element; nil: it is no array.
func (e *elements) array() (in *elements, n int) {
	size, err := mp.Scan(e.rest)
	if err != nil {
		e.bad = true
		return nil, 0
	}
	in, n = elementsOf(e.rest[:size])
	e.rest = e.rest[size:]
	return in, n
}

// uint reads a number of at most limit.
func (e *elements) uint(limit uint64) uint64 {
	u, n, ok := mp.ReadUint(e.rest)
	if e.bad = e.bad || !ok || u > limit; e.bad {
		return 0
	}
	e.rest = e.rest[n:]
	return u
}

// text reads what a move has for people. What is too long is cut: nothing else depends on it.
func (e *elements) text() string {
	s, n, ok := mp.ReadString(e.rest)
	if e.bad = e.bad || !ok; e.bad {
		return ""
	}
	e.rest = e.rest[n:]
	return terms.ClipMove(string(s))
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
		case KeyMove:
			s.Move, ok = readMove(f.val)
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
