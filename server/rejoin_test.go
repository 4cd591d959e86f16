package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A swap of stores by a release before, which died anywhere, is completed by the start: a
// complete new store takes the place of the old one, which stays, and no other one is left.
func TestElderSwapIsCompleted(t *testing.T) {
	for stopAt := range 5 {
		dir := filepath.Join(t.TempDir(), "store")
		write := func(d, text string) {
			t.Helper()
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(d, "who"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(dir, "old")
		write(newDir(dir), "new")
		write(oldDir(dir), "of an earlier swap")
		steps := []func() error{
			func() error { return os.Rename(newDir(dir), readyDir(dir)) },
			func() error { return os.Rename(oldDir(dir), oldDir(dir)+".2") },
			func() error { return os.Rename(dir, oldDir(dir)) },
			func() error { return os.Rename(readyDir(dir), dir) },
		}
		for _, step := range steps[:stopAt] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := finishElder(dir); err != nil {
				t.Fatal(err)
			}
		}
		want := "new"
		if stopAt == 0 {
			want = "old" // "new" was not known to be complete
		}
		if got, err := os.ReadFile(filepath.Join(dir, "who")); err != nil || string(got) != want {
			t.Errorf("died before step %d: %q, %v", stopAt, got, err)
		}
		earlier := oldDir(dir) + ".2"
		if stopAt == 0 {
			earlier = oldDir(dir) // nothing was swapped
		}
		if got, err := os.ReadFile(filepath.Join(earlier, "who")); err != nil || string(got) != "of an earlier swap" {
			t.Errorf("died before step %d: the store that was kept before: %q, %v", stopAt, got, err)
		}
		for _, rest := range []string{newDir(dir), readyDir(dir)} {
			if ok, _ := exists(rest); ok {
				t.Errorf("died before step %d: %s is still there", stopAt, rest)
			}
		}
	}
}

// A member beyond the log of all others joins anew under its own name.
func TestGapJoinsAnew(t *testing.T) {
	s := newSet(t, 3, "snapshot: {count: 1}\ntarragon: {max_log_entries: 10}\n")
	s.startAll()
	s.makeSpace()
	s.fill(0, 10)
	s.level()
	late := s.nodes[2]
	before, _ := late.info()
	if err := late.halt(); err != nil {
		t.Fatal(err)
	}
	// Restarts turn the log into tables, and a checkpoint lets those go.
	for round := range 2 {
		s.fill(100*round, 100*round+500)
		for _, n := range s.nodes[:2] {
			if err := n.halt(); err != nil {
				t.Fatal(err)
			}
			n.start()
			s.until("it is back", func() bool { _, ok := n.info(); return ok })
			s.leader()
		}
	}
	s.level()
	for _, n := range s.nodes[:2] {
		n.call("box.snapshot")
		s.until("old log is gone", func() bool {
			old := n.server().main().store.Oldest()
			return !before.Synced.Covers(&old)
		})
	}
	late.start()
	s.until("it has joined anew", func() bool {
		late.mu.Lock()
		defer late.mu.Unlock()
		return late.mainRuns >= 4 // before, with the gap, joining, and with the new state
	})
	s.until("it serves", func() bool { _, ok := late.info(); return ok })
	s.level()
	after, _ := late.info()
	if after.ID != before.ID || after.Term < before.Term {
		t.Errorf("it was %d in term %d, it is %d in term %d", before.ID, before.Term, after.ID, after.Term)
	}
	if got, want := late.rows(), s.leader().rows(); got != want {
		t.Errorf("%d rows, the leader has %d", got, want)
	}
	if all := late.formers(); len(all) != 0 {
		t.Errorf("former slots: %+v", all)
	}
}

// While nobody can give it a state, an instance in doubt serves what it has, and
// stops when it is asked to.
func TestInDoubtAlone(t *testing.T) {
	s := newSet(t, 3, "wal: {mode: write}\n")
	s.startAll()
	for _, n := range s.nodes {
		if err := n.halt(); err != nil {
			t.Fatal(err)
		}
	}
	n := s.nodes[1]
	n.crashMachine()
	n.start()
	s.until("it is in doubt", func() bool { i, ok := n.info(); return ok && errors.Is(i.Failed, instance.ErrLostData) })
	if name := n.call("box.info")[0].(map[any]any)["uuid"]; name == nil {
		t.Error("it serves nothing")
	}
	if err := n.halt(); err != nil {
		t.Errorf("the stop: %v", err)
	}
	s.startAll() // the others give it the state, the new life begins
	s.until("it is somebody else", func() bool { i, ok := n.info(); return ok && i.ID > 3 && i.Failed == nil })
}

// The leader for whose state an instance has left its data is gone before it gave
// it: the instance goes back to the old slot.
func TestBackToTheOldSlot(t *testing.T) {
	s := newSet(t, 3, "wal: {mode: write}\n")
	s.startAll()
	s.makeSpace()
	s.fill(0, 10)
	n := s.nodes[2]
	s.level()
	s.until("it knows them to be confirmed", func() bool { return n.rows() == 10 })
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	n.crashMachine()
	n.giverPatience = time.Second
	var once sync.Once
	left, gone := make(chan struct{}), make(chan struct{})
	n.anew = func() {
		once.Do(func() { close(left) })
		<-gone
	}
	n.start()
	<-left
	for _, other := range s.nodes[:2] {
		if err := other.halt(); err != nil {
			t.Fatal(err)
		}
	}
	close(gone)
	s.until("it is back in doubt", func() bool {
		i, ok := n.info()
		return ok && n.server().main().life.anew == nil && errors.Is(i.Failed, instance.ErrLostData) && strings.Contains(n.log.String(), errNoGiver.Error())
	})
	if got := n.rows(); got != 10 {
		t.Errorf("%d rows", got)
	}
	for _, other := range s.nodes[:2] {
		other.start()
	}
	s.until("it is somebody else", func() bool { i, ok := n.info(); return ok && i.ID > 3 && i.Failed == nil })
}

// What must be kept of the old slot is read from the disk, once its run is over:
// term and vote, rows that the state does not settle, rows that were voided.
func TestKept(t *testing.T) {
	in := &config.Instance{}
	in.WAL.Dir = t.TempDir()
	l := newLife(in)
	l.anew = &rejoin{self: 2, shown: instance.Shown{Term: 4, Vote: 2, Ack: vclock.VClock{2: 5}}}
	store := l.openHome(t)
	defer func() { _ = store.Close() }()
	old := store.Core(0)
	g := &xrow.Group{}
	for lsn := uint64(1); lsn <= 5; lsn++ {
		g.Add(&xrow.Row{Type: xrow.Insert, ReplicaID: 2, LSN: lsn, TSN: lsn, Term: 3, Flags: xrow.FlagCommit,
			Body: []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, byte(lsn)}}, 512, true, 0)
	}
	vote := xrow.Raft{Term: 4, Vote: 2}
	g.Add(&xrow.Row{Type: xrow.RaftState, GroupID: xrow.GroupLocal, LSN: 1, TSN: 1, Flags: xrow.FlagCommit, Body: vote.AppendBody(nil)}, 0, true, 0)
	if err := errors.Join(old.Append([]*xrow.Group{g}), old.PutLost([]xrow.LostRow{{Term: 1, Origin: 2, LSN: 9}})); err != nil {
		t.Fatal(err)
	}
	st := instance.State{VClock: vclock.VClock{1: 7, 2: 3}, Term: 4, Vote: 1, Confirmed: 7,
		History: []terms.Span{{Term: 3, Owner: 2, First: 1, Last: 3, Rules: terms.Strong}, {Term: 4, Owner: 1, First: 6, Last: 7, Rules: terms.Strong}}}
	kept, err := l.kept(st)
	if err != nil {
		t.Fatal(err)
	}
	if kept.State.Vote != 2 || kept.State.Term != 4 {
		t.Errorf("vote for %d in term %d", kept.State.Vote, kept.State.Term)
	}
	if len(kept.Log) != 1 || kept.Log[0].After != (vclock.VClock{1: 7, 2: 5}) || kept.Log[0].Table[1].Type != xrow.Nop {
		t.Errorf("log %+v", kept.Log)
	}
	if l := kept.Lost; len(l) != 3 || l[0].LSN != 9 || l[2].LSN != 5 || len(l[2].Frame) == 0 {
		t.Errorf("kept are %+v", l)
	}
	l.anew.shown.Ack[2] = 6
	if _, err := l.kept(st); !errors.Is(err, instance.ErrLostData) {
		t.Errorf("row 6 was acked and is not here: %v", err)
	}
	l.anew.newLife = true
	if kept, err := l.kept(st); err != nil || kept.Log != nil || kept.State.Vote != 1 {
		t.Errorf("a new life keeps nothing: %v, %+v", err, kept)
	}
}

// Each write since it was in doubt fails, one after the other: a rejoin ends with what
// is the matter, and the next start begins it anew. It neither asks its peers for
// ever nor takes a state that is not complete.
func TestRejoinOnAFailingDisk(t *testing.T) {
	s := newSet(t, 3, "wal: {mode: write}\n")
	s.startAll()
	s.makeSpace()
	s.fill(0, 50)
	s.level()
	n := s.nodes[2]
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	n.crashMachine()
	for nth := int64(1); ; nth += nth/20 + 1 {
		var doubt atomic.Bool
		var writes atomic.Int64
		n.begins = func(context.Context, string) error {
			doubt.Store(true)
			return nil
		}
		n.openStore = func(o xlog.Options) (*xlog.Store, error) {
			o.FS = errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if doubt.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFilePreallocate && writes.Add(1) >= nth {
					return syscall.EIO
				}
				return nil
			}))
			return xlog.Open(o)
		}
		n.mu.Lock()
		n.srv = nil // that of the run before
		n.mu.Unlock()
		n.start()
		var end error
		ended, served := false, false
		s.until("it ends, or has joined", func() bool {
			select {
			case end = <-n.done:
				ended, n.stop = true, nil
			default:
				i, ok := n.info()
				served = ok && i.Failed == nil
			}
			return ended || served
		})
		if served {
			if nth < 10 {
				t.Errorf("it has joined, though all writes fail from the %dth on", nth)
			}
			break
		}
		if !errors.Is(end, syscall.EIO) || strings.Contains(end.Error(), "\n") {
			t.Fatalf("write %d: %v", nth, end)
		}
	}
	s.level()
	if got, want := n.rows(), s.leader().rows(); got != want {
		t.Errorf("%d rows, the leader has %d", got, want)
	}
}
