package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
)

// variants reads the table of README.md: rule set, bounds, steps to the
// violation ("-": none, the rule is not needed within these bounds).
func variants(t *testing.T, heading string) (rows [][4]string) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "## "+heading+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 4 && strings.HasPrefix(line, "| `") {
			rows = append(rows, [4]string{strings.Trim(cells[0], " `"), strings.Trim(cells[1], " `"), strings.TrimSpace(cells[2]), cells[3]})
		}
	}
	return rows
}

func explore(t *testing.T, rules, bounds string, depth, limit int) Result {
	t.Helper()
	o, err := parse(append([]string{"-rules", rules}, strings.Fields(bounds)...))
	if err != nil {
		t.Fatal(err)
	}
	e := &Explorer{Model: o.Model, LiveEvery: o.live, MaxStates: limit, MaxDepth: depth, Out: io.Discard}
	return e.Run()
}

// Each variant breaks within its bounds, as soon as the table says; the rules as
// they are reach that depth in the same bounds, or 100,000 states, without a fault.
func TestVariantsFail(t *testing.T) {
	rows := variants(t, "Variants that must fail")
	if len(rows) < 15 {
		t.Fatalf("%d variants", len(rows))
	}
	for _, row := range rows {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			steps, err := strconv.Atoi(row[2])
			if err != nil {
				t.Fatal(err)
			}
			bounds := "-live 0 " + row[1]
			res := explore(t, row[0], bounds, steps+1, 1_000_000)
			if res.Err == nil || len(res.Trace) != steps {
				t.Errorf("%d steps: %v; the table says %d", len(res.Trace), res.Err, steps)
			}
			if res := explore(t, "final", bounds, steps+1, 100_000); res.Err != nil {
				t.Errorf("the rules themselves, after %d steps: %v", len(res.Trace), res.Err)
			}
		})
	}
}

// Small bounds in full: one kind of change each, and the fine steps; then the
// variants that turned out to hold.
func TestRulesHold(t *testing.T) {
	rows := variants(t, "What make model runs")
	for _, row := range variants(t, "Variants that hold") {
		row[1] = "-live 0 " + row[1]
		rows = append(rows, row)
	}
	for _, row := range rows {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			states, err := strconv.Atoi(strings.ReplaceAll(row[2], ",", ""))
			if err != nil {
				t.Fatal(err)
			}
			if testing.Short() && states > 50_000 {
				t.Skip("takes seconds, and nothing but this model can break it: make model")
			}
			res := explore(t, row[0], row[1], 0, 1_000_000)
			if res.Err != nil || !res.Complete || res.States != states {
				t.Errorf("%d states, complete %v: %v; the table says %d", res.States, res.Complete, res.Err, states)
			}
		})
	}
}

// A trace that the search reports can be taken step by step from its start.
func TestTraceRepeats(t *testing.T) {
	res := explore(t, "elect-newest", "-n 4 -members 3 -ready -swap 1 -bulk -live 0", 0, 10_000)
	o, err := parse(strings.Fields("-n 4 -members 3 -ready -swap 1 -bulk -rules elect-newest"))
	if err != nil || res.Err == nil {
		t.Fatal(err, res.Err)
	}
	s := res.Start
	for i, p := range res.Trace {
		next, err := o.Do(s, p)
		if last := i == len(res.Trace)-1; (err != nil) != last {
			t.Fatalf("step %d, %v: %v", i+1, p, err)
		}
		s = next
	}
}
