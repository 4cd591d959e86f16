package xlog

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// newestJournal is the journal file that appends go to.
func (f *fixture) newestJournal() string {
	f.t.Helper()
	files, err := journalFiles(f.fs, f.opts.Dir)
	if err != nil || len(files) == 0 {
		f.t.Fatal(files, err)
	}
	return f.fs.PathJoin(f.opts.Dir, files[len(files)-1].name)
}

func (f *fixture) read(path string) []byte {
	f.t.Helper()
	b, err := readFile(f.fs, path)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// rewrite replaces a file, durably.
func rewrite(t testing.TB, fs vfs.FS, path string, b []byte) {
	t.Helper()
	file, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = file.Write(bytes.Clone(b))
		err = errors.Join(err, file.Sync(), file.Close(), syncDir(fs, fs.PathDir(path)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// records are the offsets of the records of a journal file and of its end.
func (f *fixture) records(path string) (offsets []int64) {
	f.t.Helper()
	files, _ := journalFiles(f.fs, f.opts.Dir)
	end, err := readJournal(f.fs, f.opts.Dir, files[len(files)-1], func(_ []byte, offset int64) error {
		offsets = append(offsets, offset)
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return append(offsets, end)
}

// TestTornTail cuts the journal, and also fills the rest with zeros or with
// noise, at every byte of the last group: all groups before it stay.
func TestTornTail(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	f.fill(9, 40)
	f.append(f.group(40000, 1)) // one record in several chunks
	f.fill(1, 20)
	path, whole := f.newestJournal(), f.read(f.newestJournal())
	at := f.records(path)
	last := at[len(at)-2]
	for cut := last; cut < int64(len(whole)); cut++ {
		for _, tail := range []byte{0, 1, 2} {
			fs := f.fs.CrashClone(vfs.CrashCloneCfg{})
			b := bytes.Clone(whole[:cut])
			if tail > 0 {
				b = append(b, bytes.Repeat([]byte{tail - 1 + (tail-1)*0x6b}, 70000)...)
			}
			rewrite(t, fs, path, b)
			g := &fixture{t: t, fs: fs, opts: f.opts, groups: f.groups[:10]}
			g.opts.FS = fs
			g.open()
			g.check(1)
			if err := g.s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDamageBeforeTheTail flips each byte of a group that is not the last one.
// Pebble alone takes this for a torn tail: all is in one block.
func TestDamageBeforeTheTail(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	f.fill(6, 40)
	path, whole := f.newestJournal(), f.read(f.newestJournal())
	at := f.records(path)
	if at[len(at)-1] > walBlock {
		t.Fatal("the story wants one block")
	}
	for i := at[3]; i < at[5]; i++ {
		fs := f.fs.CrashClone(vfs.CrashCloneCfg{})
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		rewrite(t, fs, path, b)
		o := f.opts
		o.FS = fs
		s, err := Open(o)
		if err == nil {
			t.Fatalf("byte %d: the store opened with %d groups of %d", i, s.Core(0).Last(), len(f.groups))
		}
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "offset") || !strings.Contains(err.Error(), path) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

// onJournal fails operations on journal files while on is set.
func onJournal(on *atomic.Bool, err error, kinds ...errorfs.OpKind) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !on.Load() || !strings.HasSuffix(op.Path, walSuffix) {
			return nil
		}
		for _, k := range kinds {
			if op.Kind == k {
				return err
			}
		}
		return nil
	})
}

// TestFailureLatches: after a failed sync or a full disk nothing is written,
// read or said to be written, even when the disk is well again.
func TestFailureLatches(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		kinds []errorfs.OpKind
	}{
		"sync":      {syscall.EIO, []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData}},
		"disk full": {syscall.ENOSPC, []errorfs.OpKind{errorfs.OpFileWrite}},
	} {
		t.Run(name, func(t *testing.T) {
			var on atomic.Bool
			f := newFixture(t, func(o *Options) { o.FS = errorfs.Wrap(o.FS, onJournal(&on, c.err, c.kinds...)) })
			f.fill(5, 10)
			on.Store(true)
			err := f.sl.Append([]*xrow.Group{f.group(1, 1)})
			if !errors.Is(err, ErrFailed) || !errors.Is(err, c.err) {
				t.Fatal(err)
			}
			on.Store(false)
			if err := f.sl.Append([]*xrow.Group{f.group(1, 1)}); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
			if f.sl.Last() != 5 {
				t.Fatal(f.sl.Last())
			}
			if _, _, err := f.sl.Read(1).Next(); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
			if err := f.sl.SetMeta("a", nil); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
			if err := f.s.Close(); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
			f.groups = f.groups[:5]
			f.crash()
			f.check(1)
		})
	}
}

// TestFailureInTheBackgroundLatches: a table that cannot be written would stop
// appends one day; the store says so at once.
func TestFailureInTheBackgroundLatches(t *testing.T) {
	var on atomic.Bool
	full := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if on.Load() && op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	})
	f := newFixture(t, func(o *Options) { o.FS = errorfs.Wrap(o.FS, full) })
	failed := make(chan error, 10)
	j := NewJournal(f.s)
	w := j.Writer(f.sl, func(uint64) {}, func(err error) { failed <- err })
	on.Store(true)
	for range 40 {
		w.Append(uint64(len(f.groups))+1, f.group(10000, 1), nil)
	}
	if err := <-failed; !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	j.Close()
	if len(failed) != 0 {
		t.Fatal("failed was called again")
	}
}

func TestJournalTellsInOrderAndOnceOfFailure(t *testing.T) {
	var on atomic.Bool
	f := newFixture(t, func(o *Options) {
		o.FS = errorfs.Wrap(o.FS, onJournal(&on, syscall.EIO, errorfs.OpFileSync, errorfs.OpFileSyncData))
	})
	written, failed := make(chan uint64, 1000), make(chan error, 10)
	j := NewJournal(f.s)
	w := j.Writer(f.sl, func(no uint64) { written <- no }, func(err error) { failed <- err })
	for range 100 {
		w.Append(uint64(len(f.groups))+1, f.group(10, 1), nil)
	}
	last := uint64(0)
	for last < 100 {
		no := <-written
		if no <= last || f.sl.Last() < no {
			t.Fatalf("%d after %d, synced %d", no, last, f.sl.Last())
		}
		last = no
	}
	on.Store(true)
	w.Append(101, f.group(10, 1), nil)
	w.Append(102, f.group(10, 1), nil)
	if err := <-failed; !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	w.Append(103, f.group(10, 1), nil)
	j.Close()
	if len(written) != 0 || len(failed) != 0 {
		t.Fatal("told more after the failure")
	}
}

// TestJournalIsSilentAfterFailure: the failure may come from another goroutine
// while a batch is being written.
func TestJournalIsSilentAfterFailure(t *testing.T) {
	f := newFixture(t)
	written := make(chan uint64, 10)
	j := NewJournal(f.s)
	w := j.Writer(f.sl, func(no uint64) { written <- no }, func(error) {})
	j.fail(errors.New("a write hangs"))
	w.Append(1, f.group(10, 1), nil)
	j.Close()
	<-j.done
	if len(written) != 0 {
		t.Fatal("written after failed")
	}
}

func TestJournalCloseWritesWhatIsQueued(t *testing.T) {
	f := newFixture(t)
	j := NewJournal(f.s)
	w := j.Writer(f.sl, func(uint64) {}, func(err error) { t.Error(err) })
	for range 50 {
		w.Append(uint64(len(f.groups))+1, f.group(10, 1), nil)
	}
	j.Close()
	f.check(1)
}

// TestModes: what each mode keeps when the process or the machine goes down,
// and what the next Open says about it.
func TestModes(t *testing.T) {
	for _, c := range []struct {
		mode    Mode
		machine bool // the machine goes down, not the process alone
		clean   bool
		lost    bool
		keeps   bool
	}{
		{Fsync, true, false, false, true},
		{Fsync, true, true, false, true},
		{Write, false, false, false, true},
		{Write, true, false, true, false},
		{Write, true, true, false, true},
		{None, false, false, true, false},
		{None, true, true, false, true},
	} {
		t.Run(c.mode.String(), func(t *testing.T) {
			f := newFixture(t, func(o *Options) { o.Mode = c.mode })
			f.fill(20, 100)
			if c.clean {
				if err := f.s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if c.machine {
				f.fs = f.fs.CrashClone(vfs.CrashCloneCfg{})
				f.opts.BootID = "second"
			} else {
				f.fs = f.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: testRNG()})
			}
			f.opts.FS = f.fs
			f.open()
			if f.sl.MayHaveLost() != c.lost {
				t.Fatalf("MayHaveLost is %v", f.sl.MayHaveLost())
			}
			if c.keeps {
				f.check(1)
			}
			if c.lost {
				f.reopen()
				if !f.sl.MayHaveLost() {
					t.Fatal("forgotten by a restart")
				}
				if err := f.sl.ForgetLoss(); err != nil {
					t.Fatal(err)
				}
				f.reopen()
				if f.sl.MayHaveLost() {
					t.Fatal("not forgotten")
				}
			}
		})
	}
}

// TestWriteModeCutsAtTheFirstBreak: the machine went down, the kernel had
// written some pages and not others. The log ends at the first hole.
func TestWriteModeCutsAtTheFirstBreak(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Mode = Write })
	f.fill(30, 3000)
	path := f.newestJournal()
	f.fs = f.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: testRNG()})
	f.opts.FS, f.opts.BootID = f.fs, "second"
	at, b := f.records(path), f.read(path)
	kept := len(at) - 5
	clear(b[at[kept] : at[kept]+100])
	rewrite(t, f.fs, path, b)
	f.open()
	f.groups = f.groups[:kept]
	f.check(1)
	if !f.sl.MayHaveLost() {
		t.Fatal("nothing said")
	}
	f.clock = f.sl.VClock()
	f.fill(3, 10)
	f.reopen()
	f.check(1)
}

func TestForeignAndNewerDirectoriesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       error
	}{
		"foreign":  {"00000000000000000000.xlog", "XLOG\n0.13\n", ErrForeign},
		"newer":    {cardName, "format 3\ncreated true\n", ErrNewer},
		"older":    {cardName, "format 1\ncreated true\n", ErrOlder},
		"nonsense": {cardName, "\x00\x01", ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			if err := fs.MkdirAll("store", 0o755); err != nil {
				t.Fatal(err)
			}
			rewrite(t, fs, "store/"+c.file, []byte(c.text))
			if _, err := Open(Options{Dir: "store", FS: fs}); !errors.Is(err, c.want) {
				t.Fatal(err)
			}
			if names, _ := fs.List("store"); len(names) != 1 {
				t.Fatalf("left behind: %v", names)
			}
		})
	}
}

// A process may die at any step of its first Open. What it leaves is no store
// of somebody else, and no reason not to start.
func TestFirstOpenDies(t *testing.T) {
	for step, names := range map[string][]string{
		"directory": {"store"},
		"ingest":    {"store/" + ingestDir},
		"lock":      {"store/" + ingestDir, "store/" + lockName},
		"card":      {"store/" + ingestDir, "store/" + lockName, "store/" + cardTemp},
	} {
		t.Run(step, func(t *testing.T) {
			fs := vfs.NewMem()
			if err := fs.MkdirAll(names[0], 0o755); err != nil {
				t.Fatal(err)
			}
			for _, name := range names[1:] {
				rewrite(t, fs, name, nil)
			}
			s, err := Open(Options{Dir: "store", FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	fs := vfs.NewMem()
	if err := fs.MkdirAll("store/"+ingestDir, 0o755); err != nil {
		t.Fatal(err)
	}
	rewrite(t, fs, "store/"+ingestDir+"/1.sst", []byte("of somebody else"))
	if _, err := Open(Options{Dir: "store", FS: fs}); !errors.Is(err, ErrForeign) {
		t.Fatalf("tables without a card: %v", err)
	}
}

func TestMissingTableIsDamage(t *testing.T) {
	f := newFixture(t)
	f.fill(100, 10000)
	if err := f.s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := f.fs.List(f.opts.Dir)
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			if err := f.fs.Remove(f.fs.PathJoin(f.opts.Dir, name)); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if _, err := Open(f.opts); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

// TestDamagedTableIsNamed: a reader of damaged groups says which one it is.
func TestDamagedTableIsNamed(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.CacheSize = 1 })
	f.fill(20, 10000)
	f.reopen()
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := f.fs.List(f.opts.Dir)
	for _, name := range names {
		path := f.fs.PathJoin(f.opts.Dir, name)
		if strings.HasSuffix(name, ".sst") {
			b := f.read(path)
			b[len(b)/2] ^= 1
			rewrite(t, f.fs, path, b)
		}
	}
	s, err := Open(f.opts)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		return
	}
	defer func() { _ = s.Close() }()
	r := s.Core(0).Read(1)
	defer r.Close()
	for err == nil {
		_, _, err = r.Next()
	}
	if err == io.EOF || !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "group ") {
		t.Fatal(err)
	}
}

// TestNewDirectoriesSurvive: the entries of all directories that Open makes are
// synced, or a crash would take the store away as a whole.
func TestNewDirectoriesSurvive(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Dir = "/data/a/store" })
	f.fill(3, 10)
	f.crash()
	f.check(1)
}

// TestChunksBehindABreak: what stands behind a break shows that the break had been
// synced, by the mark of its chunk or by its place among the groups.
func TestChunksBehindABreak(t *testing.T) {
	record := func(group uint64) []byte {
		var b pebble.Batch
		if err := b.Set(logKey(group), []byte("g"), nil); err != nil {
			t.Fatal(err)
		}
		return b.Repr()
	}
	const offset = 1000
	for _, test := range []struct {
		name   string
		before uint64 // newest group in front of the break; 0: none is known
		chunks []chunk
		want   bool
	}{
		{"the tail of a batch that was written in part", 3, []chunk{{position: 1, payload: record(4)}}, false},
		{"a mark beyond it", 3, []chunk{{position: 1, payload: record(4), synced: offset + 1}}, true},
		{"a mark in front of it", 3, []chunk{{position: 1, payload: record(4), synced: offset}}, false},
		{"a group is missing", 3, []chunk{{position: 1, payload: record(5)}}, true},
		{"nothing is known of what is in front", 0, []chunk{{position: 1, payload: record(5)}}, false},
		{"a second batch", 3, []chunk{{position: 1, payload: record(4)}, {position: 1, payload: record(5)}}, true},
		{"more of the first batch", 3, []chunk{{position: 1, payload: record(4)}, {position: 2}}, false},
		{"no record", 3, []chunk{{position: 1, payload: []byte("x")}}, false},
	} {
		w := &walReader{last: test.before}
		got := false
		for _, c := range test.chunks {
			got = w.vouches(c, offset)
		}
		if got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

// TestWriterCloses: a writer that is closed hears nothing more, and the
// journal goes on for the other one.
func TestWriterCloses(t *testing.T) {
	f := newFixture(t)
	j := NewJournal(f.s)
	told := make(chan uint64, 100)
	first := j.Writer(f.sl, func(no uint64) { told <- no }, func(err error) { t.Error(err) })
	for range 20 {
		first.Append(uint64(len(f.groups))+1, f.group(10, 1), nil)
	}
	first.Close()
	close(told) // a callback from now on would panic
	last := uint64(0)
	for last = range told {
	}
	if last != 20 || f.sl.Last() != 20 {
		t.Errorf("told of %d, written %d", last, f.sl.Last())
	}
	second := j.Writer(f.sl, func(uint64) {}, func(err error) { t.Error(err) })
	second.Append(21, f.group(10, 1), nil)
	second.Close()
	j.Close()
	f.check(1)
}
