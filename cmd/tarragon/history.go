package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const historyHelp = `History prints how the write role moved, term by term, as far back as the replica set knows: who led, how it came (bootstrap, election, switchover,
by hand, forced), who asked for it and why, when, the first and the last LSN of the term, for how long nobody could write before, and which
instances keep how many transactions of the term that a newer one voided ('tarragon lost list' prints them). It asks
every instance, takes the history of the one that knows the newest term, and says where another one tells something else.

`

// toldHistory is the answer of tarragon.history.
type toldHistory struct {
	Name       string       `msgpack:"name"`
	Replicaset boxSet       `msgpack:"replicaset"`
	Term       number       `msgpack:"term"`
	Confirmed  number       `msgpack:"confirmed"`
	Terms      []toldTerm   `msgpack:"terms"`
	More       bool         `msgpack:"more"`
	Void       []toldVoided `msgpack:"void"`
}

// toldTerm is a term in effect. Times are seconds.
type toldTerm struct {
	Term   number  `msgpack:"term" json:"term"`
	Owner  number  `msgpack:"owner" json:"leader_id"`
	UUID   string  `msgpack:"uuid" json:"leader_uuid,omitempty"`
	Name   string  `msgpack:"name" json:"leader,omitempty"`
	Kind   string  `msgpack:"kind" json:"kind"`
	By     string  `msgpack:"by" json:"by,omitempty"`
	Reason string  `msgpack:"reason" json:"reason,omitempty"`
	At     float64 `msgpack:"at" json:"at,omitempty"`
	Still  float64 `msgpack:"still" json:"nobody_could_write_seconds,omitempty"`
	AtMost bool    `msgpack:"at_most" json:"at_most,omitempty"`
	First  number  `msgpack:"first" json:"first_lsn"`
	Last   number  `msgpack:"last" json:"last_lsn"`

	Tarantool bool `msgpack:"tarantool" json:"-"` // its rules held in the term
}

// toldVoided is what an instance keeps of a term and an author.
type toldVoided struct {
	Instance string `msgpack:"-" json:"instance"`
	Term     number `msgpack:"term" json:"term"`
	Origin   number `msgpack:"origin" json:"origin"`
	Count    number `msgpack:"count" json:"count"`
}

// setHistory is the history of one replica set.
type setHistory struct {
	UUID     string       `json:"uuid"`
	Name     string       `json:"name,omitempty"`
	Terms    []toldTerm   `json:"terms"`
	Voided   []toldVoided `json:"voided"`
	Problems []string     `json:"problems"`
}

func newHistory(p process) *cobra.Command {
	var f connectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "show how leadership moved",
		Long:    historyHelp + connectHelp,
		Example: "  tarragon history --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			targets, err := f.targets(p)
			if err != nil {
				return err
			}
			sets, failed := askHistories(cmd.Context(), targets, f.timeout)
			if asJSON {
				err = printIndented(p.out, map[string]any{"replicasets": sets, "unanswered": failed})
			} else {
				err = printHistories(p.out, sets, failed)
			}
			if err != nil {
				return err
			}
			if len(sets) == 0 || slices.ContainsFunc(sets, func(s *setHistory) bool { return len(s.Problems) > 0 }) {
				return errUnhealthy
			}
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// askHistories asks all targets at once. failed says of each that gave no history why.
func askHistories(ctx context.Context, targets []target, timeout time.Duration) (sets []*setHistory, failed []string) {
	told, errs := make([]*toldHistory, len(targets)), make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { told[i], errs[i] = t.history(ctx, timeout) })
	}
	wg.Wait()
	failed = []string{}
	by := map[string][]*toldHistory{}
	for i, h := range told {
		if errs[i] != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", targets[i].label(), errs[i]))
			continue
		}
		h.Name = cmp.Or(h.Name, targets[i].name, targets[i].uri.Address())
		if by[h.Replicaset.UUID] = append(by[h.Replicaset.UUID], h); len(by[h.Replicaset.UUID]) == 1 {
			sets = append(sets, &setHistory{UUID: h.Replicaset.UUID, Name: h.Replicaset.Name})
		}
	}
	for _, s := range sets {
		s.join(by[s.UUID])
	}
	return sets, failed
}

// history asks for page after page.
func (t target) history(ctx context.Context, timeout time.Duration) (*toldHistory, error) {
	return tellHistory(func(answer any, arguments ...any) error {
		return t.call(ctx, timeout, answer, "tarragon.history", arguments...)
	})
}

// tellHistory joins the pages that ask answers with.
func tellHistory(ask func(answer any, arguments ...any) error) (*toldHistory, error) {
	var all toldHistory
	for page := (toldHistory{More: true}); page.More; {
		after := number(0)
		if n := len(all.Terms); n > 0 {
			after = all.Terms[n-1].Term
		}
		page = toldHistory{}
		if err := ask(&page, map[string]any{"after": uint64(after), "void": after == 0}); err != nil {
			return nil, err
		}
		if page.More && (len(page.Terms) == 0 || page.Terms[len(page.Terms)-1].Term <= after) {
			return nil, fmt.Errorf("its history does not go on behind term %d", after)
		}
		void := all.Void
		page.Terms = append(all.Terms, page.Terms...)
		if all = page; after != 0 {
			all.Void = void
		}
	}
	return &all, nil
}

// join takes the history of the instance that knows the newest term; what it does not know of
// the older ones the others may.
func (s *setHistory) join(told []*toldHistory) {
	slices.SortStableFunc(told, func(a, b *toldHistory) int {
		return cmp.Or(cmp.Compare(b.Term, a.Term), cmp.Compare(len(b.Terms), len(a.Terms)), cmp.Compare(b.Confirmed, a.Confirmed))
	})
	s.Terms, s.Voided, s.Problems = append([]toldTerm{}, told[0].Terms...), []toldVoided{}, []string{}
	for _, h := range told {
		s.compare(told[0], h)
		for _, v := range h.Void {
			v.Instance = h.Name
			s.Voided = append(s.Voided, v)
		}
	}
}

// compare holds the history of an instance against the one that is shown. An instance may
// lag behind, and its newest term may be longer than it knows.
func (s *setHistory) compare(newest, h *toldHistory) {
	differs := func(term number) {
		s.Problems = append(s.Problems, fmt.Sprintf("%s and %s tell different histories from term %d on", newest.Name, h.Name, term))
	}
	at := 0
	for i := range h.Terms {
		t := &h.Terms[i]
		if len(s.Terms) > 0 && t.Term < s.Terms[0].Term {
			continue // a state that came through a Tarantool begins later
		}
		for at < len(s.Terms) && s.Terms[at].Term < t.Term {
			if i > 0 { // as above
				differs(s.Terms[at].Term)
				return
			}
			at++
		}
		if at == len(s.Terms) || s.Terms[at].Term != t.Term || s.Terms[at].Owner != t.Owner ||
			s.Terms[at].First != t.First || i+1 < len(h.Terms) && s.Terms[at].Last != t.Last {
			differs(t.Term)
			return
		}
		if own := &s.Terms[at]; own.Kind == kindUnknown && t.Kind != kindUnknown {
			last := own.Last
			*own = *t
			own.Last = last
		} else if t.Kind != kindUnknown && (own.Kind != t.Kind || own.Reason != t.Reason || own.By != t.By || own.At != t.At) {
			differs(t.Term)
			return
		}
		at++
	}
}

// kindUnknown is what is said of a term that began under an earlier version, or one of a Tarantool.
const kindUnknown = "unknown"

func printHistories(w io.Writer, sets []*setHistory, failed []string) error {
	var b strings.Builder
	for i, s := range sets {
		if len(sets) > 1 {
			if i > 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "replica set %s\n", cmp.Or(s.Name, s.UUID))
		}
		s.print(&b)
	}
	for _, why := range failed {
		fmt.Fprintln(&b, "no answer:", why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *setHistory) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TERM\tLEADER\tKIND\tWHEN\tLSN\tNO WRITES FOR\tVOIDED\tBY\tREASON")
	shown := map[number]bool{}
	for i := range s.Terms {
		term := &s.Terms[i]
		shown[term.Term] = true
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%d-%d\t%s\t%s\t%s\t%s\n", term.Term, term.leader(), term.Kind, term.when(), term.First, term.Last, term.still(),
			dash(s.voidedIn(term.Term)), dash(plain(term.By)), dash(plain(term.Reason)))
	}
	t.Flush()
	for _, v := range s.Voided {
		if !shown[v.Term] {
			fmt.Fprintf(w, "voided of term %d, which was never in effect: %d of instance %d at %s\n", v.Term, v.Count, v.Origin, plain(v.Instance))
		}
	}
	for _, problem := range s.Problems {
		fmt.Fprintln(w, "problem:", problem)
	}
}

func (t *toldTerm) leader() string {
	switch {
	case t.Owner == 0:
		return "nobody"
	case t.Name == "":
		return strconv.FormatUint(uint64(t.Owner), 10)
	}
	return fmt.Sprintf("%s (%d)", plain(t.Name), t.Owner)
}

func (t *toldTerm) when() string {
	if t.At <= 0 {
		return "-"
	}
	return wallTime(t.At)
}

// wallTime is seconds since 1970 for people.
func wallTime(seconds float64) string {
	return time.UnixMicro(int64(seconds * 1e6)).UTC().Format("2006-01-02 15:04:05.000Z")
}

func (t *toldTerm) still() string {
	switch {
	case t.Still <= 0:
		return "-"
	case t.AtMost:
		return "<= " + seconds(t.Still)
	}
	return seconds(t.Still)
}

// voidedIn is what instances keep of a term.
func (s *setHistory) voidedIn(term number) string {
	var all []string
	for _, v := range s.Voided {
		if v.Term == term {
			all = append(all, fmt.Sprintf("%d at %s", v.Count, plain(v.Instance)))
		}
	}
	return strings.Join(all, ", ")
}

// plain is a text for a terminal: what could move the cursor is quoted.
func plain(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}
