package session

import "testing"

// bounds are those within which the rules are tried.
var bounds = []struct {
	Bounds
	states int
}{
	{Bounds{Numbers: 2, Copies: 3, Rows: 3, Others: 1, Ticks: 2}, 253_003},
	{Bounds{Numbers: 2, Copies: 4, Rows: 3, Others: 1}, 120_064},
	{Bounds{Numbers: 1, Copies: 3, Rows: 3, Others: 1, Ticks: 2, Commit: true}, 203_146},
	{Bounds{Numbers: 2, Copies: 3, Rows: 3, Ticks: 4, Sleeps: true}, 189_393},
}

// Each number is executed once or never, and what its client was told is so, in every
// history.
func TestRules(t *testing.T) {
	for _, b := range bounds {
		res := Explore(Rules{}, b.Bounds, 2*b.states)
		if res.Fault != "" {
			t.Fatalf("%+v: %s: %q", b.Bounds, res.Fault, res.Trace)
		}
		if res.States != b.states || res.Done == 0 {
			t.Errorf("%+v: %d states, in %d of which all is answered; docs/protocol/sessions.md says %d", b.Bounds, res.States, res.Done, b.states)
		}
	}
}

// Without one of the rules there is a history that shows why it is one.
func TestVariantsFail(t *testing.T) {
	all := bounds[0].Bounds
	for _, v := range []struct {
		name   string
		rules  Rules
		bounds Bounds
		steps  int
	}{
		{"no row on failure", Rules{NoRowOnFailure: true}, all, 8},
		{"no row for a COMMIT", Rules{NoRowOnFailure: true}, Bounds{Numbers: 1, Copies: 2, Rows: 3, Commit: true}, 6},
		{"the queue's last entry", Rules{LastEntry: true}, all, 10},
		{"not in the snapshot", Rules{NoSnapshot: true}, all, 8},
		{"a follower's clock", Rules{FollowerClock: true}, all, 10},
		{"unknown sessions are made", Rules{Created: true}, all, 13},
		{"smaller numbers run", Rules{Smaller: true}, all, 12},
		{"earlier copies are listened to", Rules{HearsOld: true}, all, 8},
		{"ended before it is decided", Rules{EndedAtOnce: true}, all, 7},
		{"ended is certain", Rules{EndedIsCertain: true}, bounds[3].Bounds, 12},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			res := Explore(v.rules, v.bounds, 1_000_000)
			if res.Fault == "" || len(res.Trace) != v.steps {
				t.Errorf("%q after %d steps, not %d: %q", res.Fault, len(res.Trace), v.steps, res.Trace)
			}
		})
	}
}
