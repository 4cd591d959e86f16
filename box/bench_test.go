package box

import (
	"fmt"
	"runtime"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

const benchKeys = 1 << 20

func benchTuple(dst []byte, key uint64) []byte {
	dst = append(dst[:0], 0x92)
	dst = msgp.AppendUint64(dst, key)
	return msgp.AppendBytes(dst, make([]byte, 64))
}

// scatter spreads successive numbers over the keys.
func scatter(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 % benchKeys }

// filled is a box with one space of benchKeys tuples, confirmed.
func filled(b testing.TB, indexes ...[]any) *world {
	w := newWorld(b)
	w.space(512, "t", nil, nil, append([][]any{pkIndex([]any{0, "unsigned"})}, indexes...)...)
	var tuple []byte
	for i := range uint64(benchKeys) {
		w.seq++
		x := w.b.Begin(w.seq)
		tuple = benchTuple(tuple, scatter(i))
		if _, err := x.Execute(UserAdmin, &xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: tuple}); err != nil {
			b.Fatal(err)
		}
		x.Prepare()
		w.b.Confirm(w.seq)
	}
	return w
}

func BenchmarkReplace(b *testing.B) {
	w := filled(b)
	tuple := benchTuple(nil, 1<<19)
	d := xrow.DML{Type: xrow.Replace, SpaceID: 512}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w.seq++
		x := w.b.Begin(w.seq)
		tuple = append(tuple[:0], 0x92)
		tuple = msgp.AppendUint64(tuple, scatter(uint64(i)))
		tuple = msgp.AppendBytes(tuple, benchPayload[:])
		d.Tuple = tuple
		if _, err := x.Execute(UserAdmin, &d); err != nil {
			b.Fatal(err)
		}
		if len(x.Rows()) != 1 {
			b.Fatal("rows")
		}
		x.Prepare()
		w.b.Confirm(w.seq)
	}
}

var benchPayload [64]byte

func BenchmarkUpdate(b *testing.B) {
	w := filled(b)
	d := xrow.DML{Type: xrow.Update, SpaceID: 512, Tuple: arr([]any{"=", 1, "hello, world"})}
	b.ReportAllocs()
	b.ResetTimer()
	var key []byte
	for i := range b.N {
		w.seq++
		x := w.b.Begin(w.seq)
		key = msgp.AppendUint64(append(key[:0], 0x91), scatter(uint64(i)))
		d.Key = key
		if _, err := x.Execute(UserAdmin, &d); err != nil {
			b.Fatal(err)
		}
		x.Prepare()
		w.b.Confirm(w.seq)
	}
}

func BenchmarkSelect(b *testing.B) {
	w := filled(b)
	var key, out []byte
	q := Query{}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		key = msgp.AppendUint64(append(key[:0], 0x91), scatter(uint64(i)))
		q = Query{Space: 512, Key: key, Limit: 1}
		var n int
		var err error
		if out, n, err = w.b.Select(UserAdmin, &q, out[:0]); err != nil || n != 1 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkMemory reports the bytes that a tuple of 75 bytes costs.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		w := filled(b)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchKeys, "B/tuple")
		b.ReportMetric(float64(len(benchTuple(nil, 1<<19))), "B/raw")
		runtime.KeepAlive(w)
	}
}

func TestBenchTuple(t *testing.T) {
	if got := fmt.Sprint(len(benchTuple(nil, 1<<19))); got != "72" {
		t.Errorf("the benchmarks store %s bytes", got)
	}
}
