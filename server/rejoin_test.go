package server

import (
	"testing"

	"tarragon/instance"
	"tarragon/vclock"
)

// An ack may have committed a row: an instance that joins anew may forget only
// what the state has, or what a newer term in effect leaves out.
func TestMayForget(t *testing.T) {
	clock := func(s string) vclock.VClock {
		v, err := vclock.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		name      string
		old       string
		newest    uint64
		state     string
		effective uint64
		mayForget bool
	}{
		{"behind in all", "{1: 5}", 2, "{1: 9}", 2, true},
		{"an acked row of the term in effect is missing", "{1: 10}", 2, "{1: 9}", 2, false},
		{"an own row is missing", "{1: 5, 2: 3}", 2, "{1: 9, 2: 2}", 2, false},
		{"a newer term leaves it out", "{1: 5, 2: 3}", 2, "{1: 9, 2: 2}", 3, true},
		{"a pending PROMOTE is newer", "{1: 5, 2: 3}", 4, "{1: 9, 2: 2}", 3, false},
		{"no term at all", "{1: 5}", 0, "{1: 4}", 0, false},
	} {
		r := &rejoin{vclock: clock(c.old), newest: c.newest}
		st := instance.State{VClock: clock(c.state)}
		if c.effective > 0 {
			st.History = []instance.TermSpan{{Term: 1}, {Term: c.effective}}
		}
		if got := r.mayForget(&st); got != c.mayForget {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
