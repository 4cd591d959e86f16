package main

import "testing"

// The move by a word leaves nothing out; without each of its rules it does.
func TestWord(t *testing.T) {
	for name, rules := range wordRules {
		states, trace, err := rules.Explore()
		if (err != nil) != (name != "final") {
			t.Errorf("%s: %d states, %q: %v", name, states, trace, err)
		}
		t.Logf("%s: %d states, %d steps, %v", name, states, len(trace), err)
	}
}
