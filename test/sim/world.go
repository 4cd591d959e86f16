package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// World is one cluster's life: its virtual time, its chance and its future.
type World struct {
	seed uint64
	plan plan
	rng  *rand.Rand
	now  time.Duration

	queue  timeline
	events uint64 // that happened
	pulse  pulse
	hosts  []*node // by slot
	nodes  []*node // those that have an instance of the set, or one that wants to be
	net    network
	load   *load
	check  *checks
	table  Table
	ambush ambush
	liar   *node   // who lies, if anybody does; nil: nobody yet
	met    Met     // by a mixed set
	split  bool    // somebody reported a split brain
	made   uint32  // spaces made under load
	healed []*node // the majority of the liveness half
	agents []*agent
	tokens uint64 // that agents have drawn

	departures  []*departure
	told        []toldQuorum
	least, most int // voters so far

	half    half
	stage   string // what the world is busy with, for the failure text
	hash    uint64 // of everything that happened, in order
	out     io.Writer
	failure error
}

// after plans something.
func (w *World) after(d time.Duration, do func()) { w.queue.push(w.now+max(d, 0), doing(do)) }

// run lets events happen until a condition holds or a moment has come. It
// tells whether the condition came true.
func (w *World) run(until time.Duration, done func() bool) bool {
	for w.failure == nil {
		if done != nil && done() {
			return true
		}
		next, lined, ok := w.queue.next()
		if !ok || next.at > until {
			w.now = max(w.now, until)
			return false
		}
		w.now = next.at
		w.events++
		w.pulse.beat(w)
		w.queue.pop(lined).happen()
	}
	return false
}

// fail notes the first violation; the world stops at it.
func (w *World) fail(checker, format string, args ...any) {
	if w.failure != nil {
		return
	}
	w.failure = &Violation{Checker: checker, Seed: w.seed, At: w.now, Stage: w.stage, Text: fmt.Sprintf(format, args...), Mixed: w.mixed()}
	w.tell(nil, "VIOLATION %v", w.failure)
}

// Violation is a broken guarantee, or progress that did not come.
type Violation struct {
	Checker string
	Seed    uint64
	At      time.Duration
	Stage   string
	Text    string
	Mixed   bool
}

func (v *Violation) Error() string {
	mixed := ""
	if v.Mixed {
		mixed = " -mixed"
	}
	return fmt.Sprintf("%s, at %v (%s): %s\nrepeat with: go run ./test/sim/cmd/sim%s -seed %d -v", v.Checker, v.At, v.Stage, v.Text, mixed, v.Seed)
}

// tell prints one line of the story.
func (w *World) tell(n *node, format string, args ...any) {
	if w.out == nil {
		return
	}
	who := "--"
	if n != nil {
		who = n.label()
	}
	fmt.Fprintf(w.out, "%12.6f %-5s %s\n", w.now.Seconds(), who, fmt.Sprintf(format, args...))
}

// mix folds something that happened into the hash of the trace.
func (w *World) mix(values ...uint64) {
	for _, v := range values {
		w.hash ^= v
		w.hash *= 0x100000001b3
		w.hash ^= w.hash >> 29
	}
}

// between draws a duration, evenly.
func (w *World) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rng.Int64N(int64(high-low)+1))
}

// chance is true in one of n draws.
func (w *World) chance(n int) bool { return w.rng.IntN(n) == 0 }
