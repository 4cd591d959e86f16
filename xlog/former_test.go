package xlog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var leftAt = time.Unix(1_700_000_000, 0)

// joined is a fresh slot of a Core that has taken a state, with some groups behind it.
func (c *cores) joined(id int) *fixture {
	c.t.Helper()
	sl, err := c.of[id].sl.Fresh()
	if err != nil {
		c.t.Fatal(err)
	}
	fresh := &fixture{t: c.t, fs: c.fs, s: c.s, sl: sl}
	fresh.checkpoint(6, State{VClock: fresh.clock, NextGroup: 1})
	fresh.append(fresh.group(10, 5), fresh.group(10, 5))
	if err := errors.Join(sl.SetMeta("name", fmt.Append(nil, sl.number)), sl.PutLost([]xrow.LostRow{lostRow(9, 2, uint64(sl.number))})); err != nil {
		c.t.Fatal(err)
	}
	return fresh
}

// checkFormer looks at all that a former slot must have.
func (c *cores) checkFormer(was *fixture, want Former, from uint64) {
	c.t.Helper()
	listed, err := ListFormers(c.fs, c.opts.Dir)
	i := slices.IndexFunc(listed, func(f FormerValues) bool { return f.Former == want })
	if err != nil || i < 0 || string(listed[i].Values["name"]) != fmt.Sprint(want.Slot) {
		c.t.Fatalf("listed are %+v, %v", listed, err)
	}
	entries := c.cat(Filter{Slot: want.Slot})
	rows := 0
	for _, g := range was.groups[from-1:] {
		rows += len(g.Table)
	}
	if len(entries) != rows {
		c.t.Fatalf("%d rows of %d", len(entries), rows)
	}
	last := entries[len(entries)-1]
	if n := len(was.groups); entries[0].Group != from || last.Group != uint64(n) || !last.Former || last.Core != want.Core ||
		last.LSN != was.groups[n-1].Table[len(was.groups[n-1].Table)-1].LSN {
		c.t.Fatalf("from %s to %s", entries[0], last)
	}
	if n := len(c.cat(Filter{Slot: want.Slot, FromGroup: uint64(len(was.groups))})); n != len(was.groups[len(was.groups)-1].Table) {
		c.t.Errorf("%d rows of its newest group", n)
	}
	var lost []Entry
	if err := CatLost(c.fs, c.opts.Dir, Filter{Slot: want.Slot}, func(e Entry) error { lost = append(lost, e); return nil }); err != nil || len(lost) != 1 || !lost[0].Former {
		c.t.Errorf("voided rows are %v, %v", lost, err)
	}
	r := c.verify()
	j := slices.IndexFunc(r.Formers, func(f FormerReport) bool { return f.Former == want })
	if !r.OK() || j < 0 {
		c.t.Fatalf("verify: %s", r)
	}
	if f := r.Formers[j]; f.Groups != uint64(len(was.groups))+1-from || f.Last != uint64(len(was.groups)) || f.VClock != was.clock.String() ||
		len(f.Checkpoints) != 1 || f.Checkpoints[0].Problem != "" || f.Lost != 1 {
		c.t.Fatalf("verify: %s", r)
	}
}

// TestFormerSlotStays: a Core leaves slots that are to be kept, twice. All that they had
// stays, while the log goes as if they were not there, until each is dropped by itself.
func TestFormerSlotStays(t *testing.T) {
	c := newCores(t, 3, func(o *Options) { o.Mode = Write; o.MemTableSize = 64 << 10 })
	first := c.of[0]
	c.write(100, 0, 1, 0, 2)
	if err := errors.Join(first.sl.SetMeta("name", fmt.Append(nil, first.sl.number)), first.sl.PutLost([]xrow.LostRow{lostRow(1, 2, 3)})); err != nil {
		t.Fatal(err)
	}
	first.checkpoint(5, State{VClock: first.clock, NextGroup: 3})
	for range 150 {
		c.write(1000, 0, 1, 0)
	}
	var want []Former
	was := []*fixture{first}
	for n, why := range []string{"it has lost rows", strings.Repeat("and again ", 200)} {
		fresh := c.joined(0)
		old := c.of[0].sl
		if err := fresh.sl.SwitchKeeping(leftAt.Add(time.Duration(n)*time.Hour+5), why); err != nil {
			t.Fatal(err)
		}
		if err := old.SetMeta("name", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("a slot that was left: %v", err)
		}
		want = append(want, Former{Slot: old.number, Left: leftAt.Add(time.Duration(n) * time.Hour), Why: why[:min(len(why), maxWhy)]})
		c.of[0] = fresh
		was = append(was, fresh)
	}
	for _, end := range []func(){func() {}, c.reopen, c.crash} {
		end()
		c.write(100, 0, 1, 2)
		for _, f := range c.of {
			if len(f.sl.Checkpoints()) == 0 || f != c.of[0] {
				f.checkpoint(1, State{VClock: f.clock, NextGroup: f.sl.Last() + 1})
			}
			if err := f.sl.Prune(f.sl.Last() + 1); err != nil {
				t.Fatal(err)
			}
		}
		c.check()
		if got := c.s.Formers(); !slices.Equal(got, want) {
			t.Fatalf("%v", got)
		}
		c.checkFormer(was[0], want[0], 1)
		c.checkFormer(was[1], want[1], 1)
		for _, e := range c.cat(Filter{}) {
			if e.Former {
				t.Fatalf("without asking: %s", e)
			}
		}
		if c.sl.MayHaveLost() {
			t.Error("it may have lost rows")
		}
	}
	if first, _, err := c.s.ends(); err != nil || first < 300 {
		t.Errorf("the log begins at %d yet, %v", first, err)
	}
	if err := DropFormer(c.fs, c.opts.Dir, want[0].Slot); !errors.Is(err, ErrLocked) {
		t.Errorf("dropped beside a process that has the store open: %v", err)
	}
	if err := c.s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := DropFormer(c.fs, c.opts.Dir, c.of[1].sl.number); !errors.Is(err, ErrNotFound) {
		t.Errorf("dropped the slot of a Core: %v", err)
	}
	if err := DropFormer(c.fs, c.opts.Dir, want[0].Slot); err != nil {
		t.Fatal(err)
	}
	c.crash()
	c.check()
	c.checkFormer(was[1], want[1], 1)
	if on, err := c.s.slotsOnDisk(); err != nil || slices.Contains(on, want[0].Slot) || !slices.Contains(on, want[1].Slot) {
		t.Errorf("on disk are %v, %v", on, err)
	}
	if err := Cat(c.fs, c.opts.Dir, Filter{Slot: want[0].Slot}, func(e Entry) error { return errors.New(e.String()) }); !errors.Is(err, ErrNotFound) {
		t.Errorf("what was dropped: %v", err)
	}
	if err := c.s.DropFormer(want[1].Slot); err != nil {
		t.Fatal(err)
	}
	c.crash()
	c.check()
	if r := c.verify(); !r.OK() || len(r.Formers) != 0 {
		t.Error(r)
	}
}

// TestSwitchDiesAtEachWrite: the machine dies before each write of a switch that keeps
// the old slot. The next start finds the Core in its old slot with all it had, or in the new one
// with the old one kept whole beside it; and the other Cores as they were.
func TestSwitchDiesAtEachWrite(t *testing.T) {
	for _, mode := range []Mode{Fsync, Write} {
		t.Run(mode.String(), func(t *testing.T) {
			var mu sync.Mutex
			var mem *crashFS
			var left []*vfs.MemFS
			c := newCores(t, 2, func(o *Options) {
				mem, o.Mode = &crashFS{MemFS: o.FS.(*vfs.MemFS)}, mode
				o.FS = withFaults(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
					mu.Lock()
					defer mu.Unlock()
					if left != nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
						left = append(left, mem.clone())
					}
					return nil
				}))
			})
			old := c.of[0]
			for range 30 {
				c.write(1000, 0, 1)
			}
			if err := errors.Join(old.sl.SetMeta("name", fmt.Append(nil, old.sl.number)), old.sl.PutLost([]xrow.LostRow{lostRow(1, 2, 3)})); err != nil {
				t.Fatal(err)
			}
			old.checkpoint(5, State{VClock: old.clock, NextGroup: 10})
			if mode != Fsync { // what is not synced yet is no matter of the switch, but for the fresh slot's
				if err := c.s.db.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			fresh := c.joined(0)
			mu.Lock()
			left = []*vfs.MemFS{}
			mu.Unlock()
			want := Former{Slot: old.sl.number, Left: leftAt, Why: "a test"}
			if err := fresh.sl.SwitchKeeping(leftAt, want.Why); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			all := append(left, mem.clone())
			left = nil
			mu.Unlock()
			counts := map[bool]int{}
			for i, fs := range all {
				c.fs, c.opts.FS = fs, fs
				c.fixture.open()
				switched := c.sl.number == fresh.sl.number
				counts[switched]++
				if c.of[0] = old; switched {
					c.of[0] = fresh
				}
				c.attach()
				c.check()
				if got := len(c.s.Formers()); got > 0 != switched {
					t.Fatalf("write %d: %d former slots, in the new one: %v", i, got, switched)
				}
				v, _, err := c.sl.Meta("name")
				if err != nil || string(v) != fmt.Sprint(c.sl.number) || len(c.sl.Checkpoints()) != 1 || len(c.of[0].lost()) != 1 {
					t.Fatalf("write %d: the slot is not whole: %s, %v", i, v, err)
				}
				if switched {
					c.checkFormer(old, want, 1)
				}
				on, err := c.s.slotsOnDisk()
				if n := map[bool]int{false: 1, true: 2}[switched]; err != nil || len(on) != n {
					t.Fatalf("write %d: on disk are slots %v, %v", i, on, err)
				}
				_ = c.s.Close()
			}
			if counts[false] < 3 || counts[true] < 1 {
				t.Errorf("in the old slot, and in the new one: %v", counts)
			}
			t.Logf("%d writes: %v", len(all)-1, counts)
		})
	}
}

// TestRepairLeavesFormers: what repair makes has what counts; a former slot stays with
// the damaged store, and repair says so.
func TestRepairLeavesFormers(t *testing.T) {
	c := newCores(t, 1)
	c.write(10, 0)
	fresh := c.joined(0)
	if err := fresh.sl.SwitchKeeping(leftAt, "a test"); err != nil {
		t.Fatal(err)
	}
	if err := c.s.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := c.fs.List(c.opts.Dir)
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST") {
			if err := c.fs.Remove(c.fs.PathJoin(c.opts.Dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := Repair(c.fs, c.opts.Dir)
	if err != nil || !r.Done || !slices.ContainsFunc(r.Dropped, func(d string) bool { return strings.Contains(d, "former slot 1") }) {
		t.Fatalf("%+v, %v", r, err)
	}
	c.of[0] = fresh
	c.opts.Dir, c.opts.FS = "store", c.fs
	c.fixture.open()
	if c.sl.Last() != 2 || len(c.s.Formers()) != 0 {
		t.Errorf("%d groups, %v", c.sl.Last(), c.s.Formers())
	}
	if listed, err := ListFormers(c.fs, r.Backup); err != nil || len(listed) != 1 {
		t.Errorf("the damaged store has %v, %v", listed, err)
	}
}

// TestRecordOfACore: any record comes back, and one that is cut off is damage.
func TestRecordOfACore(t *testing.T) {
	for _, c := range []record{
		{CoreInfo: CoreInfo{ID: 3, Name: "three", Slot: 300}},
		{CoreInfo: CoreInfo{ID: 0, Slot: 7}, formers: []Former{{Slot: 5, Left: leftAt, Why: "why"}, {Slot: 6, Left: leftAt}}},
	} {
		b := appendCore(nil, &c)
		got, err := decodeCore(c.ID, b)
		if err != nil || got.CoreInfo != c.CoreInfo || !slices.Equal(got.formers, c.formers) {
			t.Errorf("%+v, %v", got, err)
		}
		if c.formers == nil {
			continue
		}
		for n := range b {
			if _, err := decodeCore(c.ID, b[:n]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d bytes of %d: %v", n, len(b), err)
			}
		}
	}
	if _, err := decodeCore(0, []byte{coreVersionFormers + 1, 1}); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
}

// TestExtractFormer: a former slot becomes a store, while the one that it is in is used.
func TestExtractFormer(t *testing.T) {
	c := newCores(t, 2)
	old := c.of[1]
	for range 100 {
		c.write(1000, 1, 0)
	}
	if err := errors.Join(old.sl.SetMeta("name", fmt.Append(nil, old.sl.number)), old.sl.PutLost([]xrow.LostRow{lostRow(1, 2, 3)})); err != nil {
		t.Fatal(err)
	}
	old.checkpoint(5, State{VClock: old.clock, NextGroup: 90})
	if err := c.joined(1).sl.SwitchKeeping(leftAt, "a test"); err != nil {
		t.Fatal(err)
	}
	r, err := ExtractFormer(c.fs, c.opts.Dir, old.sl.number, "apart")
	if err != nil || r.Groups != 100 || len(r.Checkpoints) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := ExtractFormer(c.fs, c.opts.Dir, old.sl.number, "apart"); err == nil {
		t.Error("over a store")
	}
	if _, err := ExtractFormer(c.fs, c.opts.Dir, 1, "other"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	apart := &fixture{t: t, fs: c.fs, opts: c.opts, groups: old.groups}
	apart.opts.Dir = "apart"
	apart.open()
	apart.check(1)
	v, _, err := apart.sl.Meta("name")
	if err != nil || string(v) != fmt.Sprint(old.sl.number) || !apart.sl.MayHaveLost() || len(apart.lost()) != 1 {
		t.Errorf("%q, %v, it may have lost rows: %v", v, err, apart.sl.MayHaveLost())
	}
	apart.checkCheckpoint(apart.sl.Checkpoints()[0].ID, 5)
	c.of[0].check(1)
}

// TestDamageIsNotKept: a group of the old log that is not whole ends the switch, says how
// to go on, and leaves the Core where it was and no files.
func TestDamageIsNotKept(t *testing.T) {
	c := newCores(t, 1)
	for range 10 {
		c.write(100, 0)
	}
	value, closer, err := c.s.db.Get(logKey(5))
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(value)
	bad[len(bad)/2] ^= 1
	if err := errors.Join(closer.Close(), c.s.db.Set(logKey(5), bad, nil)); err != nil {
		t.Fatal(err)
	}
	fresh := c.joined(0)
	if err := fresh.sl.SwitchKeeping(leftAt, "a test"); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "group 5") || !strings.Contains(err.Error(), "xlog repair") {
		t.Error(err)
	}
	if c.s.Core(0) != c.sl || len(c.s.Formers()) != 0 {
		t.Error("it has switched")
	}
	if names, err := c.fs.List(c.fs.PathJoin(c.opts.Dir, ingestDir)); err != nil || len(names) != 0 {
		t.Errorf("left are %v, %v", names, err)
	}
}
