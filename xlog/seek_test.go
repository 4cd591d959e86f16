package xlog

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"pgregory.net/rapid"
)

func testRNG() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// slowSeek is the definition: the greatest group with nothing in front of it
// that v lacks.
func slowSeek(f *fixture, first uint64, v *vclock.VClock) (uint64, bool) {
	if first <= uint64(len(f.groups)) && !v.Covers(&f.groups[first-1].Before) {
		return 0, false
	}
	for no := first; no <= uint64(len(f.groups)); no++ {
		if !v.Covers(&f.groups[no-1].After) {
			return no, true
		}
	}
	return uint64(len(f.groups)) + 1, true
}

func checkSeek(t interface{ Fatalf(string, ...any) }, f *fixture, v *vclock.VClock) {
	want, ok := slowSeek(f, f.sl.First(), v)
	got, err := f.sl.Seek(v)
	if ok && (err != nil || got != want) || !ok && !errors.Is(err, ErrGap) {
		t.Fatalf("Seek(%s) is %d, %v; want %d, %v (log %d to %d)", v, got, err, want, ok, f.sl.First(), f.sl.Last())
	}
}

// TestSeekAgainstSlowTwin draws logs of several authors, restarts and removals,
// and compares Seek with its definition.
func TestSeekAgainstSlowTwin(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := newFixture(t, func(o *Options) { o.Log, o.MemTableSize = nil, 64<<10 })
		for range rapid.IntRange(1, 4).Draw(r, "lives") {
			for range rapid.IntRange(1, 150).Draw(r, "groups") {
				origins := make([]uint32, rapid.IntRange(1, 3).Draw(r, "rows"))
				for i := range origins {
					origins[i] = rapid.Uint32Range(0, 3).Draw(r, "origin")
				}
				f.append(f.group(300, origins...))
			}
			if rapid.Bool().Draw(r, "prune") {
				if err := f.sl.Prune(rapid.Uint64Range(1, f.sl.Last()+3).Draw(r, "before")); err != nil {
					r.Fatal(err)
				}
			}
			for range 10 {
				v := f.groups[rapid.IntRange(0, len(f.groups)-1).Draw(r, "at")].After
				if rapid.Bool().Draw(r, "other") {
					id := rapid.IntRange(1, 3).Draw(r, "id")
					v[id] = rapid.Uint64Range(0, f.clock[id]+2).Draw(r, "lsn")
				}
				checkSeek(r, f, &v)
			}
			if rapid.Bool().Draw(r, "clean") {
				f.reopen()
			} else {
				_ = f.s.Close()
				f.crash()
			}
			f.check(f.sl.First())
		}
		_ = f.s.Close()
	})
}

// TestSeekSeesAJump: a checkpoint that came by JOIN is ahead of the log. A peer
// behind it has rows to get that are in no group.
func TestSeekSeesAJump(t *testing.T) {
	f := newFixture(t)
	f.fill(10, 10)
	old := f.clock
	f.clock[1] += 100
	w, err := f.sl.NewCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(State{VClock: f.clock, NextGroup: 11}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if f.sl.VClock() != f.clock {
			t.Fatal(f.sl.VClock())
		}
		if _, err := f.sl.Seek(&old); !errors.Is(err, ErrGap) {
			t.Fatal(err)
		}
		if no, err := f.sl.Seek(&f.clock); err != nil || no != f.sl.Last()+1 {
			t.Fatal(no, err)
		}
		f.fill(1, 10)
		f.reopen()
		f.check(1)
	}
}

// TestReaderFollowsAppends: readers at work while groups are appended and
// removed get each group once, in order, and never one that is not synced.
func TestReaderFollowsAppends(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	const total = 400
	groups := make([]*xrow.Group, total)
	for i := range groups {
		groups[i] = f.group(2000, 1+uint32(i)%3)
	}
	done := make(chan error)
	more := make([]chan struct{}, 3)
	for i := range more {
		more[i] = make(chan struct{}, total)
		go func() { done <- follow3(f, more[i]) }()
	}
	for _, g := range groups {
		f.append(g)
		for i := range more {
			more[i] <- struct{}{}
		}
	}
	for range more {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func follow3(f *fixture, more chan struct{}) error {
	r := f.sl.Read(1)
	defer r.Close()
	for want := uint64(1); want <= uint64(len(f.groups)); {
		no, g, err := r.Next()
		if err == io.EOF {
			<-more
			continue
		}
		if err != nil {
			return err
		}
		if no != want || no > f.sl.Last() || string(g.Rows) != string(f.groups[no-1].Rows) || g.After != f.groups[no-1].After {
			return fmt.Errorf("group %d for %d, synced %d", no, want, f.sl.Last())
		}
		want++
	}
	return nil
}

// TestNothingIsCompacted: in steady state, with appends, removals, checkpoints
// and named values, all that is written is the journal and one table of each
// memtable.
func TestNothingIsCompacted(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	for round := range 30 {
		for range 100 {
			f.append(f.group(10000, 1))
			f.groups = f.groups[:0]
		}
		w, err := f.sl.NewCheckpoint()
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if err := w.Add(512, []byte{0x91, 1}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Finish(State{VClock: f.clock, NextGroup: f.sl.Last() + 1}); err != nil {
			t.Fatal(err)
		}
		if c := f.sl.Checkpoints(); len(c) > 2 {
			if err := f.sl.DropCheckpoint(c[2].ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.sl.Prune(f.sl.Last() - 100); err != nil {
			t.Fatal(err)
		}
		if err := f.sl.SetMeta("round", []byte{byte(round)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	m := f.s.db.Metrics()
	var compacted, flushed uint64
	for _, l := range m.Levels {
		compacted += l.TableBytesCompacted
		flushed += l.TableBytesFlushed
	}
	if compacted != 0 || m.Compact.Count != 0 {
		t.Errorf("%d bytes compacted in %d compactions, %d flushed", compacted, m.Compact.Count, flushed)
	}
	if size := m.DiskSpaceUsage(); flushed < 29e6 || size > 12e6 {
		t.Errorf("flushed %d, on disk %d\n%s", flushed, size, m)
	}
	if f.sl.Last()-f.sl.First() > 300 {
		t.Errorf("%d to %d", f.sl.First(), f.sl.Last())
	}
}
