package xrow

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// AppendVClock encodes the set components but 0, in ascending order.
func AppendVClock(dst []byte, v *vclock.VClock) []byte {
	set := v.Len()
	if v[0] != 0 {
		set--
	}
	dst = msgp.AppendMapHeader(dst, uint32(set))
	for id := 1; id < vclock.Max; id++ {
		if v[id] != 0 {
			dst = append(dst, byte(id))
			dst = msgp.AppendUint64(dst, v[id])
		}
	}
	return dst
}

// DecodeVClock reads a scanned vclock map. Component 0 and zero LSNs are left
// out; an ID of 32 or more, or one that comes twice without growing, is an error.
func DecodeVClock(b []byte) (v vclock.VClock, err error) {
	if !readVClock(b, &v) {
		return v, badMsgpack("invalid vclock", nil)
	}
	return v, nil
}

// readVClock reads a vclock map into a zero v.
func readVClock(b []byte, v *vclock.VClock) bool {
	*v = vclock.VClock{}
	pairs, n, ok := mp.ReadMapHeader(b)
	if !ok {
		return false
	}
	for range pairs {
		id, m, ok := mp.ReadUint(b[n:])
		if !ok || id >= vclock.Max {
			return false
		}
		n += m
		lsn, m, ok := mp.ReadUint(b[n:])
		if !ok || lsn > maxLSN {
			return false
		}
		n += m
		if id == 0 || lsn == 0 {
			continue
		}
		if lsn <= v[id] {
			return false
		}
		v[id] = lsn
	}
	return true
}

// maxLSN is the greatest LSN: Tarantool keeps them in a signed integer.
const maxLSN = 1<<63 - 1

func readLSN(v []byte) (uint64, bool) {
	lsn, ok := u64(v)
	return lsn, ok && lsn <= maxLSN
}
