package sim

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	firstSeed  = flag.Uint64("seed", 1, "first seed of TestSeeds")
	seedCount  = flag.Int("seeds", 500, "how many seeds TestSeeds lives")
	mixedCount = flag.Int("mixed", 25, "how many seeds TestMixed lives")
	story      = flag.Bool("story", false, "TestSeeds tells the story of each seed; use with -seeds 1")
)

// TestSeeds lives many clusters and prints how often each rare event happened.
// With the default number of seeds none may be missing.
func TestSeeds(t *testing.T) {
	count := *seedCount
	if testing.Short() {
		count = min(count, 20)
	}
	var table Table
	var readers ReaderMet
	results := runSeeds(*firstSeed, count, Options{})
	for _, r := range results {
		table.Add(&r.Table)
		readers.Add(r.Readers)
		switch {
		case r.Err != nil:
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		case r.Virtual < time.Minute || r.Faults < 3 || r.Table[LeaderChanged] == 0:
			t.Errorf("seed %d proves too little: %v, %d kinds of faults, %d changes of leader under load",
				r.Seed, r.Virtual, r.Faults, r.Table[LeaderChanged])
		}
	}
	checkLives(t, "lives", results)
	var out strings.Builder
	missing := table.Print(&out)
	t.Logf("%d seeds\n%s\nreaders of Tarantool's kind: %+v", count, out.String(), readers)
	if count >= 500 {
		for _, r := range missing {
			t.Errorf("never happened: %v", r)
		}
	}
}

// TestMixed lives clusters with Tarantools among the members.
func TestMixed(t *testing.T) {
	count := *mixedCount
	if testing.Short() {
		count = min(count, 5)
	}
	var met Met
	splits, acked := 0, 0
	results := runSeeds(*firstSeed, count, Options{Mixed: true})
	for _, r := range results {
		met.Add(r.Met)
		acked += r.Acked
		if r.Err != nil {
			t.Errorf("seed %d: %v", r.Seed, r.Err)
		}
		if r.Split {
			splits++
		}
	}
	checkLives(t, "mixed", results)
	t.Logf("%d seeds, %d with a split brain, %d writes acknowledged, %+v", count, splits, acked, met)
}

// runSeeds lives seeds on all processors; the results are in the order of the
// seeds.
func runSeeds(first uint64, count int, o Options) []Result {
	debug.SetGCPercent(400) // much is made, and little stays
	results := make([]Result, count)
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				if *story {
					results[i] = Run(first+uint64(i), o, os.Stdout)
				} else {
					results[i] = Run(first+uint64(i), o, nil)
				}
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	workers.Wait()
	return results
}

// TestSameSeedSameHistory: a seed and a commit are enough to run a failure again.
func TestSameSeedSameHistory(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		a, b := Run(seed, Options{}, nil), Run(seed, Options{}, nil)
		if a.Hash != b.Hash || a.Acked != b.Acked || a.Table != b.Table {
			t.Errorf("seed %d gave two histories: %016x and %016x", seed, a.Hash, b.Hash)
		}
		if c := Run(seed+1, Options{}, nil); c.Hash == a.Hash {
			t.Errorf("seeds %d and %d gave one history", seed, seed+1)
		}
	}
}
