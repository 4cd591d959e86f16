package server

import (
	"testing"
)

// A cluster starts, takes synchronous writes, goes on without its leader, takes
// it back, and every instance tells the truth about the leader.
func TestThree(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.fill(0, 100)
	old := s.leader()
	if err := old.halt(); err != nil {
		t.Fatal(err)
	}
	s.fill(100, 200)
	old.start()
	s.level()
	for _, n := range s.nodes {
		if got := n.rows(); got != 200 {
			t.Errorf("%s shows %d rows", n.name, got)
		}
	}
	for _, n := range s.nodes {
		if err := n.halt(); err != nil {
			t.Errorf("%s: %v", n.name, err)
		}
	}
}
