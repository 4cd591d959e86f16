package xrow

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// AppendHeartbeatBody encodes {VCLOCK_SYNC: sync}, what a relay tells its
// applier; sync 0: no body.
func AppendHeartbeatBody(dst []byte, sync uint64) []byte {
	if sync == 0 {
		return dst
	}
	return msgp.AppendUint64(append(dst, 0x81, byte(KeyVClockSync)), sync)
}

// DecodeHeartbeat reads the VCLOCK_SYNC of a heartbeat; 0: not told, as by
// peers before 2.11.
func DecodeHeartbeat(body []byte) (sync uint64, err error) {
	if body == nil {
		return 0, nil
	}
	f := openFields(body)
	for f.next() {
		if f.key != KeyVClockSync {
			continue
		}
		var ok bool
		if sync, ok = u64(f.val); !ok {
			return 0, badMsgpack("invalid vclock sync", nil)
		}
	}
	if f.bad {
		return 0, badMsgpack("request body", nil)
	}
	return sync, nil
}

// Ack is an applier's word to its relay.
type Ack struct {
	VClock vclock.VClock // as it is on disk
	Term   uint64        // persisted; 0: not told, as by peers before 2.11
	Sync   uint64        // VCLOCK_SYNC of the last heartbeat; 0: none came
	Memory MemoryUse     // of an anonymous replica; zero: not told
}

// MemoryUse is what tuples and indexes take, in bytes, and may take: memtx.memory.
type MemoryUse struct{ Taken, Limit uint64 }

// readMemory reads [taken, limit]. More elements may follow.
func readMemory(v []byte) (m MemoryUse, ok bool) {
	n, at, ok := mp.ReadArrayHeader(v)
	if !ok || n < 2 {
		return m, false
	}
	var used int
	if m.Taken, used, ok = mp.ReadUint(v[at:]); !ok {
		return m, false
	}
	m.Limit, _, ok = mp.ReadUint(v[at+used:])
	return m, ok
}

// AppendBody encodes the body; zero Term and Sync are left out.
func (a *Ack) AppendBody(dst []byte) []byte {
	m := openMap(dst)
	m.vclock(KeyVClock, &a.VClock)
	m.uintNonzero(KeyTerm, a.Term)
	m.uintNonzero(KeyVClockSync, a.Sync)
	if a.Memory != (MemoryUse{}) {
		m.key(KeyMemory)
		m.dst = msgp.AppendUint64(msgp.AppendUint64(append(m.dst, 0x92), a.Memory.Taken), a.Memory.Limit)
	}
	return m.dst
}

// Decode reads the body of an ack over a. It allocates nothing unless it fails.
func (a *Ack) Decode(body []byte) error {
	*a = Ack{}
	f := openFields(body)
	for f.next() {
		var ok bool
		switch f.key {
		case KeyVClock:
			if !readVClock(f.val, &a.VClock) {
				return badMsgpack("invalid vclock", nil)
			}
		case KeyTerm:
			if a.Term, ok = u64(f.val); !ok {
				return badMsgpack("invalid term", nil)
			}
		case KeyVClockSync:
			if a.Sync, ok = u64(f.val); !ok {
				return badMsgpack("invalid vclock sync", nil)
			}
		case KeyMemory:
			if a.Memory, ok = readMemory(f.val); !ok {
				return badMsgpack("invalid memory", nil)
			}
		}
	}
	if f.bad {
		return badMsgpack("request body", nil)
	}
	return nil
}
