package xlog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"
)

// cores is a store with several Cores, and for each a fixture of its own.
type cores struct {
	*fixture // of Core 0
	of       []*fixture
}

func newCores(t testing.TB, n int, change ...func(*Options)) *cores {
	f := newFixture(t, append(change, func(o *Options) { o.Log = nil })...)
	c := &cores{fixture: f, of: []*fixture{f}}
	for id := 1; id < n; id++ {
		c.of = append(c.of, &fixture{t: t, fs: f.fs})
	}
	c.attach()
	return c
}

// attach finds the Cores of the store that was opened.
func (c *cores) attach() {
	c.t.Helper()
	c.s.owners.every = 7
	for id, f := range c.of {
		sl, err := c.s.AddCore(uint32(id), coreName(id))
		if err != nil {
			c.t.Fatal(err)
		}
		f.s, f.sl, f.fs = c.s, sl, c.fs
	}
}

func coreName(id int) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprint("core ", id)
}

func (c *cores) reopen() {
	c.t.Helper()
	c.fixture.reopen()
	c.attach()
}

func (c *cores) crash() {
	c.t.Helper()
	c.fixture.crash()
	c.attach()
}

// write appends groups of the Cores with these IDs, in one batch.
func (c *cores) write(size int, ids ...int) {
	c.t.Helper()
	var items []item
	for _, id := range ids {
		f := c.of[id]
		no := uint64(len(f.groups)) + 1
		items = append(items, item{slot: f.sl, no: no, g: f.group(size, 1, 2+uint32(no%2))})
	}
	if err := c.s.append(items); err != nil {
		c.t.Fatal(err)
	}
}

// check compares what each Core has with what went in.
func (c *cores) check() {
	c.t.Helper()
	for id, f := range c.of {
		if last := f.sl.Last(); last != uint64(len(f.groups)) {
			c.t.Fatalf("Core %d has %d groups of %d", id, last, len(f.groups))
		}
		if f.sl.VClock() != f.clock {
			c.t.Fatalf("Core %d stands at %s, not %s", id, f.sl.VClock(), f.clock)
		}
		f.check(f.sl.First())
	}
}

// TestCoresKeepApart: what Cores write in any order each finds again as its own,
// from any group on, whatever comes between.
func TestCoresKeepApart(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := newCores(t, 3, func(o *Options) { o.MemTableSize = 64 << 10 })
		for range rapid.IntRange(1, 4).Draw(r, "lives") {
			for range rapid.IntRange(1, 60).Draw(r, "batches") {
				c.write(100, rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}), 1, 6).Draw(r, "of")...)
			}
			if rapid.Bool().Draw(r, "prune") {
				for _, f := range c.of {
					if err := f.sl.Prune(rapid.Uint64Range(1, f.sl.Last()+3).Draw(r, "before")); err != nil {
						r.Fatal(err)
					}
				}
			}
			c.check()
			for _, f := range c.of {
				if n := len(f.groups); n > 0 {
					v := f.groups[rapid.IntRange(0, n-1).Draw(r, "at")].After
					checkSeek(r, f, &v)
				}
				if first, last := f.sl.First(), f.sl.Last(); first <= last {
					f.check(rapid.Uint64Range(first, last).Draw(r, "from"))
				}
			}
			if rapid.Bool().Draw(r, "clean") {
				c.reopen()
			} else {
				_ = c.s.Close()
				c.crash()
			}
			c.check()
		}
		if report := c.verify(); !report.OK() {
			r.Fatal(report)
		}
		_ = c.s.Close()
	})
}

// TestPositions compares the index with a map.
func TestPositions(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var p positions
		at := map[uint64]uint64{}
		no, pos := rapid.Uint64Range(1, 50).Draw(r, "number"), rapid.Uint64Range(1, 50).Draw(r, "position")
		for range rapid.IntRange(0, 300).Draw(r, "runs") {
			n := rapid.Uint64Range(1, 3).Draw(r, "groups")
			if rapid.IntRange(0, 60).Draw(r, "kind") == 0 { // the end of the log was lost
				no += 5
				clear(at)
			}
			p.add(run{slot: 1, no: no, pos: pos, n: n})
			for range n {
				at[no] = pos
				no, pos = no+1, pos+1
			}
			pos += rapid.Uint64Range(0, 400).Draw(r, "of others")
		}
		dropped := uint64(0)
		if len(at) > 0 && rapid.Bool().Draw(r, "drop") {
			dropped = rapid.SampledFrom(slices.Sorted(maps.Keys(at))).Draw(r, "before")
			p.drop(dropped)
		}
		for want, position := range at {
			run, ok := p.find(want)
			if want >= dropped && (!ok || run.pos+want-run.no != position) {
				r.Fatalf("group %d is at %d, not %+v %v", want, position, run, ok)
			}
			if from, ok := p.from(position); want >= dropped && (!ok || from != want) {
				r.Fatalf("at %d is group %d, not %d %v", position, want, from, ok)
			}
		}
		if _, ok := p.find(no); ok {
			r.Fatal("found a group behind the last one")
		}
		if _, ok := p.from(pos); ok {
			r.Fatal("found a group behind the last position")
		}
	})
}

// TestPruningWaitsForTheLast: the log goes when no Core needs it any more, and a
// checkpoint lets an idle one go.
func TestPruningWaitsForTheLast(t *testing.T) {
	c := newCores(t, 3)
	busy, idle := c.of[0], c.of[1]
	c.write(10, 1, 0, 1) // Core 2 has nothing
	for range 100 {
		c.write(10000, 0)
	}
	prune := func(f *fixture, before uint64) {
		t.Helper()
		if err := f.sl.Prune(before); err != nil {
			t.Fatal(err)
		}
	}
	prune(busy, 62) // an anchor is behind it
	if busy.sl.First() != 1 || idle.sl.First() != 1 {
		t.Fatal("pruned what a Core has not spoken of")
	}
	prune(idle, 9) // its newest group stays, for there is no checkpoint
	if first := busy.sl.First(); first != 1 {
		t.Fatalf("pruned to %d what an idle Core has need of", first)
	}
	held, err := idle.sl.HeldBack()
	if other, _ := busy.sl.HeldBack(); err != nil || held < 300_000 || other != 0 {
		t.Fatalf("the idle one holds back %d bytes, the other one %d: %v", held, other, err)
	}
	idle.checkpoint(1, State{VClock: idle.clock, NextGroup: idle.sl.Last() + 1})
	prune(idle, 9)
	if held, _ = idle.sl.HeldBack(); held != 0 || busy.sl.First() < 30 || idle.sl.First() != 3 {
		t.Fatalf("held back are %d bytes, the log begins with %d and %d", held, busy.sl.First(), idle.sl.First())
	}
	c.check()
	c.reopen()
	c.check()
	c.write(10, 1, 2, 0)
	c.reopen()
	c.check()
}

// TestJoinAnewInASlot: a Core fills a fresh slot while the others write, and so does
// its old one, and switches. A crash leaves the one or the other.
func TestJoinAnewInASlot(t *testing.T) {
	for _, end := range []string{"switch", "crash before", "discard", "another"} {
		t.Run(end, func(t *testing.T) {
			c := newCores(t, 3)
			old := c.of[1]
			c.write(100, 0, 1, 2, 1, 0)
			if err := errors.Join(old.sl.SetMeta("name", []byte("old")), old.sl.PutLost([]xrow.LostRow{lostRow(1, 2, 3)})); err != nil {
				t.Fatal(err)
			}
			old.checkpoint(5, State{VClock: old.clock, NextGroup: 3})
			sl, err := old.sl.Fresh()
			if err != nil {
				t.Fatal(err)
			}
			if end == "another" {
				first := sl
				if sl, err = old.sl.Fresh(); err != nil {
					t.Fatal(err)
				}
				if err := first.SetMeta("name", nil); !errors.Is(err, ErrClosed) {
					t.Errorf("a fresh slot that was dropped: %v", err)
				}
			}
			fresh := &fixture{t: t, s: c.s, sl: sl, clock: vclock.VClock{5: 7}}
			fresh.checkpoint(6, State{VClock: fresh.clock, NextGroup: 1})
			fresh.append(fresh.group(10, 5), fresh.group(10, 5))
			c.write(100, 1, 0, 2)
			if err := errors.Join(sl.SetMeta("name", []byte("fresh")), sl.PutLost([]xrow.LostRow{lostRow(9, 2, 4), lostRow(9, 2, 5)})); err != nil {
				t.Fatal(err)
			}
			c.check()
			fresh.check(1)
			want, name, lost := old, "old", 1
			switch end {
			case "switch", "another":
				if err := sl.Switch(); err != nil {
					t.Fatal(err)
				}
				if err := old.sl.Append([]*xrow.Group{old.group(1, 1)}); !errors.Is(err, ErrClosed) {
					t.Errorf("an append to the slot that was left: %v", err)
				}
				if _, err := old.sl.Seek(&vclock.VClock{}); !errors.Is(err, ErrClosed) {
					t.Errorf("a look at the slot that was left: %v", err)
				}
				c.of[1], want, name, lost = fresh, fresh, "fresh", 2
			case "discard":
				if err := sl.Discard(); err != nil {
					t.Fatal(err)
				}
				if err := old.sl.Discard(); err == nil {
					t.Error("discarded the slot of a Core")
				}
			}
			c.crash()
			for range 2 {
				c.check()
				value, _, err := want.sl.Meta("name")
				if rows := len(want.lost()); err != nil || string(value) != name || rows != lost {
					t.Fatalf("the value is %q, there are %d voided rows: %v", value, rows, err)
				}
				if on, err := c.s.slotsOnDisk(); err != nil || !slices.Equal(on, []uint32{want.sl.number}) {
					t.Errorf("on disk are %d, %v", on, err)
				}
				if r := c.verify(); !r.OK() || len(r.Cores) != 3 || r.Cores[1].Name != "core 1" || r.Cores[1].Groups != uint64(len(want.groups)) {
					t.Fatal(r)
				}
				c.write(10, 0, 1, 2)
				if another, err := want.sl.Fresh(); err != nil || another.number <= 4 {
					t.Errorf("slot %d is given again: %v", another.number, err)
				}
				c.reopen()
			}
		})
	}
}

// TestNumbersOfSlotsAreNotGivenAgain: groups of a slot that was left are in the log
// yet, and belong to nobody who comes.
func TestNumbersOfSlotsAreNotGivenAgain(t *testing.T) {
	c := newCores(t, 1)
	c.write(10, 0)
	for range 3 {
		sl, err := c.sl.Fresh()
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{t: t, s: c.s, sl: sl}
		for range 20 { // beyond an owner list
			f.append(f.group(10, 1))
		}
		c.crash()
		c.check()
	}
	sl, err := c.sl.Fresh()
	if err != nil {
		t.Fatal(err)
	}
	if err := sl.Switch(); err != nil {
		t.Fatal(err)
	}
	c.crash()
	if n := c.sl.Last(); n != 0 {
		t.Fatalf("a fresh slot has %d groups", n)
	}
}

func TestCoresByName(t *testing.T) {
	c := newCores(t, 2)
	if _, err := c.s.AddCore(1, "other"); err == nil || !strings.Contains(err.Error(), "core 1") {
		t.Error(err)
	}
	if c.s.Core(7) != nil {
		t.Error("a Core that nobody made")
	}
	c.crash()
	want := []CoreInfo{{0, "", 1}, {1, "core 1", 2}}
	if got := c.s.Cores(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestOneSyncForAllCores: what the Cores append while a sync is under way goes with
// the next one.
func TestOneSyncForAllCores(t *testing.T) {
	var gate atomic.Pointer[chan struct{}]
	var syncs atomic.Int64
	entered := make(chan struct{}, 100)
	c := newCores(t, 3, func(o *Options) {
		o.FS = errorfs.Wrap(o.FS, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !strings.HasSuffix(op.Path, walSuffix) || op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
				return nil
			}
			if wait := gate.Load(); wait != nil {
				syncs.Add(1)
				entered <- struct{}{}
				<-*wait
			}
			return nil
		}))
	})
	j := NewJournal(c.s)
	told := make(chan [2]int, 100)
	var writers []*Writer
	for id, f := range c.of {
		writers = append(writers, j.Writer(f.sl, func(no uint64) { told <- [2]int{id, int(no)} }, func(err error) { t.Error(err) }))
	}
	put := func(id int) {
		f := c.of[id]
		writers[id].Append(uint64(len(f.groups))+1, f.group(10, 1), nil)
	}
	wait := make(chan struct{})
	gate.Store(&wait)
	put(0)
	<-entered
	for _, id := range []int{1, 2, 1, 0, 2} {
		put(id)
	}
	close(wait)
	got := map[[2]int]bool{}
	for range 4 {
		got[<-told] = true
	}
	if want := map[[2]int]bool{{0, 1}: true, {0, 2}: true, {1, 2}: true, {2, 2}: true}; !maps.Equal(got, want) {
		t.Errorf("told of %v", got)
	}
	if n := syncs.Load(); n != 2 {
		t.Errorf("%d syncs", n)
	}
	for _, w := range writers {
		w.Close()
	}
	j.Close()
	c.check()
}

// TestAllCoresHearOfAFailure: each once, and then nothing more.
func TestAllCoresHearOfAFailure(t *testing.T) {
	var on atomic.Bool
	c := newCores(t, 3, func(o *Options) {
		o.FS = errorfs.Wrap(o.FS, onJournal(&on, syscall.EIO, errorfs.OpFileSync, errorfs.OpFileSyncData))
	})
	j := NewJournal(c.s)
	failed := make(chan int, 100)
	var writers []*Writer
	for id, f := range c.of {
		writers = append(writers, j.Writer(f.sl, func(no uint64) { t.Errorf("Core %d: group %d is written", id, no) },
			func(error) { failed <- id }))
	}
	on.Store(true)
	writers[1].Append(1, c.of[1].group(10, 1), nil)
	got := []int{<-failed, <-failed, <-failed}
	slices.Sort(got)
	writers[2].Append(1, c.of[2].group(10, 1), nil)
	for _, w := range writers {
		w.Close()
	}
	j.Close()
	if !slices.Equal(got, []int{0, 1, 2}) || len(failed) != 0 {
		t.Errorf("%v heard of it, and %d more", got, len(failed))
	}
}

// TestLostTailOfOneCore: the log lost its end. One Core has a checkpoint that goes on
// behind it, the other one goes on with what is left.
func TestLostTailOfOneCore(t *testing.T) {
	c, kept := lostTail(t)
	for range 9 {
		if kept < 20 {
			break
		}
		c, kept = lostTail(t) // Pebble had synced all by itself
	}
	other := c.of[1]
	if !c.sl.MayHaveLost() || !other.sl.MayHaveLost() || kept >= 20 || kept < 10 {
		t.Fatalf("%v %v, %d groups", c.sl.MayHaveLost(), other.sl.MayHaveLost(), kept)
	}
	if c.sl.First() != 31 || c.sl.Last() != 30 || c.sl.VClock() != c.clock {
		t.Fatalf("Core 0 goes on from %d to %d at %s", c.sl.First(), c.sl.Last(), c.sl.VClock())
	}
	other.groups, other.clock = other.groups[:kept], other.sl.VClock()
	if err := other.sl.ForgetLoss(); err != nil {
		t.Fatal(err)
	}
	c.write(10, 0, 1, 0)
	for range 2 {
		if c.sl.First() != 31 || c.sl.Last() != 32 || !c.sl.MayHaveLost() || other.sl.MayHaveLost() {
			t.Fatalf("Core 0 has groups %d to %d; lost: %v, %v", c.sl.First(), c.sl.Last(), c.sl.MayHaveLost(), other.sl.MayHaveLost())
		}
		c.of[0].check(31)
		other.check(1)
		if r := c.verify(); !r.OK() {
			t.Error(r)
		}
		c.reopen()
	}
}

// lostTail is a store of two Cores behind a crash of the machine: each had 20 groups or
// more, the first a checkpoint of all of its own, and of the second kept are there.
func lostTail(t *testing.T) (c *cores, kept uint64) {
	t.Helper()
	c = newCores(t, 2, func(o *Options) { o.Mode = Write })
	for range 10 {
		c.write(10, 0, 1)
	}
	if err := c.s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c.write(10, 0, 1, 0)
	}
	c.of[0].checkpoint(1, State{VClock: c.of[0].clock, NextGroup: 31})
	c.opts.BootID = "second"
	c.fs = c.fs.CrashClone(vfs.CrashCloneCfg{})
	c.opts.FS = c.fs
	c.fixture.open()
	c.attach()
	return c, c.of[1].sl.Last()
}

// TestOpenReadsLittle: how much Open reads does not go with the length of the log.
// It grows with the tables, each of which Pebble opens, and with several Cores with
// the owner lists.
func TestOpenReadsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("counts reads, which takes long under the race detector: make unit runs it without")
	}
	for n, c := range map[int]struct {
		times, more int64 // what the longer log may take
	}{1: {2, 12}, 3: {2, 50}} {
		short, long := readsOfOpen(t, n)
		if long > c.times*short+c.more {
			t.Errorf("%d Cores: %d reads of a log, %d of one of four times its length", n, short, long)
		}
	}
}

// readsOfOpen counts how often Open reads tables: of a log, and of one that is four
// times as long.
func readsOfOpen(t *testing.T, n int) (short, long int64) {
	var reads atomic.Int64
	c := newCores(t, n, func(o *Options) {
		o.FS = errorfs.Wrap(o.FS, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") {
				reads.Add(1)
			}
			return nil
		}))
		o.CacheSize, o.MemTableSize = 1, 4<<20
	})
	ids := make([]int, 300)
	for i := range ids {
		ids[i] = i % n
	}
	grow := func(batches int) int64 {
		for range batches {
			c.s.owners.every = listGroups
			c.write(100, ids...)
		}
		c.fixture.reopen()
		c.fixture.reopen()
		before := reads.Load()
		c.fixture.reopen()
		took := reads.Load() - before
		c.attach()
		return took
	}
	short = grow(50)
	long = grow(150)
	c.check()
	return short, long
}

// TestFormerGroups: what a Core has left is in the log until it is pruned, and cat
// says what it is.
func TestFormerGroups(t *testing.T) {
	c := newCores(t, 2)
	c.write(10, 0, 1, 1)
	fresh, err := c.of[1].sl.Fresh()
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Switch(); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, e := range c.cat(Filter{}) {
		place, _, _ := strings.Cut(e.String(), " 1:")
		got[strings.Split(place, " 2:")[0]]++
	}
	if n := got["1.0"]; n != 1 || got["former core 1 1.0"] != 1 || got["former core 1 2.0"] != 1 {
		t.Errorf("%v", got)
	}
	if n := len(c.cat(Filter{Cores: []uint32{1}})); n != 4 {
		t.Errorf("%d rows of Core 1", n)
	}
	if r := c.verify(); !r.OK() || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "2 groups are of data that a Core has left") {
		t.Error(r)
	}
}
