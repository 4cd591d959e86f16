package sim

import "testing"

// Leadership moves in mixed worlds, too, by a word: while Tarantools are about, and ours
// die, are cut off and sleep.
func TestHandoversMixed(t *testing.T) {
	const count = 12 // of fewer most are led by Tarantools, which hand nothing over
	var met Moved
	for _, r := range runSeeds(*firstSeed, count, Options{Mixed: true, Faults: []string{"handover", "handdie", "heirdie", "handcut", "crash"}}) {
		met.Add(r.Moved)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Words < count || met.Led < count/2 || met.Else == 0 {
		t.Errorf("that proves too little: %+v", met)
	}
}

// Where nothing else goes wrong the target leads, each time, and there is no split brain.
func TestHandoversMixedCalm(t *testing.T) {
	const count = 8
	var met Moved
	for _, r := range runSeeds(*firstSeed, count, Options{Mixed: true, Faults: []string{"handover"}}) {
		met.Add(r.Moved)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Words < 3*count || met.Else > 0 {
		t.Errorf("that proves too little, or a target did not lead: %+v", met)
	}
}
