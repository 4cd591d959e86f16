package server

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tarragon/config"
	"tarragon/xlog"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashMachine makes the store of a stopped instance look as after a power cut.
func (n *node1) crashMachine() {
	n.set.t.Helper()
	path := filepath.Join(storeDir(n.load()), "TARRAGON")
	text, err := os.ReadFile(path)
	if err != nil {
		n.set.t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "boot ") {
			lines[i] = "boot of-another-day"
		}
		if strings.HasPrefix(l, "clean ") {
			lines[i] = "clean false"
		}
		if strings.HasPrefix(l, "closed ") {
			lines[i] = "closed false"
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		n.set.t.Fatal(err)
	}
}

// Rule 13: a member whose machine went down under wal.mode write comes back
// under a new replica ID, with all rows, and its old store is kept.
func TestLostLogIsANewLife(t *testing.T) {
	s := newSet(t, 3, "wal: {mode: write}\n")
	s.startAll()
	s.makeSpace()
	s.fill(0, 50)
	victim := s.nodes[0]
	before, _ := victim.info()
	if err := victim.halt(); err != nil {
		t.Fatal(err)
	}
	victim.crashMachine()
	s.fill(50, 100)
	victim.start()
	s.until("the victim is back", func() bool { i, ok := victim.info(); return ok && i.ID != 0 })
	s.level()
	after, _ := victim.info()
	if after.ID == before.ID || after.UUID != before.UUID {
		t.Errorf("it came back with ID %d, it was %d", after.ID, before.ID)
	}
	if got := victim.rows(); got != 100 {
		t.Errorf("%d rows", got)
	}
	if len(after.Members) != 3 {
		t.Errorf("members %+v", after.Members)
	}
	if _, err := os.Stat(oldDir(storeDir(victim.load()))); err != nil {
		t.Errorf("the old store: %v", err)
	}
	if err := victim.halt(); err != nil {
		t.Fatal(err)
	}
	victim.start()
	s.until("back once more", func() bool { i, ok := victim.info(); return ok && i.ID == after.ID })
}

// A node that has nobody else goes on; so does a member that is told to.
func TestLostLogGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		nodes int
		flags []config.Flag
	}{
		"alone":    {1, nil},
		"accepted": {3, []config.Flag{{Name: "f", Path: "tarragon.accept_loss", Value: "true"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSet(t, c.nodes, "wal: {mode: write}\n")
			s.startAll()
			s.makeSpace()
			s.fill(0, 20)
			s.level()
			for _, n := range s.nodes {
				if err := n.halt(); err != nil {
					t.Fatal(err)
				}
				n.crashMachine()
				n.flags = c.flags
			}
			s.startAll()
			s.fill(20, 30)
			if got := s.leader().rows(); got != 30 {
				t.Errorf("%d rows", got)
			}
			if n := s.nodes[0]; !strings.Contains(n.log.String(), "ROWS MAY BE LOST") || n.server().store.MayHaveLost() {
				t.Errorf("no warning, or it was not taken down: %s", n.log.String())
			}
		})
	}
}

// An empty log that may have lost rows begins a new life: who joins with the
// incarnation of the former one would get its replica ID, and its LSNs, back.
func TestEmptyLossIsANewLife(t *testing.T) {
	s := newSet(t, 1, "wal: {mode: write}\n")
	n := s.nodes[0]
	srv := &Server{in: n.load(), cfg: Config{openStore: xlog.Open}}
	dir := storeDir(srv.in)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	open := func() {
		t.Helper()
		if err := srv.openOwn(); err != nil {
			t.Fatal(err)
		}
		if err := srv.checkEmptyLoss(); err != nil {
			t.Fatal(err)
		}
		if err := srv.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	open()
	first := srv.identity
	open()
	if srv.identity != first {
		t.Errorf("%+v became %+v without a loss", first, srv.identity)
	}
	n.crashMachine()
	open()
	if srv.identity.UUID != first.UUID || srv.identity.Incarnation == first.Incarnation {
		t.Errorf("%+v became %+v", first, srv.identity)
	}
}

// A mark of a certain loss sends every later start to a rejoin.
func TestMarkOfLoss(t *testing.T) {
	fs := vfs.NewMem()
	store, err := xlog.Open(xlog.Options{Dir: "d", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := &Server{store: store, in: &config.Instance{}}
	if err := s.checkLoss(false); err != nil {
		t.Fatal(err)
	}
	if err := markLost(store, &rejoin{cause: errors.New("beyond the log")}); err != nil {
		t.Fatal(err)
	}
	if err := s.checkLoss(false); err != nil {
		t.Fatalf("a gap is no loss: %v", err)
	}
	if err := markLost(store, &rejoin{cause: errors.New("LSN 7 of ours is at instance 2"), newLife: true}); err != nil {
		t.Fatal(err)
	}
	s.in.Tarragon.AcceptLoss = true // what is known to be lost cannot be accepted
	var r *rejoin
	if err := s.checkLoss(true); !errors.As(err, &r) || !r.newLife || !strings.Contains(err.Error(), "LSN 7") {
		t.Errorf("%v", err)
	}
}

// A store that was copied back from an earlier day acked more than it has, though
// it may have no rows of its own: it is a lost log.
func TestDiskThatWentBack(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.fill(0, 20)
	s.level()
	leader := s.leader()
	i := slices.IndexFunc(s.nodes, func(n *node1) bool { return n != leader })
	victim := s.nodes[i]
	before, _ := victim.info()
	if err := victim.halt(); err != nil {
		t.Fatal(err)
	}
	dir, yesterday := storeDir(victim.load()), t.TempDir()
	if err := os.CopyFS(yesterday, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	victim.start()
	s.until("it is back", func() bool { i, ok := victim.info(); return ok && i.ID == before.ID })
	s.fill(20, 50)
	s.level()
	if err := victim.halt(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(yesterday))); err != nil {
		t.Fatal(err)
	}
	victim.start()
	s.until("it has begun a new life", func() bool { i, ok := victim.info(); return ok && i.ID != 0 && i.ID != before.ID })
	s.level()
	if got := victim.rows(); got != 50 {
		t.Errorf("%d rows", got)
	}
}
