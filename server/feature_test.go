package server

import (
	"errors"
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"

	"github.com/tarantool/go-tarantool/v2"
)

// raise asks the leader for a feature level; 0: the newest that it reads.
func (s *set) raise(level int) error {
	s.t.Helper()
	conn := s.leader().dial()
	defer conn.Close()
	var args []any
	if level != 0 {
		args = []any{level}
	}
	_, err := conn.Do(tarantool.NewCallRequest("tarragon.feature_raise").Args(args)).Get()
	return err
}

// The feature level is raised once all members have a version that reads it.
// From then on an older version is not let in, and stops where it was a member.
func TestFeatureLevel(t *testing.T) {
	s := newSet(t, 4, "")
	old, late := s.nodes[2], s.nodes[3]
	for _, n := range s.nodes[:2] {
		n.feature = 2
	}
	s.nodes = s.nodes[:3]
	s.startAll()
	s.until("all have said what they read", func() bool {
		i, ok := s.leader().info()
		said := 0
		for _, m := range i.Members {
			if i.Feature.Others[m.ID] != 0 {
				said++
			}
		}
		return ok && len(i.Members) == 3 && said == 2
	})
	if err := s.raise(2); err == nil || !strings.Contains(err.Error(), "levels up to 1") {
		t.Fatal("raised beside a member that does not read it: ", err)
	}
	if err := old.halt(); err != nil {
		t.Fatal(err)
	}
	old.feature = 2
	old.start()
	s.until("all have the new version", func() bool { return s.raise(2) == nil })
	s.until("it is in effect everywhere", func() bool {
		for _, n := range s.nodes {
			if i, ok := n.info(); !ok || i.Feature.Level != 2 {
				return false
			}
		}
		return true
	})

	if err := old.halt(); err != nil {
		t.Fatal(err)
	}
	old.feature = 1
	old.start()
	if err := old.ended(); !errors.Is(err, instance.ErrFeature) || strings.Contains(err.Error(), "\n") {
		t.Errorf("an older version ended with %v", err)
	}
	late.feature = 1
	late.start()
	s.until("the older version is refused", func() bool {
		return strings.Contains(late.log.String(), "This replica set has feature level 2, an instance that reads levels up to 1 cannot take part")
	})
	if i, _ := s.leader().info(); len(i.Members) != 3 {
		t.Errorf("%d members", len(i.Members))
	}
	if err := late.halt(); err != nil {
		t.Error(err)
	}
	old.feature = 2
	old.start()
	s.level()
}
