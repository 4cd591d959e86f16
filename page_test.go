package tarragon_test

import (
	"os"
	"strings"
	"testing"
)

// The page shows the examples that run.
func TestPageShowsTheExamples(t *testing.T) {
	page, err := os.ReadFile("docs/embedding.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example_test.go", "example_procedure_test.go"} {
		example, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```go\n"+string(example)+"```\n") {
			t.Errorf("docs/embedding.md shows another example than %s", name)
		}
	}
}
