package server

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/metrics"
)

// asked is what panels ask for of a metric.
type asked struct {
	name   string
	labels map[string][]string // to their values; none: any
}

// readLines are those of a file that say something.
func readLines(t *testing.T, name string) (out []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out
}

func dashboard(t *testing.T) (out []asked) {
	t.Helper()
	for _, line := range readLines(t, "testdata/dashboard.txt") {
		words := strings.Fields(line)
		a := asked{words[0], map[string][]string{}}
		for _, w := range words[1:] {
			label, values, _ := strings.Cut(w, "=")
			a.labels[label] = nil
			if values != "" {
				a.labels[label] = strings.Split(values, "|")
			}
		}
		out = append(out, a)
	}
	return out
}

// untold are reasons by beginnings of names, in the order of the file.
func untold(t *testing.T) (begin, why []string) {
	t.Helper()
	for _, line := range readLines(t, "testdata/dashboard_reasons.txt") {
		name, reason, _ := strings.Cut(line, " ")
		begin, why = append(begin, name), append(why, strings.TrimSpace(reason))
	}
	return begin, why
}

// Each name that a panel of Tarantool's dashboard queries is told, with the labels that it asks for, or has a reason.
func TestDashboard(t *testing.T) {
	byName := map[string]*metrics.Metric{}
	for _, m := range Metrics.All() {
		byName[m.Name] = m
	}
	begin, why := untold(t)
	names := make([][]string, len(begin)) // that have a reason
	var told []string
	for _, a := range dashboard(t) {
		at := -1
		for i, b := range begin {
			if strings.HasPrefix(a.name, b) && (at < 0 || len(b) > len(begin[at])) {
				at = i
			}
		}
		m := byName[a.name]
		switch {
		case m == nil && at < 0:
			t.Errorf("%s is not told, and has no reason", a.name)
		case m != nil && at >= 0:
			t.Errorf("%s is told, and has a reason why not: %s", a.name, why[at])
		case m == nil:
			names[at] = append(names[at], a.name)
			continue
		}
		for label := range a.labels {
			if m != nil && !slices.Contains(m.Labels, label) {
				t.Errorf("%s has no label %s", a.name, label)
			}
		}
		told = append(told, a.name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| `%s` | told |\n", strings.Join(told, "`, `"))
	for i := range begin {
		if len(names[i]) == 0 {
			t.Errorf("no name has the reason of %s", begin[i])
			continue
		}
		fmt.Fprintf(&b, "| `%s` | not told: %s |\n", strings.Join(names[i], "`, `"), why[i])
	}
	keepTable(t, "| panels ask for | |\n|---|---|\n", b.String())
}
