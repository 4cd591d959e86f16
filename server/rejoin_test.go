package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tarragon/config"
	"tarragon/instance"
	"tarragon/vclock"
	"tarragon/xlog"
	"tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
)

// A swap of stores that dies anywhere is completed by the next start.
func TestSwapSurvivesCrashes(t *testing.T) {
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
			func() error { return os.RemoveAll(oldDir(dir)) },
			func() error { return os.Rename(dir, oldDir(dir)) },
			func() error { return os.Rename(readyDir(dir), dir) },
		}
		for _, step := range steps[:stopAt] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := finishSwap(dir); err != nil {
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
		if ok, _ := exists(readyDir(dir)); ok {
			t.Errorf("died before step %d: the ready store is still there", stopAt)
		}
	}
}

// A state that lacks what we may have acked is not taken under the old name.
func TestKeep(t *testing.T) {
	r := &rejoin{vclock: vclock.VClock{1: 10, 2: 5}, self: 2, newest: 4, term: 4, vote: 2}
	for _, c := range []struct {
		have vclock.VClock
		ok   bool
	}{
		{vclock.VClock{1: 10, 2: 5}, true},
		{vclock.VClock{1: 99, 2: 5, 3: 1}, true},
		{vclock.VClock{1: 9, 2: 50}, false},
		{vclock.VClock{1: 50, 2: 4}, false},
	} {
		st := instance.State{VClock: c.have, Term: 4, Vote: 1}
		err := r.keep(&st)
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, errBehind) {
			t.Errorf("%s: %v", c.have, err)
		}
		if st.VClock != c.have {
			t.Errorf("the vclock became %s: it would hide rows that are not there", st.VClock)
		}
		if c.ok && st.Vote != 2 {
			t.Errorf("the vote of term 4 was forgotten: %d", st.Vote)
		}
	}
	newer := instance.State{VClock: vclock.VClock{1: 50, 2: 4}, Term: 5, History: []instance.TermSpan{{Term: 4}, {Term: 5}}}
	if err := r.keep(&newer); err != nil || newer.VClock != (vclock.VClock{1: 50, 2: 4}) {
		t.Errorf("a newer term in effect leaves our rows out: %v, %s", err, newer.VClock)
	}
	r.newLife = true
	if err := r.keep(&instance.State{}); err != nil {
		t.Errorf("a new life keeps nothing: %v", err)
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
			old := n.server().store.Oldest()
			return !before.Synced.Covers(&old)
		})
	}
	late.start()
	s.until("it has joined anew", func() bool {
		late.mu.Lock()
		defer late.mu.Unlock()
		return late.runs >= 4 // before, with the gap, joining, and with the new store
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
	if ok, _ := exists(oldDir(storeDir(late.load()))); ok {
		t.Error("the old store is still there")
	}
}

// While it waits for a state, an instance that joins anew answers LOADING, and
// stops when it is asked to.
func TestLoadingWhileJoiningAnew(t *testing.T) {
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
	s.until("it waits for peers", func() bool { srv := n.server(); return srv != nil && srv.anew != nil && srv.boot.Load() != nil })
	_, err := tarantool.Connect(t.Context(), tarantool.NetDialer{Address: n.addr, User: "admin1", Password: "a"}, tarantool.Opts{})
	if err == nil || !strings.Contains(err.Error(), "Instance bootstrap hasn't finished yet") {
		t.Errorf("a client: %v", err)
	}
	if err := n.halt(); err != nil {
		t.Errorf("the stop: %v", err)
	}
	s.startAll() // the others give it the state, the new life begins
	if i, _ := n.info(); i.ID <= 3 {
		t.Errorf("it is still instance %d", i.ID)
	}
}

// Our void rows go into the new store as NOPs, so that its log begins where the
// others' vclocks are, and to the rows that are kept for the operator.
func TestLeftovers(t *testing.T) {
	in := &config.Instance{}
	in.WAL.Dir = t.TempDir()
	s := &Server{in: in, cfg: Config{openStore: xlog.Open}, anew: &rejoin{vclock: vclock.VClock{2: 5}, self: 2}}
	old, err := s.openStore(storeDir(in))
	if err != nil {
		t.Fatal(err)
	}
	g := &xrow.Group{}
	for lsn := uint64(1); lsn <= 5; lsn++ {
		g.Add(&xrow.Row{Type: xrow.Insert, ReplicaID: 2, LSN: lsn, TSN: lsn, Term: 3, Flags: xrow.FlagCommit,
			Body: []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, byte(lsn)}}, 512, true, 0)
	}
	if err := errors.Join(old.Append([]*xrow.Group{g}), old.PutLost([]xrow.LostRow{{Term: 1, Origin: 2, LSN: 9}}), old.Close()); err != nil {
		t.Fatal(err)
	}
	l, err := s.leftovers(&vclock.VClock{1: 7, 2: 3})
	if err != nil {
		t.Fatal(err)
	}
	if l.nops.Before != (vclock.VClock{1: 7, 2: 3}) || l.nops.After != (vclock.VClock{1: 7, 2: 5}) || len(l.nops.Table) != 2 {
		t.Errorf("NOPs from %s to %s", l.nops.Before, l.nops.After)
	}
	if row, err := l.nops.Row(1); err != nil || row.Type != xrow.Nop || row.LSN != 5 || row.Term != 3 {
		t.Errorf("%v %+v", err, row)
	}
	if len(l.lost) != 3 || l.lost[0].LSN != 9 || l.lost[2].LSN != 5 || len(l.lost[2].Frame) == 0 {
		t.Errorf("kept are %+v", l.lost)
	}
	if l, err = s.leftovers(&vclock.VClock{2: 5}); err != nil || l.nops != nil {
		t.Errorf("nothing is void: %v, %v", l.nops, err)
	}
	s.anew.vclock[2] = 6
	if _, err := s.leftovers(&vclock.VClock{2: 3}); !errors.Is(err, errBehind) {
		t.Errorf("row 6 is nowhere: %v", err)
	}
}
