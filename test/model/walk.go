package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Walker takes long random histories, for clusters and lengths that cannot be
// exhausted. Chance is skewed towards progress, else most walks are elections.
type Walker struct {
	Model
	Seed   uint64
	Length int
	For    time.Duration
	Out    io.Writer
}

// weight of a step in the draw.
func weight(p Step) int {
	switch p.Act {
	case Campaign, Crash, WriteConfig, WriteHandover, TellQuorum:
		return 3
	case LearnTerm:
		return 6
	case Wipe, Rejoin:
		return 1
	case GrantVote, BecomeLeader, Elect, Commit, Sync, Write:
		return 30
	}
	return 20
}

func (w *Walker) Run() (res Result, walkSeed uint64) {
	starts, subsets := initials(w.Bounds), subsets(w.Bounds.N)
	end := time.Now().Add(w.For)
	walks := uint64(0)
	for ; time.Now().Before(end); walks++ {
		walkSeed = w.Seed + walks
		rng := rand.New(rand.NewPCG(walkSeed, 1))
		// Each walk draws its own temper: how often nodes meet, crash and campaign.
		temper := [3]int{1 + rng.IntN(4), 1 + rng.IntN(4), 1 + rng.IntN(8)}
		s := starts[rng.IntN(len(starts))]
		start := s
		var trace []Step
		for range w.Length {
			steps := w.Steps(s)
			total := 0
			cost := func(p Step) int {
				v := weight(p)
				switch p.Act {
				case Campaign:
					v = v * temper[0] / 2
				case Crash:
					v = v * temper[1] / 4
				case Pull:
					v = v * temper[2] / 4
				}
				return max(v, 1)
			}
			for _, p := range steps {
				total += cost(p)
			}
			if total == 0 {
				break
			}
			k := rng.IntN(total)
			for _, p := range steps {
				if k -= cost(p); k < 0 {
					t, err := w.Do(s, p)
					trace = append(trace, p)
					res.States++
					if err != nil {
						res.Start, res.Err, res.Trace = start, err, trace
						return res, walkSeed
					}
					s = t
					break
				}
			}
			if rng.IntN(40) == 0 {
				alive := subsets[rng.IntN(len(subsets))]
				res.LiveChecks++
				if err := w.stuck(s, alive); err != nil {
					res.Start, res.Err, res.Trace = start, err, trace
					return res, walkSeed
				}
			}
		}
		if walks%2000 == 0 {
			fmt.Fprintf(w.Out, "walk %d: %d steps, terms %d, committed %d rows\n", walks, res.States, len(s.Leaders), len(s.History))
		}
	}
	res.Depth, res.Complete = int(walks), true
	return res, walkSeed
}
