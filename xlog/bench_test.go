package xlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkAppend appends groups of rows of about 100 bytes, one sync each, on
// the real file system.
func BenchmarkAppend(b *testing.B) {
	for _, mode := range []Mode{Fsync, Write} {
		for _, rows := range []int{1, 512} {
			b.Run(fmt.Sprintf("%s/%d", mode, rows), func(b *testing.B) {
				f := &fixture{t: b, opts: Options{Dir: b.TempDir(), FS: vfs.Default, Mode: mode}}
				f.open()
				origins := make([]uint32, rows)
				for i := range origins {
					origins[i] = 1
				}
				var one [1]*xrow.Group
				b.ReportAllocs()
				b.SetBytes(int64(len(f.group(64, origins...).Rows)))
				f.groups = nil
				f.clock[1] = 0
				for b.Loop() {
					b.StopTimer()
					one[0] = f.group(64, origins...)
					f.groups = f.groups[:0]
					b.StartTimer()
					f.append(one[:]...)
				}
				m := f.s.db.Metrics()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
				b.ReportMetric(float64(m.Compact.Count), "compactions")
			})
		}
	}
}

// BenchmarkJournal is the latency of one small group from Append to written.
func BenchmarkJournal(b *testing.B) {
	f := &fixture{t: b, opts: Options{Dir: b.TempDir(), FS: vfs.Default}}
	f.open()
	written := make(chan uint64, 1)
	j := NewJournal(f.s)
	w := j.Writer(f.sl, func(no uint64) { written <- no }, func(err error) { b.Error(err) })
	defer j.Close()
	no := uint64(0)
	for b.Loop() {
		no++
		w.Append(no, f.group(64, 1), nil)
		f.groups = f.groups[:0]
		<-written
	}
}

// BenchmarkCheckpoint writes and reads a checkpoint of 100,000 tuples of 75 bytes.
func BenchmarkCheckpoint(b *testing.B) {
	f := &fixture{t: b, opts: Options{Dir: b.TempDir(), FS: vfs.Default}}
	f.open()
	tuple := make([]byte, 75)
	const tuples = 100_000
	var id uint64
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			w, err := f.sl.NewCheckpoint()
			for i := range tuples {
				binary.BigEndian.PutUint64(tuple[8:], uint64(i)*0x9e3779b97f4a7c15)
				err = errors.Join(err, w.Add(512, tuple))
			}
			if id, err = w.Finish(State{NextGroup: 1}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*tuples), "ns/tuple")
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			r, err := f.sl.OpenCheckpoint(id)
			for ok := err == nil; ok; {
				_, _, ok, err = r.Next()
			}
			if err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*tuples), "ns/tuple")
	})
}

// BenchmarkOpen opens a log of three million rows, sixteen in a group: of one Core,
// and of three that take turns.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("cores=%d", n), func(b *testing.B) {
			c := newCores(b, n, func(o *Options) {
				*o = Options{Dir: b.TempDir(), FS: vfs.Default, Mode: None}
			})
			origins := make([]uint32, 16)
			for i := range origins {
				origins[i] = 1
			}
			c.s.owners.every = listGroups
			for range 200 {
				var items []item
				for i := range 1000 {
					f := c.of[i%n]
					items = append(items, item{slot: f.sl, no: f.sl.tail + uint64(i/n) + 1, g: f.group(64, origins...)})
					f.groups = nil
				}
				if err := c.s.append(items); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				c.fixture.reopen()
			}
		})
	}
}
