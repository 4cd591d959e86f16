package sim

import "testing"

// TestPauses lives clusters whose operators pause elections: nobody is a candidate of
// its own accord meanwhile, and somebody leads afterwards.
func TestPauses(t *testing.T) {
	count := 20
	if testing.Short() {
		count = 5
	}
	var met Paused
	faults := []string{"halt", "haltdie", "halt", "crash", "isolate", "pair", "oneway", "pause", "promote", "demote", "slowdisk", "clock", "checkpoint"}
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: faults}) {
		met.Add(r.Paused)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Asked < count/2 || met.Alone == 0 || met.Resumed == 0 || met.Counted < 2*met.Asked {
		t.Errorf("that proves too little: %+v", met)
	}
}
