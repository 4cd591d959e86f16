package raft

import "testing"

// Every mode is read by the name that it is written as, and nothing else is.
func TestModeNames(t *testing.T) {
	for m := Off; m <= Candidate; m++ {
		if got, ok := ParseMode(m.String()); got != m || !ok {
			t.Errorf("%v is read as %v, %t", m, got, ok)
		}
	}
	for f := FencingSoft; f <= FencingOff; f++ {
		if got, ok := ParseFencing(f.String()); got != f || !ok {
			t.Errorf("%v is read as %v, %t", f, got, ok)
		}
	}
	if m, ok := ParseMode(""); m != Off || ok {
		t.Errorf("nothing is mode %v, %t", m, ok)
	}
	if f, ok := ParseFencing("Off"); f != FencingSoft || ok {
		t.Errorf("Off is fencing %v, %t", f, ok)
	}
}
