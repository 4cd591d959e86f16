package server

import (
	"errors"
	"fmt"
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
	args := []any{}
	if level != 0 {
		args = []any{level}
	}
	_, err := conn.Do(tarantool.NewCallRequest("tarragon.feature_raise").Args(args)).Get()
	return err
}

// The feature level is raised once all members have a version that reads it.
// From then on an older version is not let in, and stops where it was a member.
func TestFeatureLevel(t *testing.T) {
	const now, next = instance.FeatureLevel, instance.FeatureLevel + 1
	s := newSet(t, 4, "")
	old, late := s.nodes[2], s.nodes[3]
	for _, n := range s.nodes[:2] {
		n.feature = next
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
	if err := s.raise(next); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("levels up to %d", now)) {
		t.Fatal("raised beside a member that does not read it: ", err)
	}
	if err := old.halt(); err != nil {
		t.Fatal(err)
	}
	old.feature = next
	old.start()
	s.until("all have the new version", func() bool { return s.raise(next) == nil })
	s.until("it is in effect everywhere", func() bool {
		for _, n := range s.nodes {
			if i, ok := n.info(); !ok || i.Feature.Level != next {
				return false
			}
		}
		return true
	})

	if err := old.halt(); err != nil {
		t.Fatal(err)
	}
	old.feature = now
	old.start()
	if err := old.ended(); !errors.Is(err, instance.ErrFeature) || strings.Contains(err.Error(), "\n") {
		t.Errorf("an older version ended with %v", err)
	}
	late.feature = now
	late.start()
	s.until("the older version is refused", func() bool {
		return strings.Contains(late.log.String(), fmt.Sprintf("This replica set has feature level %d, an instance that reads levels up to %d cannot take part", next, now))
	})
	if i, _ := s.leader().info(); len(i.Members) != 3 {
		t.Errorf("%d members", len(i.Members))
	}
	if err := late.halt(); err != nil {
		t.Error(err)
	}
	old.feature = next
	old.start()
	s.level()
}
