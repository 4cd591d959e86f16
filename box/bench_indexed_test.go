package box

import (
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// indexedTuple has three further fields with an index each.
func indexedTuple(dst []byte, key uint64, rest [3]uint64) []byte {
	dst = append(dst[:0], 0x95)
	dst = msgp.AppendUint64(dst, key)
	dst = msgp.AppendBytes(dst, benchPayload[:])
	for _, v := range rest {
		dst = msgp.AppendUint64(dst, v)
	}
	return dst
}

// BenchmarkReplaceIndexed gives three fields with secondary indexes other values each
// time, in groups that are confirmed together.
func BenchmarkReplaceIndexed(b *testing.B) {
	const keys, group = 100_000, 256
	w := newWorld(b)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}), secondary(1, 2), secondary(2, 3), secondary(3, 4))
	d := xrow.DML{Type: xrow.Replace, SpaceID: 512}
	var tuple []byte
	random := uint64(1)
	next := func() uint64 {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		return random
	}
	replace := func(key uint64) {
		w.seq++
		x := w.b.Begin(w.seq)
		v := next() % keys
		tuple = indexedTuple(tuple, key, [3]uint64{v, v + 1, v + 2})
		d.Tuple = tuple
		if _, err := x.Execute(UserAdmin, &d); err != nil {
			b.Fatal(err)
		}
		x.Prepare()
		if w.seq%group == 0 {
			w.b.Confirm(w.seq)
		}
	}
	for i := range uint64(keys) {
		replace(i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		replace(next() % keys)
	}
}

func secondary(id, field int) []any {
	return []any{id, "i" + string(rune('0'+id)), "tree", map[string]any{"unique": false}, []any{[]any{field, "unsigned"}}}
}
