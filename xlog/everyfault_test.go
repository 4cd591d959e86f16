package xlog

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// faultKinds are the operations of a file system, by the names of the test.
var faultKinds = map[errorfs.OpKind]string{
	errorfs.OpCreate: "create", errorfs.OpLink: "link", errorfs.OpOpen: "open", errorfs.OpOpenDir: "opendir",
	errorfs.OpRemove: "remove", errorfs.OpRemoveAll: "removeall", errorfs.OpRename: "rename",
	errorfs.OpReuseForWrite: "reuse", errorfs.OpMkdirAll: "mkdir", errorfs.OpLock: "lock", errorfs.OpList: "list",
	errorfs.OpFilePreallocate: "preallocate", errorfs.OpStat: "stat", errorfs.OpGetDiskUsage: "usage",
	errorfs.OpFileClose: "close", errorfs.OpFileRead: "read", errorfs.OpFileReadAt: "readat",
	errorfs.OpFileWrite: "write", errorfs.OpFileWriteAt: "writeat", errorfs.OpFileStat: "filestat",
	errorfs.OpFileSync: "sync", errorfs.OpFileSyncData: "syncdata", errorfs.OpFileSyncTo: "syncto",
}

// faultStep is the distance of the faults that TestEveryFault and the tests of
// Upgrade try. All of them take two minutes: go test ./xlog -faultstep 1
var faultStep = flag.Int64("faultstep", sampledFaults, "try one of so many faults")

// withFaults is errorfs.Wrap, but fails closes too, and all that is done with a
// file that is used again.
func withFaults(fs vfs.FS, inj errorfs.Injector) vfs.FS {
	return errorfs.Wrap(&closeFS{fs, inj}, inj)
}

// crashFS can be cloned while others use it: a MemFS cannot while it links, for Link locks
// twice, and a clone that waits in between waits for ever.
type crashFS struct {
	*vfs.MemFS
	links sync.Mutex
}

func (fs *crashFS) Link(from, to string) error {
	fs.links.Lock()
	defer fs.links.Unlock()
	return fs.MemFS.Link(from, to)
}

// clone is what a crash leaves.
func (fs *crashFS) clone() *vfs.MemFS {
	fs.links.Lock()
	defer fs.links.Unlock()
	return fs.CrashClone(vfs.CrashCloneCfg{})
}

type closeFS struct {
	vfs.FS
	inj errorfs.Injector
}

func (fs *closeFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &closeFile{f, name, fs.inj}, nil
}

func (fs *closeFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return fs.wrap(name, f, err)
}

func (fs *closeFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(old, name, c)
	if f, err = fs.wrap(name, f, err); err != nil {
		return nil, err
	}
	return &reusedFile{f, name, fs.inj}, nil
}

func (fs *closeFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(name, opts...)
	return fs.wrap(name, f, err)
}

func (fs *closeFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	return fs.wrap(name, f, err)
}

type closeFile struct {
	vfs.File
	name string
	inj  errorfs.Injector
}

func (f *closeFile) Close() error {
	return errors.Join(f.File.Close(), f.inj.MaybeError(errorfs.Op{Kind: errorfs.OpFileClose, Path: f.name}))
}

type reusedFile struct {
	vfs.File
	name string
	inj  errorfs.Injector
}

func (f *reusedFile) fault(kind errorfs.OpKind) error {
	return f.inj.MaybeError(errorfs.Op{Kind: kind, Path: f.name})
}

func (f *reusedFile) Write(p []byte) (int, error) {
	if err := f.fault(errorfs.OpFileWrite); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *reusedFile) Stat() (vfs.FileInfo, error) {
	if err := f.fault(errorfs.OpFileStat); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f *reusedFile) Sync() error {
	return errors.Join(f.fault(errorfs.OpFileSync), f.File.Sync())
}

func (f *reusedFile) SyncData() error {
	return errors.Join(f.fault(errorfs.OpFileSyncData), f.File.SyncData())
}

// nthFault fails the nth operation of a kind, and with always all behind it.
type nthFault struct {
	kind   errorfs.OpKind
	n      int64 // 0: none
	err    error
	always bool

	counts [64]atomic.Int64
	failed atomic.Bool  // the story was told
	writes atomic.Int64 // that reached the disk since then
	hit    atomic.Bool
}

func (i *nthFault) String() string { return "nth" }

func (i *nthFault) MaybeError(op errorfs.Op) error {
	if i.failed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && op.Kind != errorfs.OpLock {
		i.writes.Add(1)
	}
	no := i.counts[op.Kind].Add(1)
	if op.Kind == i.kind && (no == i.n || i.always && i.n > 0 && no > i.n) {
		i.hit.Store(true)
		return i.err
	}
	return nil
}

func (i *nthFault) total() (n int64) {
	for k := range i.counts {
		n += i.counts[k].Load()
	}
	return n
}

// life is what a store was told and what it said.
type life struct {
	f       *fixture
	written int // groups that were reported
	values  int // as were values of the name

	core  *fixture // of Core 1, in the slot that it has
	joins int      // how often that joined anew
}

// storyOf does with a store all that an instance does in its life: it begins,
// takes rows until the journal is rotated, keeps values, voided rows and a
// checkpoint, drops old log, is closed, opened again, and takes in a checkpoint
// that came by JOIN. A second Core writes beside it, and joins anew into a fresh
// slot.
func (l *life) storyOf(o Options) error {
	for round := range 2 {
		s, err := Open(o)
		if err != nil {
			return err
		}
		l.f.s, l.f.sl = s, s.Core(0)
		if err := l.round(s, round); err != nil {
			_ = s.Close()
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (l *life) round(s *Store, round int) error {
	if s.Core(0).Last() != uint64(l.written) {
		return fmt.Errorf("%d groups of %d", s.Core(0).Last(), l.written)
	}
	for _, step := range []func(*Store) error{l.value, l.rows, l.second, l.checkpoint, l.lost, l.rows, l.joinAnew, l.prune, l.scan, l.second, l.value, l.checkpoint} {
		if err := step(s); err != nil {
			return err
		}
	}
	if round == 0 {
		return nil
	}
	w, err := s.Core(0).NewCheckpoint()
	if err != nil {
		return err
	}
	clock := s.Core(0).VClock()
	clock[9] += 10
	if err := w.Add(512, []byte{0x91, 1}); err != nil {
		w.Abort()
		return err
	}
	if _, err := w.Finish(State{VClock: clock, NextGroup: s.Core(0).Last() + 1}); err != nil {
		w.Abort()
		return err
	}
	l.f.clock = clock
	return l.rows(s)
}

func (l *life) value(s *Store) error {
	err := s.Core(0).SetMeta("name", fmt.Append(nil, l.values+1))
	if err == nil {
		l.values++
	}
	return err
}

func (l *life) rows(s *Store) error {
	for range 4 {
		g := l.f.group(30000, 1)
		if err := s.Core(0).Append([]*xrow.Group{g}); err != nil {
			return err
		}
		l.written++
	}
	return nil
}

func (l *life) lost(s *Store) error {
	if err := s.Core(0).PutLost([]xrow.LostRow{{Term: 1, Origin: 2, LSN: uint64(l.written), Frame: []byte("frame")}}); err != nil {
		return err
	}
	g := l.f.group(10, 1)
	err := s.Core(0).appendAt(s.Core(0).Last()+1, []*xrow.Group{g}, []xrow.LostRow{{Term: 2, Origin: 2, LSN: uint64(l.written), Frame: []byte("frame")}})
	if err == nil {
		l.written++
	}
	return err
}

// second lets Core 1 write.
func (l *life) second(s *Store) error {
	sl, err := s.AddCore(1, "one")
	if err != nil {
		return err
	}
	if l.core == nil {
		l.core = &fixture{t: l.f.t}
	}
	l.core.sl = sl
	for range 2 {
		if err := sl.Append([]*xrow.Group{l.core.group(1000, 1)}); err != nil {
			l.core.groups = l.core.groups[:len(l.core.groups)-1]
			return err
		}
	}
	return sl.PutLost([]xrow.LostRow{lostRow(2, 3, sl.Last())})
}

// joinAnew lets Core 1 take a state into a fresh slot.
func (l *life) joinAnew(s *Store) error {
	sl, err := s.Core(1).Fresh()
	if err != nil {
		return err
	}
	fresh := &fixture{t: l.f.t, sl: sl}
	w, err := sl.NewCheckpoint()
	if err != nil {
		return err
	}
	if err := w.Add(512, []byte{0x91, 1}); err != nil {
		w.Abort()
		return err
	}
	if _, err := w.Finish(State{NextGroup: 1}); err != nil {
		w.Abort()
		return err
	}
	if err := sl.Append([]*xrow.Group{fresh.group(10, 1)}); err != nil {
		return err
	}
	if err := sl.SetMeta("joins", fmt.Append(nil, l.joins+1)); err != nil {
		return err
	}
	if l.joins%2 == 0 { // the first time the old slot stays
		err = sl.SwitchKeeping(leftAt, "a test")
	} else {
		err = sl.Switch()
	}
	if err != nil {
		return err
	}
	l.core, l.joins = fresh, l.joins+1
	return nil
}

// checkSecond looks at Core 1 after a fault: it is in the slot that it had or in
// the one that it was about to take, whole.
func (l *life) checkSecond(t *testing.T, s *Store) {
	sl := s.Core(1)
	if sl == nil {
		if l.core != nil && len(l.core.groups) > 0 {
			t.Error("Core 1 is gone")
		}
		return
	}
	wrote := 0
	if l.core != nil {
		wrote = len(l.core.groups)
	}
	v, _, err := sl.Meta("joins")
	joins := 0
	if len(v) > 0 {
		joins = int(v[0] - '0')
	}
	last := int(sl.Last())
	before := joins == l.joins && (last == wrote || last == wrote+1)
	after := joins == l.joins+1 && last == 1
	if err != nil || !before && !after {
		t.Errorf("Core 1 has %d groups, %d were reported; it joined %d times, %d times: %v", last, wrote, joins, l.joins, err)
	}
	want := 0
	if joins > 0 {
		want = 1
	}
	if n := len(sl.Checkpoints()); n != want {
		t.Errorf("Core 1 has %d checkpoints after %d joins", n, joins)
	}
	formers := s.Formers()
	if len(formers) != (joins+1)/2 {
		t.Errorf("after %d joins there are former slots %v", joins, formers)
	}
	f := &fixture{t: t, sl: sl, clock: sl.VClock()}
	if err := sl.Append([]*xrow.Group{f.group(10, 1)}); err != nil {
		t.Errorf("a write of Core 1 after it: %v", err)
	}
}

func (l *life) checkpoint(s *Store) error {
	w, err := s.Core(0).NewCheckpoint()
	if err != nil {
		return err
	}
	for i := range 3 {
		if err := w.Add(512+uint32(i), make([]byte, 40<<10)); err != nil {
			w.Abort()
			return err
		}
	}
	if _, err = w.Finish(State{VClock: s.Core(0).VClock(), NextGroup: s.Core(0).Last() + 1}); err != nil {
		w.Abort()
	}
	return err
}

func (l *life) prune(s *Store) error {
	if all := s.Core(0).Checkpoints(); len(all) > 1 {
		if err := s.Core(0).DropCheckpoint(all[1].ID); err != nil {
			return err
		}
	}
	return s.Core(0).Prune(s.Core(0).Last() / 2)
}

func (l *life) scan(s *Store) error {
	r := s.Core(0).Read(s.Core(0).First())
	defer r.Close()
	for {
		if _, _, err := r.Next(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	c, err := s.Core(0).OpenCheckpoint(s.Core(0).Checkpoints()[0].ID)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		if _, _, ok, err := c.Next(); err != nil || !ok {
			return err
		}
	}
}

// oneFault lives the story with a fault, and then the life after it.
func oneFault(t *testing.T, inj *nthFault) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	o := Options{Dir: "data/store", FS: withFaults(fs, inj), BootID: "first", MemTableSize: 256 << 10, CacheSize: 1}
	l := &life{f: &fixture{t: t, fs: fs, opts: o}}
	err := l.storyOf(o)
	inj.failed.Store(true)
	if err == nil {
		return // what failed is done in another way, or not at all
	}
	if !errors.Is(err, inj.err) {
		t.Errorf("it does not say why: %v", err)
	}
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	before := inj.total()
	runtime.Gosched()
	if n := inj.total() - before; n > 1000 || inj.writes.Load() > 2 {
		t.Errorf("%d operations, %d writes after the end", n, inj.writes.Load())
	}
	o.FS = fs
	s, err := Open(o)
	if err != nil {
		t.Fatalf("after it: %v", err)
	}
	defer func() { _ = s.Close() }()
	if int(s.Core(0).Last()) < l.written || int(s.Core(0).Last()) > l.written+1 {
		t.Errorf("%d groups, %d were reported", s.Core(0).Last(), l.written)
	}
	v, _, err := s.Core(0).Meta("name")
	if got := string(v); err != nil || got != fmt.Sprint(l.values) && got != fmt.Sprint(l.values+1) && l.values > 0 {
		t.Errorf("value %q, %d was reported: %v", got, l.values, err)
	}
	l.checkSecond(t, s)
	l.f.clock, l.f.s, l.f.sl = s.Core(0).VClock(), s, s.Core(0)
	l.written = int(s.Core(0).Last())
	if err := l.rows(s); err != nil {
		t.Errorf("a write after it: %v", err)
	}
}

// TestEveryFault fails each operation of each kind that a store does in its
// life, once for a moment and once for good. Whatever it is: the store says why,
// nothing that was reported is missing after a restart, and there is no panic,
// no hang, no loop.
func TestEveryFault(t *testing.T) {
	count := &nthFault{}
	oneFault(t, count)
	for kind, name := range faultKinds {
		total := count.counts[kind].Load()
		for n := int64(1); n <= total; n += *faultStep {
			for _, always := range []bool{false, true} {
				cause := []error{syscall.ENOSPC, syscall.EMFILE, syscall.EIO}[n%3]
				inj := &nthFault{kind: kind, n: n, err: cause, always: always}
				done := make(chan struct{})
				go func() {
					defer close(done)
					t.Run(fmt.Sprintf("%s/%d/%v/%v", name, n, cause, always), func(t *testing.T) { oneFault(t, inj) })
				}()
				select {
				case <-done:
				case <-time.After(time.Minute):
					panic(fmt.Sprintf("%s %d %v %v hangs", name, n, cause, always))
				}
			}
		}
	}
}

// TestFailedRotation: the journal file is full and the next one cannot be made,
// or the old one not be closed. Pebble alone panics, in a goroutine of its own
// where a flush begins it.
func TestFailedRotation(t *testing.T) {
	for name, kinds := range map[string][]errorfs.OpKind{
		"create": {errorfs.OpCreate, errorfs.OpReuseForWrite}, "close": {errorfs.OpFileClose},
		"length": {errorfs.OpFileStat}, "directory": {errorfs.OpFileSync},
	} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EMFILE} {
			t.Run(name+" "+cause.Error(), func(t *testing.T) {
				var on atomic.Bool
				inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
					journal := strings.HasSuffix(op.Path, walSuffix)
					if on.Load() && slices.Contains(kinds, op.Kind) && journal == (name != "directory") {
						return cause
					}
					return nil
				})
				f := newFixture(t, func(o *Options) { o.FS = withFaults(o.FS, inj) })
				f.fill(2, 10)
				on.Store(true)
				err := error(nil)
				for range 200 {
					if err = f.sl.Append([]*xrow.Group{f.group(10000, 1)}); err != nil {
						break
					}
				}
				if !errors.Is(err, ErrFailed) || !errors.Is(err, cause) || !strings.Contains(err.Error(), "store") {
					t.Fatalf("200 groups, then %v", err)
				}
				written := int(f.sl.Last())
				if err := f.s.Close(); !errors.Is(err, ErrFailed) {
					t.Fatal(err)
				}
				f.opts.FS = f.fs
				f.crash()
				if last := int(f.sl.Last()); last < written || last > written+1 {
					t.Fatalf("%d groups, %d were reported", last, written)
				}
			})
		}
	}
}

// TestDamageBesideAChange: a table has groups and voided rows. To part them
// Pebble cuts the table, and a block that it cannot read is no reason to drop the
// groups before it.
func TestDamageBesideAChange(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.CacheSize = 1 })
	f.fill(20, 5000)
	mark := []byte("a frame that is voided")
	g := f.group(10, 1)
	if err := f.sl.appendAt(f.sl.Last()+1, []*xrow.Group{g}, []xrow.LostRow{{Term: 2, Origin: 2, LSN: 1, Frame: mark}}); err != nil {
		t.Fatal(err)
	}
	if err := f.s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	names, _ := f.fs.List(f.opts.Dir)
	for _, name := range names {
		path := f.fs.PathJoin(f.opts.Dir, name)
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		if b := f.read(path); bytes.Contains(b, mark) {
			at := bytes.Index(b, mark)
			file, err := f.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
			if err == nil {
				_, err = file.WriteAt([]byte{b[at] ^ 1}, int64(at))
				err = errors.Join(err, file.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.sl.Prune(5); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a change beside damage: %v", err)
	}
	r := f.sl.Read(1)
	defer r.Close()
	for no := uint64(1); no < 15; no++ {
		if got, _, err := r.Next(); err != nil || got != no {
			t.Fatalf("group %d is %d: %v", no, got, err)
		}
	}
}

// TestOpenOnFullDisk: a store that the disk has no room to open for writing is
// read, whole, and not changed. When there is room again it is as it was.
func TestOpenOnFullDisk(t *testing.T) {
	for _, c := range []struct {
		name  string
		clean bool
		err   error
		kinds []errorfs.OpKind
	}{
		{"after a crash", false, syscall.ENOSPC, []errorfs.OpKind{errorfs.OpFileWrite}},
		{"after a stop", true, syscall.ENOSPC, []errorfs.OpKind{errorfs.OpFileWrite}},
		{"no new files", false, syscall.EDQUOT, []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFileWrite}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.fill(30, 3000)
			if err := f.sl.SetMeta("name", []byte("value")); err != nil {
				t.Fatal(err)
			}
			f.fill(5, 3000)
			if c.clean {
				if err := f.s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			f.fs = f.fs.CrashClone(vfs.CrashCloneCfg{})
			full := f.opts
			full.FS = errorfs.Wrap(f.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if slices.Contains(c.kinds, op.Kind) && !strings.HasSuffix(op.Path, lockName) {
					return c.err
				}
				return nil
			}))
			s, err := Open(full)
			if err != nil {
				t.Fatal(err)
			}
			f.s, f.sl = s, s.Core(0)
			f.check(1)
			if v, ok, err := s.Core(0).Meta("name"); err != nil || !ok || string(v) != "value" {
				t.Errorf("%q, %v", v, err)
			}
			for what, err := range map[string]error{"append": s.Core(0).Append(f.groups[:1]), "value": s.Core(0).SetMeta("name", nil), "prune": s.Core(0).Prune(3)} {
				if !errors.Is(err, ErrFailed) || !errors.Is(err, c.err) || !strings.Contains(err.Error(), "room") {
					t.Errorf("%s: %v", what, err)
				}
			}
			told := make(chan error, 1)
			j := NewJournal(s)
			j.Writer(s.Core(0), func(uint64) {}, func(err error) { told <- err })
			if err := <-told; !errors.Is(err, ErrFailed) {
				t.Error(err)
			}
			j.Close()
			f.check(1)
			if err := s.Close(); !errors.Is(err, ErrFailed) {
				t.Error(err)
			}
			f.opts.FS = f.fs
			f.open()
			f.check(1)
			f.fill(3, 100)
			f.check(1)
		})
	}
	if _, err := Open(Options{Dir: "store", FS: errorfs.Wrap(vfs.NewMem(), onWrites(syscall.ENOSPC))}); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "store/") {
		t.Errorf("a new store on a full disk: %v", err)
	}
}

func onWrites(err error) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			return err
		}
		return nil
	})
}
