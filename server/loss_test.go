package server

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

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
// under a new replica ID, with all rows, and its old data is kept as a former slot.
func TestLostLogIsANewLife(t *testing.T) {
	s := newSet(t, 3, "wal: {mode: write}\n")
	s.startAll()
	s.makeSpace()
	s.fill(0, 50)
	s.level() // its log is to have them all
	victim := s.nodes[0]
	before, _ := victim.info()
	if err := victim.halt(); err != nil {
		t.Fatal(err)
	}
	victim.crashMachine()
	s.fill(50, 100)
	victim.start()
	s.until("the victim is back", func() bool { i, ok := victim.info(); return ok && i.ID != 0 && i.Failed == nil })
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
	if all := victim.formers(); len(all) != 1 || all[0].Why != errMayHaveLost.Error() {
		t.Errorf("former slots: %+v", all)
	}
	rows := 0
	if err := xlog.Cat(nil, storeDir(victim.load()), xlog.Filter{Slot: victim.formers()[0].Slot, Spaces: []uint32{512}}, func(xlog.Entry) error { rows++; return nil }); err != nil || rows != 50 {
		t.Errorf("%d rows of it, %v", rows, err)
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
			if n := s.nodes[0]; !strings.Contains(n.log.String(), "ROWS MAY BE LOST") || n.server().main().store.MayHaveLost() {
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
	l := newLife(n.load())
	dir := storeDir(l.conf)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	open := func() {
		t.Helper()
		store := l.openHome(t)
		if _, err := l.begin(); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	open()
	first := l.identity
	open()
	if l.identity != first {
		t.Errorf("%+v became %+v without a loss", first, l.identity)
	}
	n.crashMachine()
	open()
	if l.identity.UUID != first.UUID || l.identity.Incarnation == first.Incarnation {
		t.Errorf("%+v became %+v", first, l.identity)
	}
}

// A mark of a certain loss sends every later start to a rejoin.
func TestMarkOfLoss(t *testing.T) {
	fs := vfs.NewMem()
	store, err := xlog.Open(xlog.Options{Dir: "d", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	l := newLife(&config.Instance{})
	l.store = store.Core(0)
	if err := l.checkLoss(false); err != nil {
		t.Fatal(err)
	}
	if err := markLost(store.Core(0), &rejoin{cause: errors.New("beyond the log")}); err != nil {
		t.Fatal(err)
	}
	if err := l.checkLoss(false); err != nil {
		t.Fatalf("a gap is no loss: %v", err)
	}
	if err := markLost(store.Core(0), &rejoin{cause: errors.New("LSN 7 of ours is at instance 2"), newLife: true}); err != nil {
		t.Fatal(err)
	}
	l.conf.Tarragon.AcceptLoss = true // what is known to be lost cannot be accepted
	if err := l.checkLoss(true); err != nil || l.doubt == nil || !strings.Contains(l.doubt.Error(), "LSN 7") {
		t.Errorf("%v, in doubt for %v", err, l.doubt)
	}
	l.trusted = true
	if err := l.checkLoss(true); err != nil || l.doubt != nil {
		t.Errorf("%v, in doubt for %v although an operator has said otherwise", err, l.doubt)
	}
	l.trusted = false
	if err := l.checkLoss(true); err != nil || l.doubt != nil {
		t.Errorf("%v, in doubt for %v after that", err, l.doubt)
	}
}

// Where all members may have lost rows none leaves its store: each goes on serving
// reads and waits, until an operator says which disks are to be believed.
func TestAllInDoubt(t *testing.T) {
	s := newSet(t, 3, "wal: {mode: write}\n")
	s.startAll()
	s.makeSpace()
	s.fill(0, 20)
	s.level()
	for _, n := range s.nodes {
		if err := n.halt(); err != nil {
			t.Fatal(err)
		}
		n.crashMachine()
	}
	for _, n := range s.nodes {
		n.start()
	}
	for _, n := range s.nodes {
		s.until("it serves in doubt", func() bool {
			i, ok := n.info()
			return ok && errors.Is(i.Failed, instance.ErrLostData)
		})
		if got := n.rows(); got != 20 {
			t.Errorf("%s has %d rows", n.name, got)
		}
	}
	for _, n := range s.nodes[:2] {
		n.call("tarragon.accept_loss")
	}
	s.until("the third one has joined anew", func() bool { i, ok := s.nodes[2].info(); return ok && i.Failed == nil && i.ID == 4 })
	s.fill(20, 30)
	s.level()
	for _, n := range s.nodes {
		if got := n.rows(); got != 30 {
			t.Errorf("%s has %d rows", n.name, got)
		}
	}
	if i, _ := s.nodes[0].info(); i.ID == 4 {
		t.Error("one that was to go on has joined anew")
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
	victim.shown() // to both: one that was not may bring the rows before the other says what it was shown
	if err := victim.halt(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(yesterday))); err != nil {
		t.Fatal(err)
	}
	victim.start()
	// If both say so before the rows are here again it comes back under a new identity, else
	// as one who has all again. Either way it counts.
	s.until("it is noticed", func() bool { return strings.Contains(victim.log.String(), string(instance.FactClaim)) })
	s.until("it takes part", func() bool { i, ok := victim.info(); return ok && i.ID != 0 && i.Failed == nil && i.Doubted == "" })
	s.level()
	if got := victim.rows(); got != 50 {
		t.Errorf("%d rows", got)
	}
	j := slices.IndexFunc(s.nodes, func(n *node1) bool { return n != leader && n != victim })
	s.until("it is a voter", func() bool {
		i, ok := leader.info()
		return ok && len(i.Members) == 3 && !slices.ContainsFunc(i.Members, func(m box.Member) bool { return m.Learner })
	})
	if err := s.nodes[j].halt(); err != nil {
		t.Fatal(err)
	}
	s.fill(50, 60)
}

// A member holds a row of ours that our disk has lost, and no other is left: when an
// operator has accepted the loss, the row is taken like any other, and the two go on.
func TestAcceptLossOfOwnRows(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.fill(0, 10)
	s.level()
	lead := s.leader()
	i := slices.IndexFunc(s.nodes, func(n *node1) bool { return n != lead })
	a, third := s.nodes[i], s.nodes[slices.IndexFunc(s.nodes, func(n *node1) bool { return n != lead && n != s.nodes[i] })]
	ours, _ := a.info()
	lost := xrow.Row{Type: xrow.Nop, ReplicaID: ours.ID, LSN: 5, TSN: 5, Flags: xrow.FlagCommit}
	if err := third.halt(); err != nil {
		t.Fatal(err)
	}
	if err := lead.server().main().engine.Load().loop.Submit(instance.Rows{From: ours.ID, Rows: []xrow.Row{lost}}); err != nil {
		t.Fatal(err)
	}
	s.until("the row is there", func() bool { i, ok := lead.info(); return ok && i.Synced[ours.ID] == 5 })
	if err := a.halt(); err != nil {
		t.Fatal(err)
	}
	s.until("nobody leads", func() bool { i, ok := lead.info(); return ok && i.RO })
	a.start()
	s.until("it is in doubt", func() bool { i, ok := a.info(); return ok && errors.Is(i.Failed, instance.ErrLostData) })
	a.call("tarragon.accept_loss")
	s.until("it takes part", func() bool { i, ok := a.info(); return ok && i.Failed == nil && i.Synced[ours.ID] >= 5 })
	s.fill(10, 20)
	s.level()
}
