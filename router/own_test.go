package router

import (
	"slices"
	"testing"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// has has the instance tell that it has written so much.
func (f *fake) has(lsn uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lsn = lsn
}

// What the user has written shows in what comes in by the port ro: its reader is asked only when it
// has what the leader had behind the write, and knows the fate of all of that.
func TestOwnWrites(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	a.has(4)
	b.has(4)
	r := startTest(t, func(c *Config) { c.OwnWrites, c.PollInterval, c.HoldTime = true, 5*time.Millisecond, 5*time.Minute }, a, b)
	leadsTo(t, r, RW, "a takes writes in term 5, say 2 of 2")
	eventually(t, "b is the reader", func() bool { to := r.ports[RO].target.Load().insts; return len(to) == 1 && to[0].name == "b" })
	w, c := client(t, r, RW), client(t, r, RO)
	if code := ask(t, c, xrow.Select, read); code != 0 || !slices.Equal(b.log(), []string{"SELECT"}) {
		t.Fatalf("who has written nothing waits for nothing: %v, %v", code, b.log())
	}

	a.does(func(c *fakeConn, row *xrow.Row) { a.has(5); c.ok(row) })
	decided := make(chan func(), 1)
	b.does(func(c *fakeConn, row *xrow.Row) {
		if row.Type == xrow.Begin {
			decided <- func() { c.ok(row) }
			return
		}
		c.ok(row)
	})
	if code := ask(t, w, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	answer := make(chan xrow.Code)
	go func() { answer <- ask(t, c, xrow.Select, read) }()
	heard := func() time.Duration { r.mu.Lock(); defer r.mu.Unlock(); return r.lags.at[1] }
	for range 3 { // it goes on to say that it lacks something
		from := heard()
		eventually(t, "b is asked how far it is", func() bool { return heard() > from })
	}
	if got := b.log(); !slices.Equal(got, []string{"SELECT"}) {
		t.Errorf("asked of one that lacks the write: %v", got)
	}
	b.has(5)
	var decide func()
	eventually(t, "b is asked for what is decided", func() bool {
		select {
		case decide = <-decided:
			return true
		default:
			return false
		}
	})
	for range 3 {
		from := heard()
		eventually(t, "b tells how far it is", func() bool { return heard() > from })
	}
	if got := b.log(); !slices.Equal(got, []string{"SELECT", "BEGIN"}) {
		t.Errorf("asked of one that does not know the fate of the write: %v", got)
	}
	decide()
	if code := <-answer; code != 0 {
		t.Error(code)
	}
	if got := b.log(); len(got) < 3 || !slices.Contains(got[2:], "SELECT") {
		t.Errorf("%v", got)
	}
	if len(a.log()) != 1 {
		t.Errorf("the leader was asked for %v", a.log())
	}
}

func TestSightSteps(t *testing.T) {
	var l lags
	l.init(2)
	at := func(n uint64) (v vclock.VClock) { v[1] = n; return v }
	is := func(before time.Duration, want sightStep) {
		t.Helper()
		if got := l.stepFor(1, before); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	l.leads(0, 10)
	l.tells(at(3), 5) // asked when somebody else led
	is(5, lookAtLeader)
	l.tells(at(3), 20)
	is(21, lookAtLeader)
	is(20, lookAtReader)
	l.saw(1, at(2), 30)
	is(20, lookAtReader)
	l.saw(1, at(3), 40)
	is(20, lookDecided)
	l.tells(at(2), 15) // an answer that is late
	is(20, lookDecided)
	l.forget(1)
	is(20, lookAtReader)
}
