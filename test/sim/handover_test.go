package sim

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

var handoverCount = flag.Int("handovers", 20, "how many seeds TestHandoversAmidAll lives")

// TestHandovers lives clusters whose operators move leadership at any moment, while old
// leaders and targets die, are cut off, and rivals are promoted.
func TestHandovers(t *testing.T) {
	count := 30
	if testing.Short() {
		count = 6
	}
	var met Moved
	faults := []string{"handover", "handdie", "heirdie", "handcut", "handrival", "crash", "pair", "oneway", "pause", "slowdisk", "stall", "schema", "clock", "checkpoint"}
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: faults}) {
		met.Add(r.Moved)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Given < count || met.Led < met.Given/4 || met.Else == 0 || met.GivenUp == 0 || met.Forwarded < 20*count || met.Lost < count/4 || met.ReadOwn < 100*count {
		t.Errorf("that proves too little: %+v", met)
	}
}

// TestHandoversAmidAll lets leadership move while anything else may happen that any world knows:
// members come and go, elections are paused, disks lie.
func TestHandoversAmidAll(t *testing.T) {
	count := *handoverCount
	if testing.Short() {
		count = min(count, 5)
	}
	var met Moved
	var lock sync.Mutex
	next := make(chan uint64)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for seed := range next {
				faults := anyFaults(seed)
				r := Run(seed, Options{Faults: faults}, nil)
				lock.Lock()
				met.Add(r.Moved)
				lock.Unlock()
				if r.Err != nil {
					t.Errorf("seed %d: %v -faults %s", seed, r.Err, strings.Join(faults, ","))
				}
			}
		})
	}
	for i := range count {
		next <- *firstSeed + uint64(i)
	}
	close(next)
	workers.Wait()
	t.Logf("%+v", met)
	if met.Given < count/2 {
		t.Errorf("that proves too little: %+v", met)
	}
}

// anyFaults draws three to fourteen kinds of faults beside those of handovers.
func anyFaults(seed uint64) (names []string) {
	rng := rand.New(rand.NewPCG(seed, 0x616e79))
	for _, k := range handoverKinds {
		names = append(names, k.name)
	}
	all := slices.Concat(faultKinds, directedKinds, changeKinds, pauseKinds)
	for _, i := range rng.Perm(len(all))[:3+rng.IntN(12)] {
		names = append(names, all[i].name)
	}
	return names
}

// What one takes away from forwarding is seen, and the same seed is fine with it.
func TestForwardFaults(t *testing.T) {
	faults := []string{"handover", "handdie", "handcut", "crash", "pair", "reset"}
	for _, name := range []string{"forward-twice", "forward-again", "lost-is-unsent"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Faults: faults}
			o.Break, _ = BreakNamed(name)
			seed, checker := hunt(o, 30)
			if seed == 0 || checker != "forward" && checker != "conditional" {
				t.Fatalf("seed %d, checker %q", seed, checker)
			}
			t.Logf("seed %d", seed)
			o.Break = Break{}
			if r := Run(seed, o, nil); r.Err != nil {
				t.Errorf("the same seed fails without it: %v", r.Err)
			}
		})
	}
}

// Where nothing else goes wrong the target leads the next term, each time, and no write
// fails where writes are forwarded.
func TestHandoversCalm(t *testing.T) {
	count := 20
	if testing.Short() {
		count = 5
	}
	var met Moved
	for _, r := range runSeeds(*firstSeed, count, Options{Faults: []string{"handover"}}) {
		met.Add(r.Moved)
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
	}
	t.Logf("%+v", met)
	if met.Given < 2*count || met.Else > 0 || met.Forwarded < 500*count || met.ReadOwn < 1000*count {
		t.Errorf("that proves too little, or a target did not lead: %+v", met)
	}
}
