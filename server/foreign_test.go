package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leaveFiles makes files as a Tarantool leaves them.
func (n *node1) leaveFiles(dir string, names ...string) {
	n.set.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		n.set.t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("SNAP\n0.13\n"), 0o600); err != nil {
			n.set.t.Fatal(err)
		}
	}
}

// Beside the files of a Tarantool an instance begins no replica set, whichever
// of its directories has them, at its first start and at any later one; a check
// tells of them before. Once they are away it begins.
func TestNoBootstrapBesideTarantool(t *testing.T) {
	for _, c := range []struct{ name, yaml, dir, file string }{
		{"log", "", "var/lib/i1", "00000000000000000007.xlog"},
		{"checkpoints", "snapshot: {dir: snaps}\n", "snaps", "00000000000000000000.snap"},
		{"vinyl", "", "var/lib/i1", "00000000000000000000.vylog"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSet(t, 1, c.yaml)
			n := s.nodes[0]
			dir := filepath.Join(s.dir, c.dir)
			n.leaveFiles(dir, c.file, "00000000000000000001.xlog.inprogress", "notes.snap")
			for range 2 {
				if found := FindForeign(n.load()); found == nil || found.Dir != dir || len(found.Files) != 1 || found.Files[0] != c.file {
					t.Errorf("found before the start: %v", found)
				}
				n.start()
				var foreign *ForeignData
				if err := n.ended(); !errors.As(err, &foreign) || !strings.Contains(err.Error(), dir) {
					t.Fatalf("it ended with %v", err)
				}
			}
			if err := os.Remove(filepath.Join(dir, c.file)); err != nil {
				t.Fatal(err)
			}
			s.startAll()
			s.makeSpace()
			s.fill(0, 1)
			if err := n.halt(); err != nil {
				t.Fatal(err)
			}
			n.leaveFiles(dir, c.file) // what comes beside data of ours is nothing to ask about
			if found := FindForeign(n.load()); found != nil {
				t.Errorf("found beside a store: %v", found)
			}
			s.startAll()
		})
	}
}

// A member of a replica set that runs is joined from there, and told of what it
// does not read.
func TestJoinBesideTarantool(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.fill(0, 10)
	n := s.nodes[1]
	if s.leader() == n {
		n = s.nodes[0]
	}
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	in := n.load()
	if err := os.Rename(in.WAL.Dir, in.WAL.Dir+".old"); err != nil {
		t.Fatal(err)
	}
	n.leaveFiles(in.WAL.Dir, "00000000000000000000.snap")
	former := n.server()
	n.start()
	s.until("it has joined", func() bool {
		if n.server() == former { // asked first: the former one's info is still served for a moment
			return false
		}
		_, ok := n.info()
		return ok
	})
	if !strings.Contains(n.log.String(), "there is data of Tarantool") {
		t.Error("it says nothing of the files")
	}
}
