package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Bounds far beyond what any life needs.
const (
	maxEvents = 6_000_000       // in a second of the world
	maxDraws  = 1_000_000       // of chance, in an event
	maxLife   = 5 * time.Minute // of real time
)

// pulse notices a life that goes on and gets nowhere: events that follow each other
// and take no time, and an event that draws and draws. A Step that does not end is for
// hurry: nothing of the world can notice it.
type pulse struct {
	second time.Duration // of the world, the one that runs
	events int           // in it so far
	draws  int           // in the event at hand
}

// beat is called before each event.
func (p *pulse) beat(w *World) {
	p.draws = 0
	if now := w.now.Truncate(time.Second); now != p.second {
		p.second, p.events = now, 0
	}
	if p.events++; p.events > maxEvents {
		w.fail("endless", "%d events within a second: %s", maxEvents, w.describe())
	}
}

// endless is the panic of an event that does not end.
type endless string

// dice is a source of chance that lets no event draw for ever.
type dice struct {
	source rand.Source
	pulse  *pulse
}

// Uint64 implements rand.Source.
func (d *dice) Uint64() uint64 {
	if d.pulse.draws++; d.pulse.draws > maxDraws {
		panic(endless(fmt.Sprintf("an event draws more than %d times", maxDraws)))
	}
	return d.source.Uint64()
}

// hurry ends the process, with all stacks and the name of the seed, if a life takes
// too long: nothing else ends a loop in a core.
func hurry(seed uint64, mixed bool) *time.Timer {
	return time.AfterFunc(maxLife, func() {
		debug.SetTraceback("all")
		panic((&Violation{Checker: "endless", Seed: seed, Stage: "of real time", At: maxLife, Text: "it still lives", Mixed: mixed}).Error())
	})
}
