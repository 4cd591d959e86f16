package sim

import "testing"

// numberedFaults are what strikes in worlds with exactly-once sessions beside the usual
// faults.
var numberedFaults = []string{"handover", "handdie", "handcut", "crash", "host", "pair", "oneway", "isolate", "pause", "slowdisk", "stall", "promote", "demote", "wipe", "checkpoint", "prune"}

// TestSessions lives clusters with clients that repeat their requests until they are
// answered, over all faults.
func TestSessions(t *testing.T) {
	count := 24
	if testing.Short() {
		count = 6
	}
	var met NumberedMet
	for _, o := range []Options{{Sessions: true, Faults: numberedFaults}, {Sessions: true}} {
		for _, r := range runSeeds(*firstSeed, count/2, o) {
			met.Add(r.Numbered)
			if r.Err != nil {
				t.Errorf("seed %d: %v", r.Seed, r.Err)
			}
		}
	}
	t.Logf("%+v", met)
	if met.Done < 100*count || met.Failed < 20*count || met.Repeated < 50*count || met.Stuck < 20*count || met.Ended < count/2 {
		t.Errorf("that proves too little: %+v", met)
	}
}
