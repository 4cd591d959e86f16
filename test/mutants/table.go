package mutants

import "fmt"

// TableHead begins the table of docs/testing.md.
const TableHead = "| mutant | area | seen by | first seed | rate |\n|---|---|---|---|---|\n"

// Line is a mutant's line in it.
func (t *Trophy) Line() string {
	seed, rate := fmt.Sprint(t.Seed), fmt.Sprintf("%d of %d", t.Killed, t.Lived)
	switch {
	case t.Mutant.By != "":
		seed, rate = "-", "-"
	case t.Lived == 0:
		rate = "-"
	}
	checker := t.Checker
	if checker == "" {
		checker, seed = "**survives**", "-"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", t.Mutant.Name, t.Mutant.Area, checker, seed, rate)
}

// Expected tells whether a checker saw it that should.
func (t *Trophy) Expected() bool { return t.Mutant.expects(t.Checker) }
