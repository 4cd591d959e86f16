package server

import (
	"encoding/binary"
	"testing"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

const (
	selectKeys     = 1 << 19
	selectInFlight = 512
)

// BenchmarkSelect asks one node for single tuples of half a million, 512 at a time on
// one connection: the next ones when all have come.
func BenchmarkSelect(b *testing.B) {
	s := newSet(b, 1, "wal: {mode: write}\n")
	s.startAll()
	s.makeSpace()
	c, err := iproto.Dial(b.Context(), s.nodes[0].addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("admin1", "a"); err != nil {
		b.Fatal(err)
	}
	var buf []byte
	ask := func(t xrow.Type, n int, body func(i int) []byte) {
		buf = buf[:0]
		for i := range n {
			buf = (&xrow.Row{Type: t, Sync: uint64(i), Body: body(i)}).Append(buf)
		}
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
		for range n {
			if _, err := c.ReadFrame(); err != nil {
				b.Fatal(err)
			}
		}
	}
	put := append([]byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x92, 0xce, 0, 0, 0, 0, 0xd9, 64}, make([]byte, 64)...)
	for k := 0; k < selectKeys; k += selectInFlight {
		ask(xrow.Replace, selectInFlight, func(i int) []byte {
			binary.BigEndian.PutUint32(put[8:], uint32(k+i))
			return put
		})
	}
	get := []byte{0x84, 0x10, 0xcd, 2, 0, 0x11, 0, 0x12, 1, 0x20, 0x91, 0xce, 0, 0, 0, 0}
	key := uint32(1)
	b.ResetTimer()
	for left := b.N; left > 0; left -= selectInFlight {
		ask(xrow.Select, min(left, selectInFlight), func(int) []byte {
			key = key*1664525 + 1013904223
			binary.BigEndian.PutUint32(get[12:], key%selectKeys)
			return get
		})
	}
}
