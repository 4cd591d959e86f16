package mutants

import (
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestMutantsFit: each mutant still finds its words, once, and leaves a file
// that gofmt can read.
func TestMutantsFit(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range All() {
		if names[m.Name] {
			t.Errorf("two mutants are named %s", m.Name)
		}
		names[m.Name] = true
		if !slices.Contains(Areas, m.Area) {
			t.Errorf("mutant %s: no area %q", m.Name, m.Area)
		}
		if (m.By == "") == (len(m.Killers) == 0) {
			t.Errorf("mutant %s: either checkers of the simulator or a test kills it", m.Name)
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.File)))
		if err != nil {
			t.Error(err)
			continue
		}
		changed, err := m.Apply(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := format.Source(changed); err != nil {
			t.Errorf("mutant %s: %v", m.Name, err)
		}
	}
}

// TestEveryAreaHasMutants: no part of the core goes without.
func TestEveryAreaHasMutants(t *testing.T) {
	for _, area := range Areas {
		if !slices.ContainsFunc(All(), func(m Mutant) bool { return m.Area == area }) {
			t.Errorf("no mutant in %s", area)
		}
	}
}
