package xrow

import (
	"math/bits"

	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// mapWriter appends a map of at most 15 pairs, counting them in its first byte.
type mapWriter struct {
	dst []byte
	at  int
}

func openMap(dst []byte) mapWriter { return mapWriter{append(dst, 0x80), len(dst)} }

func (m *mapWriter) key(k Key) {
	m.dst[m.at]++
	if k > 0x7f {
		m.dst = append(m.dst, 0xcc)
	}
	m.dst = append(m.dst, byte(k))
}

func (m *mapWriter) uint(k Key, v uint64) {
	m.key(k)
	m.dst = msgp.AppendUint64(m.dst, v)
}

func (m *mapWriter) uintNonzero(k Key, v uint64) {
	if v != 0 {
		m.uint(k, v)
	}
}

func (m *mapWriter) bool(k Key, v bool) {
	m.key(k)
	m.dst = msgp.AppendBool(m.dst, v)
}

// string writes a string; empty: nothing.
func (m *mapWriter) string(k Key, s string) {
	if s != "" {
		m.key(k)
		m.dst = msgp.AppendString(m.dst, s)
	}
}

func (m *mapWriter) vclock(k Key, v *vclock.VClock) {
	m.key(k)
	m.dst = AppendVClock(m.dst, v)
}

func (m *mapWriter) raw(k Key, v []byte) {
	m.key(k)
	m.dst = append(m.dst, v...)
}

// idSet writes the IDs of a bit mask in ascending order.
func (m *mapWriter) idSet(k Key, set uint32) {
	m.key(k)
	m.dst = msgp.AppendArrayHeader(m.dst, uint32(bits.OnesCount32(set)))
	for ; set != 0; set &= set - 1 {
		m.dst = append(m.dst, byte(bits.TrailingZeros32(set)))
	}
}
