package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"tarragon.dev/tarragon/instance"
)

// spread is a delay that is drawn anew each time, evenly between two ends.
type spread struct{ low, high time.Duration }

func (s spread) draw(w *World) time.Duration { return w.between(s.low, s.high) }

// plan is what a seed draws before anything happens.
type plan struct {
	hosts   int
	clients int
	safety  time.Duration // how long faults strike
	config  instance.Config
	voter   int // slot of the host that never leads; -1: all may
	spares  int // hosts on which members may come

	wire  spread // a packet's way
	sync  spread // a disk's sync
	cpu   spread // between an event and its Step
	think spread // a client between two operations
	slice int    // tuples that a checkpoint or a join reads at once
	once  int    // of the work of a schema change that its statement does

	faults []faultKind // the kinds that strike in this world
	pace   spread      // between two faults

	tarantools []int // slots of the hosts of Tarantool's kind; nil: a set of ours
	forwards   bool  // leadership is handed over, and writes are forwarded then
	txns       bool  // clients have transactions of several requests, too
	filters    bool  // there are replicas with a filter
	agents     bool  // agents say who leads
	sessions   bool  // there are clients with exactly-once sessions
	async      bool  // clients write asynchronously, too: in a mixed set that makes split brains

	broken          Break
	blindToPromises bool // planted faults: watch the damage, not the broken promise
	lostApart       bool // planted fault: voided rows are kept by a write of their own
	indexes         bool // their filters leave indexes out, too
	filterFault     string
}

// Options bend a seed's plan; the zero value leaves it as drawn.
type Options struct {
	Break           Break
	Faults          []string // names of fault kinds instead of drawn ones
	BlindToPromises bool
	LostApart       bool // planted fault of the disk: voided rows are written behind the group that voids them
	Hosts           int
	Mixed           bool // some hosts are of Tarantool's kind
	Txns            bool // clients have transactions of several requests, too
	Sessions        bool // there are clients with exactly-once sessions, too
	// FilterFault is a planted fault of filtered readers or their streams: "view at once", "no
	// key", "resumed", "sender's filter", "indexes forgotten", "unchecked"; empty: none.
	FilterFault string
}

// draw makes the plan of a seed.
func draw(seed uint64, o Options) plan {
	rng := rand.New(rand.NewPCG(seed, 0x7a7a))
	p := plan{
		hosts:   [...]int{3, 3, 3, 3, 5, 5, 4}[rng.IntN(7)],
		clients: 2 + rng.IntN(5),
		safety:  40 * time.Second,
		wire:    spread{20 * time.Microsecond, time.Duration(100+rng.IntN(2000)) * time.Microsecond},
		sync:    spread{100 * time.Microsecond, time.Duration(300+rng.IntN(8000)) * time.Microsecond},
		cpu:     spread{0, time.Duration(1+rng.IntN(200)) * time.Microsecond},
		think:   spread{200 * time.Microsecond, []time.Duration{8, 25, 60, 120}[rng.IntN(4)] * time.Millisecond},
		slice:   20 + rng.IntN(100),
		pace:    spread{20 * time.Millisecond, []time.Duration{400, 1500, 3000, 6000}[rng.IntN(4)] * time.Millisecond},
	}
	if o.Hosts != 0 {
		p.hosts = o.Hosts
	}
	death := time.Duration(400+rng.IntN(1200)) * time.Millisecond
	p.config = instance.Config{
		Mode:            instance.ModeCandidate,
		Fencing:         instance.Fencing(rng.IntN(3)),
		DeathTimeout:    death,
		Heartbeat:       death / 4,
		ElectionTimeout: time.Duration(500+rng.IntN(3000)) * time.Millisecond,
		StallTimeout:    time.Duration(300+rng.IntN(2000)) * time.Millisecond,
		WaitLimit:       time.Duration(500+rng.IntN(5000)) * time.Millisecond,
		QueueMaxSize:    []int{0, 0, 0, 400, 3000}[rng.IntN(5)],
	}
	if p.voter = -1; p.hosts > 3 && rng.IntN(3) == 0 {
		p.voter = rng.IntN(p.hosts-1) + 1
	}
	p.faults = drawFaults(rng, o.Faults)
	// Slices so small, and pauses so long, that the few tuples of a world take
	// as long as millions.
	p.once = 1 + rng.IntN(20)
	p.config.BuildRows = 4 + rng.IntN(26)
	p.config.BuildPause = time.Duration(1100+rng.IntN(6900)) * time.Microsecond
	p.config.BacklogMaxSize = []int{0, 0, 2000}[rng.IntN(3)]
	// Drawn apart, so that the rest of a world is what it was before there was this.
	p.config.GatherMaxSize = []int{0, 0, 200, 1000}[rand.New(rand.NewPCG(seed, 0x676174)).IntN(4)]
	if slices.ContainsFunc(p.faults, func(k faultKind) bool { return k.name == "handover" }) {
		p.forwards = true
		p.config.ForwardWrites = rand.New(rand.NewPCG(seed, 0x666f72)).IntN(2) == 0
	}
	p.filters = slices.ContainsFunc(p.faults, func(k faultKind) bool { return k.name == "filter" })
	if p.agents = slices.ContainsFunc(p.faults, func(k faultKind) bool { return k.name == "agents" }); p.agents {
		p.config.Supervised, p.config.Mode = true, instance.ModeManual
	}
	if slices.ContainsFunc(p.faults, func(k faultKind) bool { return k.name == "prefer" }) {
		p.prefer(rand.New(rand.NewPCG(seed, 0x707265)))
	}
	p.indexes = slices.ContainsFunc(p.faults, func(k faultKind) bool { return k.name == "indexes" })
	p.filterFault = o.FilterFault
	p.broken, p.blindToPromises, p.lostApart, p.txns = o.Break, o.BlindToPromises, o.LostApart, o.Txns
	if p.sessions = o.Sessions; p.sessions {
		p.config.SessionIdle = simSessionIdle
	}
	p.async = true
	switch {
	case o.Mixed:
		p.mix(rng)
	case len(o.Faults) == 0:
		p.change(rand.New(rand.NewPCG(seed, 0x77686f)))
	case slices.ContainsFunc(p.faults, func(k faultKind) bool { return isChange(k.name) }):
		p.spares = 8 - p.hosts
	}
	return p
}

// change lets who counts change in every second world.
func (p *plan) change(rng *rand.Rand) {
	if rng.IntN(2) == 0 {
		return
	}
	if rng.IntN(2) == 0 {
		p.hosts = [...]int{1, 1, 2, 3, 5}[rng.IntN(5)]
	}
	if p.voter >= p.hosts {
		p.voter = -1
	}
	p.spares = 8 - p.hosts
	order := rng.Perm(len(changeKinds))
	for _, i := range order[:1+rng.IntN(len(order))] {
		for range 1 + rng.IntN(2) { // as often as two others
			p.faults = append(p.faults, changeKinds[i])
		}
	}
}

// modeOf is the mode of an instance that nobody has changed.
func (p *plan) modeOf(slot int) instance.Mode {
	if slot == p.voter {
		return instance.ModeVoter
	}
	return p.config.Mode
}

// mix makes some hosts Tarantools. Those come back under their old identity
// without their data, and promise nothing about it: no disk is lost here.
func (p *plan) mix(rng *rand.Rand) {
	p.tarantools = rng.Perm(p.hosts)[:1+rng.IntN(p.hosts-1)]
	p.async = rng.IntN(4) == 0
	p.faults = slices.DeleteFunc(p.faults, func(k faultKind) bool { return k.name == "wipe" || k.name == "goback" || k.name == "liar" })
	p.config.AllowTarantool = true
	p.config.QueueMaxSize = 0
	p.voter = -1
}

// drawFaults takes at least three kinds, and one of them unseats leaders.
func drawFaults(rng *rand.Rand, names []string) []faultKind {
	if len(names) > 0 {
		return faultsNamed(names)
	}
	order := rng.Perm(len(faultKinds))
	n := 3 + rng.IntN(len(faultKinds)-2)
	var picked []faultKind
	for _, i := range order[:n] {
		picked = append(picked, faultKinds[i])
	}
	for _, k := range directedKinds {
		if rng.IntN(2) == 0 {
			picked = append(picked, k)
		}
	}
	return picked
}
