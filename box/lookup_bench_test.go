package box

import (
	"fmt"
	"testing"

	"tarragon.dev/tarragon/internal/offheap"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

func filledTo(b testing.TB, keys uint64) *Box {
	w := newWorldIn(b, offheap.New())
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	var tuple []byte
	for i := range keys {
		w.seq++
		x := w.b.Begin(w.seq)
		tuple = benchTuple(tuple, i*2654435761%keys)
		if _, err := x.Execute(UserAdmin, &xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: tuple}); err != nil {
			b.Fatal(err)
		}
		x.Prepare()
		w.b.Confirm(w.seq)
	}
	return w.b
}

func BenchmarkLookups(b *testing.B) {
	for _, keys := range []uint64{1 << 20, 6 << 20} {
		bx := filledTo(b, keys)
		var keysAt [64][]byte
		var qs [64]Lookup
		out := make([]byte, 64<<10)
		pos := uint64(0)
		next := func() uint64 { pos = pos*6364136223846793005 + 1442695040888963407; return (pos >> 20) % keys }
		b.Run(fmt.Sprintf("one/%d", keys), func(b *testing.B) {
			for b.Loop() {
				keysAt[0] = msgp.AppendUint64(append(keysAt[0][:0], 0x91), next())
				q := Query{Space: 512, Key: keysAt[0], Limit: 1}
				if _, n, err := bx.Select(UserAdmin, &q, out[:0]); err != nil || n != 1 {
					b.Fatal(n, err)
				}
			}
		})
		b.Run(fmt.Sprintf("many/%d", keys), func(b *testing.B) {
			for i := 0; i < b.N; i += 64 {
				for k := range qs {
					keysAt[k] = msgp.AppendUint64(append(keysAt[k][:0], 0x91), next())
					qs[k] = Lookup{Space: 512, Key: keysAt[k], Limit: 1, User: UserAdmin}
				}
				bx.Lookups(qs[:], out)
				for k := range qs {
					if qs[k].N != 1 {
						b.Fatal(k)
					}
				}
			}
		})
	}
}

// BenchmarkRange selects 100 tuples that lie next to each other in the index alone.
func BenchmarkRange(b *testing.B) {
	const keys = 1 << 20
	bx := filledTo(b, keys)
	out := make([]byte, 0, 64<<10)
	var key []byte
	pos := uint64(0)
	for name, iterator := range map[string]uint32{"up": GE, "down": LE} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				pos = pos*6364136223846793005 + 1442695040888963407
				key = msgp.AppendUint64(append(key[:0], 0x91), (pos>>20)%(keys-200)+100)
				q := Query{Space: 512, Iterator: iterator, Key: key, Limit: 100}
				if _, n, err := bx.Select(UserAdmin, &q, out); err != nil || n != 100 {
					b.Fatal(n, err)
				}
			}
		})
	}
}
