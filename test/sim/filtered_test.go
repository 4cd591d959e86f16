package sim

import "testing"

// filterFaults are what strikes in worlds with filtered readers.
var filterFaults = []string{"filter", "crash", "pair", "oneway", "pause", "slowdisk", "stall", "schema", "checkpoint", "prune", "handover"}

// replicaFaults strike where an operator drops readers, and registers them again, too. One that is
// refused meets less of all else, so such worlds stand beside the others.
var replicaFaults = append([]string{"replica"}, filterFaults...)

// TestFilters lives clusters with replicas that have some spaces only, while their filter
// changes, base copies break and leaders fall.
func TestFilters(t *testing.T) {
	count := 20
	if testing.Short() {
		count = 6
	}
	var met FilterMet
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: filterFaults}) {
		met.Add(r.Filters)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if testing.Short() {
		return // so few worlds may see little
	}
	if met.Changes < 2*count || met.Copied < 2*count || met.Broken < 2*count || met.Compared < 1000*count || met.Absent < 2000*count || met.Lacking < 200*count ||
		met.Gaps < 200*count || met.Undecided < count/4 || met.Crashes < 10*count {
		t.Errorf("that proves too little: %+v", met)
	}
}

// TestFilterReplicas is TestFilters where replicas are dropped and come back.
func TestFilterReplicas(t *testing.T) {
	count := 10
	if testing.Short() {
		count = 4
	}
	var met FilterMet
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: replicaFaults}) {
		met.Add(r.Filters)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Dropped < count || met.Refused < 50*count || met.Copied < count || met.Compared < 1000*count || met.Crashes < 10*count {
		t.Errorf("that proves too little: %+v", met)
	}
}

// Faults that are planted in readers and their streams are seen by the checkers of these
// worlds, each within some seeds; the one that sees it is well without.
func TestFilterFaults(t *testing.T) {
	for fault, seeds := range map[string][2]uint64{"view at once": {18, 18}, "no key": {1, 3}, "resumed": {31, 31}, "sender's filter": {1, 12}, "unchecked": {1, 4}} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			faults := filterFaults
			if fault == "unchecked" {
				faults = replicaFaults
			}
			for seed := seeds[0]; seed <= seeds[1]; seed++ {
				if r := Run(seed, Options{Faults: faults, FilterFault: fault}, nil); r.Err != nil {
					t.Logf("seed %d: %.200v", r.Seed, r.Err)
					if r = Run(seed, Options{Faults: faults}, nil); r.Err != nil {
						t.Errorf("seed %d without the fault: %v", seed, r.Err)
					}
					return
				}
			}
			t.Errorf("no checker sees it in seeds %d", seeds)
		})
	}
}

// indexFaults strike in worlds whose filters leave indexes out and in again.
var indexFaults = append([]string{"indexes", "indexes", "indexes"}, filterFaults...)

// TestFilterIndexes is TestFilters with such filters.
func TestFilterIndexes(t *testing.T) {
	count := 10
	if testing.Short() {
		count = 4
	}
	var met FilterMet
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: indexFaults}) {
		met.Add(r.Filters)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if testing.Short() {
		return // so few worlds may see little
	}
	if met.LeftOut < 100*count || met.Formed < 2*count || met.Indexed < 100*count || met.Crashes < 10*count {
		t.Errorf("that proves too little: %+v", met)
	}
}

// A reader that forgets what its filter leaves out is seen.
func TestFilterIndexFault(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		if r := Run(seed, Options{Faults: indexFaults, FilterFault: "indexes forgotten"}, nil); r.Err != nil {
			t.Logf("seed %d: %.200v", r.Seed, r.Err)
			if r = Run(seed, Options{Faults: indexFaults}, nil); r.Err != nil {
				t.Errorf("seed %d without the fault: %v", seed, r.Err)
			}
			return
		}
	}
	t.Error("no checker sees it")
}
