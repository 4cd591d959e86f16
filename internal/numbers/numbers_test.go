package numbers

import (
	"fmt"
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"
)

func TestSlots(t *testing.T) {
	var s Slots
	var sizes []int
	taken := map[string]bool{}
	var places []Place
	for sessions := 0; ; {
		p, no, step, size := s.Take(0)
		if step == Open {
			if _, _, again, _ := s.Take(0); again != Wait {
				t.Fatalf("another session is asked for beside one: %d", again)
			}
			sessions++
			sizes = append(sizes, size)
			s.Opened(fmt.Sprintf("set/%d", sessions), size)
			continue
		}
		if step != Taken {
			break
		}
		n := p.Number(no)
		key := fmt.Sprint(n.Session, n.Slot)
		if taken[key] || n.No != 1 || n.Repeat {
			t.Fatalf("%+v, taken %v", n, taken[key])
		}
		taken[key] = true
		places = append(places, p)
	}
	if want := "[64 64 128 256 512 1024 1024 1024]"; fmt.Sprint(sizes) != want || len(taken) != userSlots {
		t.Errorf("%v, want %s; %d slots", sizes, want, len(taken))
	}
	if sessions, slots, taken := s.Count(); sessions != 8 || slots != userSlots || taken != userSlots {
		t.Errorf("%d sessions, %d slots, %d taken", sessions, slots, taken)
	}
	s.Give(places[7])
	if p, no, step, _ := s.Take(0); step != Taken || p != places[7] || no != 2 {
		t.Errorf("%+v, number %d, %d", p, no, step)
	}
	s.Gone(places[0].Session())
	if _, _, step, size := s.Take(0); step != Open || size != mostSlots || len(s.Sessions()) != 7 {
		t.Errorf("a session has gone: %d, %d slots, %v", step, size, s.Sessions())
	}
	s.NotOpened(0, false)
	s.Give(places[0])
	if _, _, step, _ := s.Take(0); step != Open {
		t.Error("a slot of a session that has gone is given again")
	}
}

// A session that was refused: while there is no leader requests wait, else they go without.
func TestRefused(t *testing.T) {
	for code, want := range map[xrow.Code]struct {
		step Step
		rest time.Duration
	}{xrow.ErrReadonly: {Wait, restLeaderless}, xrow.ErrSyncTimeout: {Wait, restLeaderless}, xrow.ErrAccessDenied: {None, restAfterRefusal}, xrow.ErrUnsupported: {None, restAfterRefusal}} {
		var s Slots
		s.Take(0)
		s.Refused(code, "", time.Second)
		for at, want := range map[time.Duration]Step{time.Second: want.step, time.Second + want.rest - 1: want.step, time.Second + want.rest: Open} {
			s := s.copy()
			if _, _, step, _ := s.Take(at); step != want {
				t.Errorf("%v, %v: %d, want %d", code, at, step, want)
			}
		}
	}
}

// copy is for a test that asks the same several times.
func (s *Slots) copy() *Slots {
	return &Slots{open: s.open, opening: s.opening, after: s.after, without: s.without}
}

func TestPlain(t *testing.T) {
	var p Plain
	if p.Any() {
		t.Error("it begins with something")
	}
	p.Note("space 512", 0)
	if !p.Any() || !p.Has("space 512", plainFor-1) || p.Has("space 513", 0) {
		t.Error("what was noted is not there, or what was not is")
	}
	if p.Has("space 512", plainFor) || p.Any() {
		t.Error("it is not forgotten")
	}
}

// What tells of one copy is no answer while an earlier one may be executed.
func TestJudge(t *testing.T) {
	const id = "set/1"
	gone := xrow.Errorf(xrow.ErrNoSession, id).Message + ": the outcome is unknown"
	for _, c := range []struct {
		code    xrow.Code
		message string
		first   Verdict // of a copy that is the only one
		later   Verdict // of one behind a copy that may be executed
	}{
		{0, "", Answer, Answer}, {xrow.ErrTupleFound, "", Answer, Answer},
		{xrow.ErrReadonly, "", NotTaken, NotTaken}, {xrow.ErrLoading, "", NotTaken, NotTaken}, {xrow.ErrSyncRollback, "", NotTaken, NotTaken},
		{xrow.ErrSyncQueueFull, "", Answer, NotTaken}, {xrow.ErrWrongSchemaVersion, "", Answer, NotTaken}, {xrow.ErrSyncQueueUnclaimed, "", NoNumber, NotTaken},
		{xrow.ErrWALIO, "no space", Answer, NotTaken}, {xrow.ErrWALIO, "the outcome is unknown", NotKnown, NotKnown},
		{xrow.ErrSyncTimeout, "", NotKnown, NotKnown}, {xrow.ErrSyncTimeout, gone, Gone, Gone}, {xrow.ErrShutdown, "", NotKnown, NotKnown},
		{xrow.ErrNoNumber, "", NoNumber, Unknown}, {xrow.ErrNoSession, "", NoSession, Gone}, {xrow.ErrNumber, "", Answer, Unknown},
		{xrow.ErrNoTransaction, "", Answer, Answer},
	} {
		for maybe, want := range map[bool]Verdict{false: c.first, true: c.later} {
			if got, _ := Judge(Copy{Maybe: maybe, Session: id}, c.code, c.message); got != want {
				t.Errorf("%v %q, an earlier copy %v: %d, want %d", c.code, c.message, maybe, got, want)
			}
		}
	}
	for maybe, want := range map[bool]Verdict{false: Answer, true: Lost} {
		if got, _ := Judge(Copy{Commit: true, Maybe: maybe}, xrow.ErrNoTransaction, ""); got != want {
			t.Errorf("COMMIT without its transaction, an earlier copy %v: %d, want %d", maybe, got, want)
		}
	}
}
