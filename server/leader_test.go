package server

import (
	"errors"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// toldLeader is what watchers of tarragon.leader were told last at an instance.
func (n *node1) toldLeader() (l watchedLeader) {
	if s := n.server(); s != nil {
		if value := s.port.events.Value(eventLeader); value != nil && mp.Decode(value, &l) != nil {
			n.set.t.Errorf("%s: an event that cannot be read: %x", n.name, value)
		}
	}
	return l
}

// names tells whether the event names a leader whose PROMOTE is in effect.
func (l *watchedLeader) names(id uint32, term uint64, kind string) bool {
	return l.ID != nil && *l.ID == id && l.Term == term && l.Kind != nil && *l.Kind == kind && l.LSN != nil && *l.LSN > 0
}

// Who watches hears of each leader, how it came and at which LSN; at the old leader of a
// handover before the first write is refused.
func TestLeaderIsTold(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.level()
	old := s.leader()
	was, _ := old.info()
	first, last := was.History[0].Began.Kind, was.History[len(was.History)-1].Began.Kind // on a busy machine it may have moved
	if l := old.toldLeader(); !l.names(was.ID, was.Term, last.String()) || first != terms.Bootstrap {
		t.Errorf("the first leader, by %s; this one, by %s: %+v", first, last, l)
	}
	conn := old.dial()
	defer conn.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := old.dial()
		defer c.Close()
		for { // it is refused while nobody else gives a word
			_, err := c.Do(tarantool.NewCallRequest("box.ctl.switchover").Args([]any{map[string]any{"reason": "test"}})).Get()
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), "nobody can take over") {
				t.Errorf("switchover: %v", err)
				return
			}
		}
	}()
	for i := 0; ; i++ {
		_, err := conn.Do(tarantool.NewReplaceRequest("t").Tuple([]any{i, "x"})).Get()
		var refused tarantool.Error
		if errors.As(err, &refused) && refused.Code == iproto.ER_READONLY {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if l := old.toldLeader(); l.ID == nil || *l.ID == was.ID || !l.names(*l.ID, was.Term+1, "switchover") {
		t.Errorf("at the first refusal clients had been told %+v", l)
	}
	<-done
	now, _ := s.leader().info()
	for _, n := range s.nodes {
		s.until(n.name+" tells who leads", func() bool {
			l := n.toldLeader()
			return l.names(now.ID, now.Term, "switchover") && *l.LSN == now.History[len(now.History)-1].First
		})
	}
}
