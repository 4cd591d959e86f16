package server

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
)

// An instance that finds the data of another one in its directory, or that of
// another replica set, ends with Tarantool's words and has touched nothing:
// the owner of the data goes on.
func TestDataOfAnother(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.fill(0, 10)
	s.level()
	a, b := s.nodes[1], s.nodes[2]
	for _, n := range []*node1{a, b} {
		if err := n.halt(); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(n *node1, want string) {
		t.Helper()
		n.start()
		if err := n.ended(); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%s ended with %v, want %q", n.name, err, want)
		}
	}
	b.flags = []config.Flag{{Name: "--data", Path: "wal.dir", Value: a.load().WAL.Dir}}
	refused(b, "Instance name mismatch. Snapshot: i2, config: i3.")
	b.flags = nil

	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Replace(text, []byte("      r:\n"), []byte("      r2:\n"), 1)
	if err := os.WriteFile(s.file, other, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(a, "Replicaset name mismatch. Snapshot: r, config: r2.")
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.start()
	b.start()
	s.level()
}
