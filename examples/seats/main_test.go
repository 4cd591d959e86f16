package main

import (
	"strings"
	"testing"
)

// It books what there is, and goes on where it ended.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"0 turned away: 40 of 60", "10 turned away: 60 of 60"} {
		var out strings.Builder
		if err := run(t.Context(), dir, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
}
