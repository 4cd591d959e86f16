package main

import (
	"strings"
	"testing"
)

func toldTerms(terms ...toldTerm) []toldTerm { return terms }

// What instances tell is one history: of the one that knows the newest term, with what others
// know of older ones. One that lags behind or came by an earlier version is no contradiction.
func TestHistoriesJoin(t *testing.T) {
	boot := toldTerm{Term: 2, Owner: 1, Name: "a", Kind: "bootstrap", At: 1.7e9, First: 1, Last: 10}
	moved := toldTerm{Term: 3, Owner: 2, Name: "b", Kind: "switchover", By: "admin", Reason: "new \x1b[2Jkernel", At: 1.7e9 + 60.5, Still: 0.0123, First: 1, Last: 20}
	newest := toldTerm{Term: 5, Owner: 3, Kind: "election", Reason: "silence", Still: 3600, AtMost: true, First: 1, Last: 7}
	unknown, open := boot, newest
	unknown.Kind, unknown.At, open.Last = kindUnknown, 0, 5
	other := moved
	other.Owner = 1
	longer := boot
	longer.Last = 11
	reason := moved
	reason.Reason = "another"
	full := &toldHistory{Name: "a", Term: 5, Terms: toldTerms(unknown, moved, newest), Void: []toldVoided{{Term: 3, Origin: 2, Count: 4}, {Term: 4, Origin: 1, Count: 1}}}
	for _, c := range []struct {
		name string
		h    toldHistory
		want string // problem
	}{
		{"the same", toldHistory{Term: 5, Terms: toldTerms(boot, moved, newest)}, ""},
		{"it lags", toldHistory{Term: 3, Terms: toldTerms(boot, moved)}, ""},
		{"its newest term is shorter", toldHistory{Term: 5, Terms: toldTerms(boot, moved, open)}, ""},
		{"it begins later", toldHistory{Term: 5, Terms: toldTerms(moved, newest)}, ""},
		{"it begins earlier and lags", toldHistory{Term: 3, Terms: toldTerms(toldTerm{Term: 1, Owner: 9}, boot)}, ""},
		{"it knows nothing", toldHistory{}, ""},
		{"another leader", toldHistory{Term: 3, Terms: toldTerms(boot, other)}, "a and x tell different histories from term 3 on"},
		{"another end", toldHistory{Term: 3, Terms: toldTerms(longer, moved)}, "from term 2 on"},
		{"another reason", toldHistory{Term: 3, Terms: toldTerms(boot, reason)}, "from term 3 on"},
		{"a term is missing", toldHistory{Term: 5, Terms: toldTerms(boot, newest)}, "from term 3 on"},
		{"a term of its own", toldHistory{Term: 4, Terms: toldTerms(boot, moved, toldTerm{Term: 4, Owner: 1, First: 1, Last: 1})}, "from term 4 on"},
	} {
		c.h.Name = "x"
		var s setHistory
		s.join([]*toldHistory{&c.h, full})
		if got := strings.Join(s.Problems, "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	var s setHistory
	s.join([]*toldHistory{full, {Name: "x", Term: 3, Terms: toldTerms(boot, moved)}})
	var b strings.Builder
	s.print(&b)
	want := `TERM  LEADER  KIND        WHEN                      LSN   NO WRITES FOR  VOIDED  BY     REASON
2     a (1)   bootstrap   2023-11-14 22:13:20.000Z  1-10  -              -       -      -
3     b (2)   switchover  2023-11-14 22:14:20.500Z  1-20  12.3ms         4 at a  admin  "new \x1b[2Jkernel"
5     3       election    -                         1-7   <= 1h0m0s      -       -      silence
voided of term 4, which was never in effect: 1 of instance 1 at a
`
	if b.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", b.String(), want)
	}
}
