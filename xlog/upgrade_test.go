package xlog

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// recorded is a store that a release with format 1 wrote, and what it has.
type recorded struct {
	file   string
	first  uint64
	groups func(f *fixture) // makes the groups that were written
	ckpts  []recordedCheckpoint
	lost   []string
	uuid   string
	bad    bool // it may have lost rows
}

type recordedCheckpoint struct {
	id     uint64
	tuples int // in each of two spaces
	state  func(f *fixture) State
}

// recordings: a process that was killed with all there can be in its store; one
// whose log lost its beginning, with a checkpoint ahead of it, in mode none; a
// first start that found nobody.
var recordings = []recorded{
	{
		file: "format1-killed.tar.gz", first: 1, uuid: "u2",
		groups: func(f *fixture) {
			f.make(150, 300)
			f.group(40, 1)
			f.make(150, 300)
			f.make(3, 300)
			f.group(40, 1)
		},
		ckpts: []recordedCheckpoint{
			{2, 20, func(f *fixture) State { return State{VClock: f.groups[300].After, Term: 4, NextGroup: 302} }},
			{1, 50, func(f *fixture) State {
				return State{VClock: f.groups[149].After, Term: 3, Vote: 2, Confirmed: 100, NextGroup: 151, ConfirmedOf: vclock.VClock{1: 100},
					History:      []terms.Span{{Term: 2, Owner: 1, First: 1, Last: 50, Writer: 1, Rules: terms.Strong}, {Term: 3, Owner: 1, First: 51, Last: 100, Writer: 1, Rules: terms.Tarantool}},
					VoidPromotes: []uint64{7}, Undecided: f.groups[149]}
			}},
		},
		lost: []string{"1 2:9 three", "2 3:5 one", "2 3:6 two", "3 3:8 four"},
	},
	{
		file: "format1-pruned.tar.gz", first: 146, uuid: "u3", bad: true,
		groups: func(f *fixture) {
			f.make(200, 1000)
			f.clock[9] += 10
			f.make(70, 10)
		},
		ckpts: []recordedCheckpoint{{2, 10, func(f *fixture) State { return State{VClock: f.groups[200].Before, Term: 2, NextGroup: 201} }}},
	},
	{file: "format1-new.tar.gz", first: 1, uuid: "u4", groups: func(*fixture) {}},
}

// make is fill without a store.
func (f *fixture) make(n, size int) {
	for range n {
		f.group(size, 1, 1+uint32(len(f.groups))%3)
	}
}

// unpack puts the recorded store on a file system in memory.
func (r *recorded) unpack(t testing.TB) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	packed, err := os.ReadFile("testdata/" + r.file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Clean(h.Name)
		if h.Typeflag == tar.TypeDir {
			err = errors.Join(fs.MkdirAll(name, 0o700), syncDir(fs, path.Dir(name)))
		} else {
			content, readErr := io.ReadAll(files)
			rewrite(t, fs, name, content)
			err = readErr
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syncDir(fs, "store"), syncDir(fs, "/")); err != nil {
		t.Fatal(err)
	}
	return fs
}

// check opens the store and compares it with what was recorded.
func (r *recorded) check(t testing.TB, fs *vfs.MemFS) {
	t.Helper()
	f := &fixture{t: t, fs: fs, opts: Options{Dir: "store", FS: fs, BootID: "first"}}
	r.groups(f)
	f.open()
	defer func() { _ = f.s.Close() }()
	if f.sl.First() != r.first || f.sl.Last() != uint64(len(f.groups)) || f.sl.VClock() != f.clock {
		t.Fatalf("groups %d to %d, vclock %s", f.sl.First(), f.sl.Last(), f.sl.VClock())
	}
	if len(f.groups) > 0 {
		f.check(r.first)
		for _, at := range []uint64{r.first, r.first + 40, uint64(len(f.groups))} {
			checkSeek(t, f, &f.groups[at-1].Before)
		}
	}
	all := f.sl.Checkpoints()
	if len(all) != len(r.ckpts) {
		t.Fatalf("%d checkpoints", len(all))
	}
	for i, want := range r.ckpts {
		if state := want.state(f); all[i].ID != want.id || !reflect.DeepEqual(all[i].State, state) {
			t.Fatalf("checkpoint %d: %+v\nwant %+v", all[i].ID, all[i].State, state)
		}
		f.checkCheckpoint(want.id, want.tuples)
	}
	if got := f.lost(); !slices.Equal(got, r.lost) {
		t.Fatalf("voided rows: %q", got)
	}
	uuid, _, err := f.sl.Meta("instance_uuid")
	incarnation, _, err2 := f.sl.Meta("incarnation")
	if err := errors.Join(err, err2); err != nil || string(uuid) != r.uuid || len(incarnation) != 8 {
		t.Fatalf("%q, %q: %v", uuid, incarnation, err)
	}
	if f.sl.MayHaveLost() != r.bad {
		t.Fatalf("may have lost rows: %v", f.sl.MayHaveLost())
	}
	it, err := f.s.newIter(nil, oldEnd())
	if err != nil {
		t.Fatal(err)
	}
	if it.First() {
		t.Fatalf("a key of format 1 is left: %x", it.Key())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	f.append(f.group(10, 1))
	f.sl.where.drop(0)
	f.reopen()
	f.check(r.first)
}

// verified reads the store with the tools for files.
func (r *recorded) verified(t testing.TB, fs *vfs.MemFS, format uint64) {
	t.Helper()
	f := &fixture{t: t}
	r.groups(f)
	rows := 0
	for _, g := range f.groups[r.first-1:] {
		rows += len(g.Table)
	}
	report, err := Verify(fs, "store")
	if err != nil || !report.OK() || report.Format != format || len(report.Cores) != 1 {
		t.Fatalf("%v: %v", report, err)
	}
	c := &report.Cores[0]
	if c.Rows != uint64(rows) || c.Lost != uint64(len(r.lost)) || len(c.Checkpoints) != len(r.ckpts) {
		t.Errorf("%d rows of %d: %v", c.Rows, rows, report)
	}
	for _, cat := range []func(vfs.FS, string, Filter, func(Entry) error) error{Cat, CatLost} {
		n := 0
		if err := cat(fs, "store", Filter{}, func(e Entry) error {
			if n++; e.Former || e.Core != 0 {
				t.Fatal(e)
			}
			return nil
		}); err != nil || n != rows {
			t.Errorf("%d rows of %d: %v", n, rows, err)
		}
		rows = len(r.lost)
		if rows > 0 {
			break // the frames of these are no frames
		}
	}
}

func isOlder(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, ErrOlder) || !strings.HasSuffix(err.Error(), "tarragon xlog upgrade store") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("Open of format 1: %v", err)
	}
}

// TestUpgrade brings recorded stores to the present format.
func TestUpgrade(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.file, func(t *testing.T) {
			fs := r.unpack(t)
			_, err := Open(Options{Dir: "store", FS: fs})
			isOlder(t, err)
			r.verified(t, fs, 1)
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
			for range 2 { // the second time there is nothing to do
				report, err := Upgrade(fs, "store")
				if err != nil || report.Checkpoints != len(r.ckpts) {
					t.Fatalf("%+v: %v", report, err)
				}
				r.verified(t, fs, 2)
			}
			r.check(t, fs)
		})
	}
}

// afterwards: the store is of format 1, or whole, and the upgrade can be run again.
func (r *recorded) afterwards(t *testing.T, fs *vfs.MemFS) (done bool) {
	t.Helper()
	s, err := Open(Options{Dir: "store", FS: fs, BootID: "first"})
	if done = err == nil; done {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	} else {
		isOlder(t, err)
	}
	if _, err := Upgrade(fs, "store"); err != nil {
		t.Fatal(err)
	}
	r.check(t, fs)
	return done
}

// TestUpgradeDies goes on from a crash before each operation of an upgrade that
// changes something.
func TestUpgradeDies(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.file, func(t *testing.T) {
			seen := map[bool]int{} // stores that were found of the old format and of the new one
			for n := 1; ; n += crashStep {
				fs := &crashFS{MemFS: r.unpack(t)}
				var mu sync.Mutex // Pebble has goroutines of its own
				var left *vfs.MemFS
				ops := 0
				_, err := Upgrade(withFaults(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && op.Kind != errorfs.OpLock {
						mu.Lock()
						defer mu.Unlock()
						if ops++; ops == n {
							left = fs.clone()
						}
					}
					return nil
				})), "store")
				if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				crashed := left
				mu.Unlock()
				if crashed == nil {
					break
				}
				seen[r.afterwards(t, crashed)]++
			}
			if seen[false] == 0 || seen[true] == 0 {
				t.Errorf("the change of the card is at one end of all crashes: %v", seen)
			}
		})
	}
}

// TestUpgradeFails fails every third operation of an upgrade, for a moment or for good.
func TestUpgradeFails(t *testing.T) {
	r := &recordings[0]
	run := func(t *testing.T, inj *nthFault) {
		t.Helper()
		fs := r.unpack(t)
		_, err := Upgrade(withFaults(fs, inj), "store")
		if err != nil && !errors.Is(err, inj.err) {
			t.Errorf("it does not say why: %v", err)
		}
		if writes := inj.kind.ReadOrWrite() == errorfs.OpIsWrite && inj.kind != errorfs.OpLock; err != nil && writes && inj.err == syscall.ENOSPC && !strings.Contains(err.Error(), "room") {
			t.Errorf("nothing of room on the disk: %v", err)
		}
		r.afterwards(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	}
	count := &nthFault{}
	run(t, count)
	for kind, name := range faultKinds {
		for n := int64(1); n <= count.counts[kind].Load(); n += 3 * *faultStep {
			cause, always := []error{syscall.ENOSPC, syscall.EIO}[n%2], n%4 < 2
			t.Run(fmt.Sprintf("%s/%d/%v/%v", name, n, cause, always), func(t *testing.T) {
				t.Parallel() // they wait for Pebble to give up
				run(t, &nthFault{kind: kind, n: n, err: cause, always: always})
			})
		}
	}
}

// TestUpgradeWantsRoom: where there is none it says how much it takes, and has
// written nothing of the new format.
func TestUpgradeWantsRoom(t *testing.T) {
	r := &recordings[0]
	fs := r.unpack(t)
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100 << 10, TotalBytes: 1 << 20, UsedBytes: 1<<20 - 100<<10})
	_, err := Upgrade(fs, "store")
	if err == nil || !strings.Contains(err.Error(), "it takes 1 MiB more on the disk, 0 MiB are free") {
		t.Fatal(err)
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 10 << 20, TotalBytes: 20 << 20, UsedBytes: 10 << 20})
	if r.afterwards(t, fs) {
		t.Error("it was upgraded")
	}
}

// TestUpgradeOfDamage leaves a damaged store as it is, and repair brings what is
// whole to the present format.
func TestUpgradeOfDamage(t *testing.T) {
	fs := recordings[0].unpack(t)
	f := &fixture{t: t, fs: fs, opts: Options{Dir: "store", FS: fs}}
	recordings[0].groups(f)
	raw, err := openRaw(fs, "store")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := raw.newTables()
	if err != nil {
		t.Fatal(err)
	}
	damaged := false
	for _, table := range tables {
		if pos, ok := parseLogKey(presentKey(table.first)); ok && pos > 100 && !damaged {
			path := fs.PathJoin("store", table.name)
			b := f.read(path)
			b[len(b)/3] ^= 1
			rewrite(t, fs, path, b)
			damaged = true
		}
	}
	if _, err := Upgrade(fs, "store"); !damaged || !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%v: %v", damaged, err)
	}
	_, err = Open(f.opts)
	isOlder(t, err)
	report, err := Repair(fs, "store")
	if err != nil || !report.Done || report.Before.Format != 1 {
		t.Fatalf("%+v: %v", report, err)
	}
	f.open()
	if f.sl.Last() != uint64(len(f.groups)) || len(f.sl.Checkpoints()) == 0 || !f.sl.MayHaveLost() || len(f.lost()) < 2 {
		t.Errorf("%s, %q", f.sl.content(), f.lost())
	}
	f.check(f.sl.First())
}

// TestUpgradeBeginsAnew: what a broken attempt has written is of what the store was
// then; the old release may have changed it since.
func TestUpgradeBeginsAnew(t *testing.T) {
	r := &recordings[0]
	fs := r.unpack(t)
	db, err := pebble.Open("store", &pebble.Options{FS: fs, FormatMajorVersion: pebbleFormat, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{logKey(400), lostKey(upgradedSlot, 1, 1, 1), metaKey(upgradedSlot, "lost_data"), endKey(upgradedSlot, 9)} {
		err = errors.Join(err, db.Set(key, []byte("left"), pebble.Sync))
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	r.verified(t, fs, 1)
	if _, err := Upgrade(fs, "store"); err != nil {
		t.Fatal(err)
	}
	r.check(t, fs)
	s, err := Open(Options{Dir: "store", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, ok, err := s.Core(0).Meta("lost_data"); ok || err != nil {
		t.Errorf("a value that was left counts: %v", err)
	}
}
