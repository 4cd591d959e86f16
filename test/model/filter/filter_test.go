package filter

import (
	"slices"
	"testing"
)

// The rules hold in every history with three rows of each leader, and S is served with
// rows in it in some of them.
func TestRules(t *testing.T) {
	const states = 1_192_200
	res := Explore(Rules{}, Bounds{Rows: 3}, 2*states)
	if res.Fault != "" {
		t.Fatalf("%s: %q", res.Fault, res.Trace)
	}
	if res.States != states || res.Served == 0 {
		t.Errorf("%d states, S is served in %d of them; docs/protocol/filters.md says %d", res.States, res.Served, states)
	}
}

// Without one of the rules there is a history that shows why it is one.
func TestVariantsFail(t *testing.T) {
	for _, v := range []struct {
		name  string
		rules Rules
		steps int
	}{
		{"the view is opened at once", Rules{ViewAtOnce: true}, 14},
		{"S is opened at once", Rules{OpenAtOnce: true}, 15},
		{"the filter of an undecided row", Rules{Unconfirmed: true}, 11},
		{"the sender's newest filter", Rules{SenderFilters: true}, 22},
		{"a copy that goes on elsewhere", Rules{Resumed: true}, 19},
		{"what was there before a removal", Rules{Stale: true}, 19},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && v.steps > 15 {
				t.Skip("takes seconds, and nothing but this model can break it: make model")
			}
			res := Explore(v.rules, Bounds{Rows: 3, Moves: 1}, 4_000_000)
			if res.Fault == "" || len(res.Trace) != v.steps {
				t.Errorf("%q after %d steps, not %d: %q", res.Fault, len(res.Trace), v.steps, res.Trace)
			}
		})
	}
}

// The steps of a state come in the same order each time: a trace can be followed.
func TestStepsAreOrdered(t *testing.T) {
	s := state{from: nobody, moves: 1, crashes: 1}
	b := Bounds{Rows: 3, Moves: 1, Crashes: 1}
	names := func() (all []string) {
		for _, st := range s.steps(&Rules{}, &b) {
			all = append(all, st.what)
		}
		return all
	}
	first := names()
	for range 20 {
		if again := names(); !slices.Equal(first, again) {
			t.Fatalf("%q, then %q", first, again)
		}
	}
}
