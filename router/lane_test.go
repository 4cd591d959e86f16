package router

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// laneStory plays a story with a lane. Letters are requests: r a read, w a write, b BEGIN, c
// COMMIT, k ROLLBACK; each has a number by its place. W and C have one of an exactly-once session too.
type laneStory struct {
	*testing.T
	l    lane
	keys [2]poolKey
	at   [2]*backend
	all  []*request
	log  strings.Builder
}

func newLaneStory(t *testing.T) *laneStory {
	s := &laneStory{T: t, keys: [2]poolKey{{inst: &instance{name: "a"}}, {inst: &instance{name: "b"}}}}
	for i := range s.at {
		s.at[i] = &backend{key: s.keys[i]}
	}
	return s
}

func (s *laneStory) take(kinds string) {
	types := map[rune]xrow.Type{'r': xrow.Select, 'w': xrow.Insert, 'b': xrow.Begin, 'c': xrow.Commit, 'k': xrow.RollbackTxn, 'W': xrow.Insert, 'C': xrow.Commit}
	for _, k := range kinds {
		r := &request{Carried: iproto.Carried{Type: types[k]}, class: classOf(types[k]), no: uint64(len(s.all)), until: time.Hour}
		if k == 'W' || k == 'C' {
			r.Number = &r.num.number
		}
		s.all = append(s.all, r)
		s.l.take(r)
	}
}

// advance sends what may go to the instance i; -1: there is none.
func (s *laneStory) advance(i int, version uint64, now time.Duration) {
	for len(s.l.waits) > 0 {
		no, key := s.l.waits[0].no, poolKey{}
		if i >= 0 {
			key = s.keys[i]
		}
		switch s.l.next(key, i >= 0, version, now) {
		case stepWait:
			return
		case stepLost:
			s.l.dropFirst()
			fmt.Fprintf(&s.log, " lost%d", no)
			continue
		case stepEmpty:
			s.l.dropFirst()
			fmt.Fprintf(&s.log, " empty%d", no)
			continue
		case stepMove:
			s.l.at = s.at[i]
		}
		s.l.sent()
		fmt.Fprintf(&s.log, " %s%d", s.l.at.key.inst.name, no)
	}
}

// end is the end of the lane's backend, to which the requests below sent were written.
func (s *laneStory) end(sent uint64) {
	open := append([]*request(nil), s.l.open...)
	s.l.at.done.Store(true)
	for i, f := range s.l.ended(func(r *request) bool { return r.no < sent }) {
		fmt.Fprintf(&s.log, " %s%d", [...]string{"again", "unknown", "lost", "empty"}[f], open[i].no)
	}
}

func (s *laneStory) is(want string) {
	s.Helper()
	if got := strings.TrimSpace(s.log.String()); got != want {
		s.Errorf("got  %s\nwant %s", got, want)
	}
	s.log.Reset()
}

func TestLaneOverAFailover(t *testing.T) {
	s := newLaneStory(t)
	s.take("rwrw")
	s.advance(-1, 1, 0)
	s.is("")
	s.advance(0, 2, 0)
	s.is("a0 a1 a2 a3")
	s.l.answered(s.all[0], false)
	s.end(3) // the last write was not written to the socket
	s.is("unknown1 again2 again3")
	s.take("w")
	s.advance(1, 3, 0)
	s.is("b2 b3 b4")
}

func TestLaneKeepsItsOrder(t *testing.T) {
	s := newLaneStory(t)
	s.take("www")
	s.advance(0, 1, 0)
	s.is("a0 a1 a2")
	s.take("w")
	s.l.back(s.all[1], 1, 50) // READONLY
	s.all[1].last = xrow.Errorf(xrow.ErrReadonly)
	s.advance(1, 2, 0) // another leader is known, but two are still with the old one
	s.is("")
	s.l.back(s.all[0], 1, 50)
	s.all[0].last = xrow.Errorf(xrow.ErrReadonly)
	s.advance(1, 2, 0)
	s.is("")
	s.l.answered(s.all[2], false)
	s.advance(1, 2, 0)
	s.is("b0 b1 b3")
}

func TestLaneDoesNotAskAgainAtOnce(t *testing.T) {
	s := newLaneStory(t)
	s.take("ww")
	s.advance(0, 1, 0)
	s.is("a0 a1")
	for _, r := range s.all {
		s.l.back(r, 1, 50)
		r.last = xrow.Errorf(xrow.ErrReadonly)
	}
	s.advance(0, 1, 49)
	s.is("")
	s.advance(0, 1, 50)
	s.is("a0 a1")
}

func TestLaneOfATransaction(t *testing.T) {
	for _, c := range []struct {
		story string
		end   uint64 // how many were written when the backend ended
		acked int    // how many were answered
		more  string
		want  string
	}{
		{"bww", 3, 3, "wc", "a0 a1 a2 | lost3 lost4"},
		{"bww", 3, 1, "wc", "a0 a1 a2 lost1 lost2 | lost3 lost4"},
		{"bww", 3, 0, "k", "a0 a1 a2 lost0 lost1 lost2 | empty3"},
		{"bwc", 3, 2, "w", "a0 a1 a2 unknown2 | b3"},
		{"bwc", 2, 2, "w", "a0 a1 a2 lost2 | b3"}, // the COMMIT was never written
		{"bwc", 3, 3, "bw", "a0 a1 a2 | b3 b4"},
		{"bwk", 3, 2, "w", "a0 a1 a2 empty2 | b3"},
		{"bw", 0, 0, "c", "a0 a1 again0 again1 | b0 b1 b2"}, // nothing of it was written
		{"bw", 2, 2, "bwkbw", "a0 a1 | lost2 lost3 empty4 b5 b6"},
	} {
		s := newLaneStory(t)
		s.l.stream = 1
		s.take(c.story)
		s.advance(0, 1, 0)
		for i := range c.acked {
			s.l.answered(s.all[i], false)
		}
		s.end(c.end)
		s.log.WriteString(" |")
		s.take(c.more)
		s.advance(1, 2, 0)
		if got := strings.TrimSpace(s.log.String()); got != c.want {
			t.Errorf("%s, %d answered, %d written, then %s:\n got  %s\n want %s", c.story, c.acked, c.end, c.more, got, c.want)
		}
	}
}

// What has a number goes once more, and nothing is sent behind it that would then be in front of it: within
// another transaction, or without the one that it ends.
func TestLaneRepeatsNumbers(t *testing.T) {
	for _, c := range []struct {
		story string
		end   uint64
		acked int
		want  string
	}{
		{"WWw", 3, 1, "a0 a1 a2 again1 unknown2 | b1"},
		{"WW", 1, 0, "a0 a1 again0 again1 | b0 b1"},
		{"Wbw", 3, 0, "a0 again0 | b0"},
		{"Wbw", 3, 1, "a0 | b1 b2"},
		{"bwCbw", 3, 2, "a0 a1 a2 again2 | b2"},
		{"bwCw", 2, 2, "a0 a1 a2 lost2 | b3"},
	} {
		s := newLaneStory(t)
		s.l.stream = 1
		s.take(c.story)
		s.advance(0, 1, 0)
		for i := range c.acked {
			s.l.answered(s.all[i], false)
		}
		s.end(c.end)
		s.log.WriteString(" |")
		s.advance(1, 2, 0)
		if got := strings.TrimSpace(s.log.String()); got != c.want {
			t.Errorf("%s, %d answered, %d written:\n got  %s\n want %s", c.story, c.acked, c.end, got, c.want)
		}
		for i, r := range s.all {
			if again := strings.Contains(c.want, fmt.Sprintf("again%d", i)) && r.no < c.end; r.num.maybe != again {
				t.Errorf("%s: request %d: a repeat: %v", c.story, i, r.num.maybe)
			}
		}
	}
}

// A transaction stays where it is, though another instance leads by now.
func TestLaneStaysInATransaction(t *testing.T) {
	s := newLaneStory(t)
	s.take("b")
	s.advance(0, 1, 0)
	s.l.answered(s.all[0], false)
	s.take("wc")
	s.advance(1, 2, 0)
	s.is("a0 a1 a2")
	s.l.answered(s.all[1], false)
	s.l.answered(s.all[2], true)
	s.take("w")
	s.advance(1, 2, 0)
	s.is("b3")
}

// What waited behind a BEGIN whose time was over does not run by itself.
func TestLaneExpires(t *testing.T) {
	s := newLaneStory(t)
	s.take("bwc")
	s.all[0].until = 10
	if out := s.l.expired(10); len(out) != 1 || out[0] != s.all[0] {
		t.Fatalf("%v", out)
	}
	s.advance(0, 1, 10)
	s.is("lost1 lost2")
	s.take("w")
	s.advance(0, 1, 10)
	s.is("a3")
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		class class
		code  xrow.Code
		port  Port
		ours  bool
		want  numbers.Verdict
	}{
		{classWrite, xrow.ErrReadonly, RW, true, numbers.NotTaken},
		{classWrite, xrow.ErrReadonly, RO, true, numbers.Answer},
		{classCall, xrow.ErrReadonly, RW, true, numbers.NotTaken},
		{classCall, xrow.ErrReadonly, RW, false, numbers.Answer}, // a function may have done something before
		{classWrite, xrow.ErrSyncRollback, RW, true, numbers.NotTaken},
		{classCall, xrow.ErrSyncRollback, RW, true, numbers.NotTaken},
		{classWrite, xrow.ErrSyncRollback, RW, false, numbers.Answer}, // it may yet be confirmed
		{classCommit, xrow.ErrReadonly, RW, true, numbers.Answer},
		{classRead, xrow.ErrLoading, RO, true, numbers.NotTaken},
		{classWrite, xrow.ErrSyncTimeout, RW, true, numbers.Answer}, // nobody knows
		{classWrite, xrow.ErrTupleFound, RW, true, numbers.Answer},
		{classWrite, xrow.ErrShutdown, RW, true, numbers.Answer}, // that may be unknown
		{classRead, xrow.ErrShutdown, RW, true, numbers.NotTaken},
	} {
		if got := judge(c.class, c.code, c.port, c.ours); got != c.want {
			t.Errorf("class %d, %v by %v, ours %v: %d, want %d", c.class, c.code, c.port, c.ours, got, c.want)
		}
	}
}
