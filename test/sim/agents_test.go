package sim

import "testing"

// TestAgents lives clusters in which two agents contend about who leads: nobody writes when
// its lease is over, and no older word follows a newer one.
func TestAgents(t *testing.T) {
	count := 10
	if testing.Short() {
		count = 4
	}
	var met Supervised
	faults := []string{"agents", "crash", "pair", "oneway", "isolate", "pause", "slowdisk", "stall", "clock", "checkpoint"}
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: faults}) {
		met.Add(r.Supervised)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Promoted < count || met.Renewed < count || met.Old == 0 || met.Handed == 0 || met.Ended == 0 {
		t.Errorf("that proves too little: %+v", met)
	}
}
