package sim

import "testing"

// TestFences lives clusters whose operators fence an instance at random, amid all that kills, cuts and slows: who shall not
// lead begins no election, hands over when it leads, and others lead and take writes.
func TestFences(t *testing.T) {
	count := 10
	if testing.Short() {
		count = 4
	}
	var met Fenced
	faults := []string{"fence", "fence", "fence", "crash", "isolate", "pair", "oneway", "pause", "promote", "slowdisk", "stall", "clock", "checkpoint"}
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: faults}) {
		met.Add(r.Fenced)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Asked < 3*count || met.Barred < count || met.Moved < count/3 {
		t.Errorf("that proves too little: %+v", met)
	}
}
