package server

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/metrics"
	"tarragon.dev/tarragon/router"
)

var rewrite = flag.Bool("rewrite", false, "make the tables of docs/metrics.md anew")

const metricsPage = "../docs/metrics.md"

// allMetrics are those of the page, in its order.
func allMetrics() []*metrics.Metric { return slices.Concat(Metrics.All(), router.Metrics.All()) }

// keepTable compares a table of the page, which comes behind its head, with what it should be.
func keepTable(t *testing.T, head, want string) {
	t.Helper()
	data, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), head)
	if !ok {
		t.Fatalf("%s has no table with the head\n%s", metricsPage, head)
	}
	old, after, ok := strings.Cut(rest, "\n\n")
	if !ok && *rewrite {
		after = strings.TrimPrefix(rest, "\n")
		old = ""
	}
	if want = strings.TrimSuffix(want, "\n"); old == want {
		return
	}
	if !*rewrite {
		t.Errorf("the table of %s is out of date: go test ./server -run TestMetricsPage -rewrite", metricsPage)
		return
	}
	if err := os.WriteFile(metricsPage, []byte(before+head+want+"\n\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestMetricsPage keeps docs/metrics.md true: its table is made of what is told.
func TestMetricsPage(t *testing.T) {
	var b strings.Builder
	for _, m := range allMetrics() {
		labels := ""
		for i, l := range m.Labels {
			labels += strings.Repeat(", ", min(i, 1)) + "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Kind, labels, m.Group, strings.TrimSuffix(m.Help, "."))
	}
	keepTable(t, "| metric | kind | labels | group | what it tells |\n|---|---|---|---|---|\n", b.String())
}

// Each metric is told of by a sentence, is of a group that a configuration can name, and has a name of its kind.
func TestMetricsAreWellNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range allMetrics() {
		if seen[m.Name] {
			t.Errorf("%s: twice", m.Name)
		}
		seen[m.Name] = true
		if !slices.Contains(config.MetricGroups, m.Group) {
			t.Errorf("%s: no group %s", m.Name, m.Group)
		}
		if !strings.HasSuffix(m.Help, ".") || strings.Contains(m.Help, "|") || len(m.Help) < 8 {
			t.Errorf("%s: %q is no sentence", m.Name, m.Help)
		}
		if ours := strings.HasPrefix(m.Name, "tarragon_"); ours && (m.Kind == metrics.Counter) != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s: a %v", m.Name, m.Kind)
		}
	}
}
