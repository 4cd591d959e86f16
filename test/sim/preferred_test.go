package sim

import "testing"

// TestPreferred lives clusters in which a leader is preferred that flaps, amid all that kills, cuts and slows: it
// gets leadership back when it was there for the calm time, and not before.
func TestPreferred(t *testing.T) {
	count := 15
	if testing.Short() {
		count = 5
	}
	var met Returned
	faults := []string{"prefer", "prefer", "crash", "pair", "oneway", "isolate", "pause", "slowdisk", "stall", "clock", "promote", "checkpoint"}
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: faults}) {
		met.Add(r.Returned)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Begun < count || met.Broken < count/2 {
		t.Errorf("that proves too little: %+v", met)
	}
}
