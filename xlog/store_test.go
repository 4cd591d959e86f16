package xlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fixture is a store on a file system in memory, and the groups that went in.
type fixture struct {
	t      testing.TB
	fs     *vfs.MemFS
	opts   Options
	s      *Store
	sl     *Slot // of Core 0
	clock  vclock.VClock
	groups []*xrow.Group // groups[i] has number i+1
}

func newFixture(t testing.TB, change ...func(*Options)) *fixture {
	f := &fixture{t: t, fs: vfs.NewCrashableMem()}
	f.opts = Options{Dir: "store", FS: f.fs, BootID: "first", MemTableSize: 256 << 10, Log: func(e Event) {
		t.Logf("%s %v", e.Text, e.Err)
	}}
	for _, c := range change {
		c(&f.opts)
	}
	f.open()
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	s, err := Open(f.opts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.s, f.sl = s, s.Core(0)
	f.t.Cleanup(func() { _ = s.Close() })
}

func (f *fixture) reopen() {
	f.t.Helper()
	if err := f.s.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.open()
}

// crash goes on with what a crash of the machine leaves.
func (f *fixture) crash() {
	f.t.Helper()
	f.fs = f.fs.CrashClone(vfs.CrashCloneCfg{})
	f.opts.FS = f.fs
	f.open()
}

// group makes the next group: one row of each origin, with a body of size bytes.
func (f *fixture) group(size int, origins ...uint32) *xrow.Group {
	g := &xrow.Group{Before: f.clock, After: f.clock}
	for i, origin := range origins {
		f.clock[origin]++
		lsn := f.clock[origin]
		d := xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: append([]byte{0x91, 0xc5, byte(size >> 8), byte(size)},
			bytes.Repeat([]byte{byte(lsn)}, size)...)}
		g.Add(&xrow.Row{Type: xrow.Replace, ReplicaID: origin, LSN: lsn, TSN: lsn, Flags: xrow.FlagCommit,
			Timestamp: 1.5, Term: 3, Body: d.AppendBody(nil)}, 512, i == 0, 0)
	}
	f.groups = append(f.groups, g)
	return g
}

func (f *fixture) append(groups ...*xrow.Group) {
	f.t.Helper()
	if err := f.sl.Append(groups); err != nil {
		f.t.Fatal(err)
	}
}

// fill appends n groups of two rows.
func (f *fixture) fill(n, size int) {
	f.t.Helper()
	for range n {
		f.append(f.group(size, 1, 1+uint32(len(f.groups))%3))
	}
}

// check reads the log from group from on and compares.
func (f *fixture) check(from uint64) {
	f.t.Helper()
	r := f.sl.Read(from)
	defer r.Close()
	for want := from; ; want++ {
		no, g, err := r.Next()
		if err == io.EOF {
			if want != uint64(len(f.groups))+1 {
				f.t.Fatalf("the log ends before group %d of %d", want, len(f.groups))
			}
			return
		}
		if err != nil {
			f.t.Fatal(err)
		}
		if no != want {
			f.t.Fatalf("group %d came for %d", no, want)
		}
		sameGroup(f.t, g, f.groups[no-1])
	}
}

func sameGroup(t testing.TB, got, want *xrow.Group) {
	t.Helper()
	if !bytes.Equal(got.Rows, want.Rows) || fmt.Sprint(got.Table) != fmt.Sprint(want.Table) {
		t.Fatalf("group is %+v\nwant %+v", got, want)
	}
	if got.Before != want.Before || got.After != want.After {
		t.Fatalf("group goes from %s to %s, want %s to %s", got.Before, got.After, want.Before, want.After)
	}
}

func TestGroupsComeBack(t *testing.T) {
	f := newFixture(t)
	f.fill(5, 10)
	f.append(f.group(1, 2), f.group(70000&0xffff, 3, 3, 3), f.group(0, 0))
	f.check(1)
	f.reopen()
	f.check(1)
	f.fill(200, 100)
	f.check(150)
	f.reopen()
	for _, from := range []uint64{1, 2, 63, 64, 65, 128, 200, 208, 209} {
		f.check(from)
	}
	if f.sl.First() != 1 || f.sl.Last() != 208 || f.sl.VClock() != f.clock {
		t.Fatalf("%d to %d, %s", f.sl.First(), f.sl.Last(), f.sl.VClock())
	}
}

func TestCrashLosesOnlyWhatWasNotSynced(t *testing.T) {
	f := newFixture(t)
	for range 4 {
		f.fill(30, 3000)
		f.crash()
		f.check(1)
	}
}

func TestMeta(t *testing.T) {
	f := newFixture(t)
	if _, ok, err := f.sl.Meta("uuid"); ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, value := range []string{"one", "", "three"} {
		if err := f.sl.SetMeta("uuid", []byte(value)); err != nil {
			t.Fatal(err)
		}
		f.crash()
		got, ok, err := f.sl.Meta("uuid")
		if err != nil || !ok || string(got) != value {
			t.Fatalf("%q %v %v", got, ok, err)
		}
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	f := newFixture(t)
	if _, err := Open(f.opts); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	f.fill(1, 1)
	f.check(1)
}

func TestNumbersMustFollow(t *testing.T) {
	f := newFixture(t)
	g := f.group(1, 1)
	if err := f.sl.appendAt(7, []*xrow.Group{g}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.sl.appendAt(9, []*xrow.Group{g}, nil); err == nil {
		t.Fatal("a hole was made")
	}
	if f.sl.First() != 7 || f.sl.Last() != 7 {
		t.Fatal(f.sl.First(), f.sl.Last())
	}
}

// TestRealFileSystem: journal files are allocated ahead, used again, and read
// back, on the file system of the machine.
func TestRealFileSystem(t *testing.T) {
	f := &fixture{t: t, opts: Options{Dir: t.TempDir() + "/a/store", MemTableSize: 256 << 10}}
	f.open()
	for range 3 {
		f.fill(100, 5000)
		if _, err := Open(f.opts); !errors.Is(err, ErrLocked) {
			t.Fatal(err)
		}
		f.check(1)
		f.checkpoint(100, State{VClock: f.clock, NextGroup: f.sl.Last() + 1})
		f.reopen()
		f.check(1)
		f.checkCheckpoint(f.sl.Checkpoints()[0].ID, 100)
	}
	if err := f.sl.Prune(200); err != nil || f.sl.First() < 2 {
		t.Fatal(f.sl.First(), err)
	}
	f.reopen()
	f.check(f.sl.First())
	if r, err := Verify(nil, f.opts.Dir); err != nil || !r.OK() || !r.InUse {
		t.Fatal(r, err)
	}
}
