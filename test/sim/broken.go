package sim

import (
	"tarragon.dev/tarragon/instance"
)

// Break takes a rule away from all cores, so that a test can show that a checker
// sees it. A core knows nothing of that: each is a filter on its events or effects.
// Rules that are no such filter are mutants (test/mutants). The zero value is the
// real thing.
type Break struct {
	AckNoTerm              bool // acks of a greater term are counted
	AckBeforeSync          bool // acks tell what was handed to the journal
	RelayBeforeSync        bool // rows go to the relays with their group
	VoteIgnoresInFlight    bool // a voter compares only what it has synced
	NoExchange             bool // rows are taken from the leader only
	WipedVotes             bool // an instance that lost its disk votes at once
	BackUnnoticed          bool // a disk that shows less than before is taken as it is
	DeadlinesAfterRequests bool // a Step runs deadlines last
	ForwardTwice           bool // a request is forwarded by two packets
	ForwardAgain           bool // what was lost with a connection is sent once more
	LostIsUnsent           bool // what was lost counts as never sent
}

// planted are the breaks by name.
var planted = []struct {
	name string
	set  func(*Break)
}{
	{"ack-no-term", func(b *Break) { b.AckNoTerm = true }},
	{"ack-before-sync", func(b *Break) { b.AckBeforeSync = true }},
	{"relay-before-sync", func(b *Break) { b.RelayBeforeSync = true }},
	{"vote-ignores-in-flight", func(b *Break) { b.VoteIgnoresInFlight = true }},
	{"no-exchange", func(b *Break) { b.NoExchange = true }},
	{"wiped-votes", func(b *Break) { b.WipedVotes = true }},
	{"back-unnoticed", func(b *Break) { b.BackUnnoticed = true }},
	{"deadlines-after-requests", func(b *Break) { b.DeadlinesAfterRequests = true }},
	{"forward-twice", func(b *Break) { b.ForwardTwice = true }},
	{"forward-again", func(b *Break) { b.ForwardAgain = true }},
	{"lost-is-unsent", func(b *Break) { b.LostIsUnsent = true }},
}

// BreakNames lists the planted faults.
func BreakNames() (names []string) {
	for _, p := range planted {
		names = append(names, p.name)
	}
	return names
}

// BreakNamed gives the planted fault of a name.
func BreakNamed(name string) (b Break, ok bool) {
	for _, p := range planted {
		if p.name == name {
			p.set(&b)
			return b, true
		}
	}
	return b, false
}

// stepBroken is a Step of the core in a world in which something is broken.
func (n *node) stepBroken(batch []instance.Event) *instance.Effects {
	b := &n.w.plan.broken
	events := make([]instance.Event, 0, len(batch))
	for _, ev := range batch {
		if ev = b.event(n, ev); ev != nil {
			events = append(events, ev)
		}
	}
	now := n.now()
	if b.DeadlinesAfterRequests && n.frozen.core == n.core {
		now.Mono = n.frozen.at // nothing is due at the time of the last Step
	}
	n.frozen.core, n.frozen.at = n.core, n.mono()
	eff := n.core.Step(now, events)
	b.effects(n, eff)
	return eff
}

// stepLate runs the deadlines that stepBroken has left out.
func (n *node) stepLate() {
	if n.w.plan.broken.DeadlinesAfterRequests && n.active() {
		n.run(n.core.Step(n.now(), nil))
	}
}

// event is what a core gets to see of an event; nil: nothing.
func (b *Break) event(n *node, ev instance.Event) instance.Event {
	switch ev := ev.(type) {
	case *instance.Ack:
		if b.AckNoTerm {
			a := *ev
			a.Term = min(a.Term, n.core.Info(n.mono()).Term)
			return &a
		}
	case instance.Rows:
		if b.NoExchange && ev.From != n.core.Info(n.mono()).Leader {
			ev.Rows = nil
			return ev
		}
	case instance.RaftMsg:
		if v := ev.Msg.VClock; b.VoteIgnoresInFlight && v != nil {
			if i := n.core.Info(n.mono()); v.Covers(&i.Synced) {
				i.VClock.Merge(v)
				ev.Msg.VClock = &i.VClock
			}
			return ev
		}
	case instance.ShownBefore:
		if b.BackUnnoticed {
			return nil
		}
	case instance.Upstream:
		ev.Back = ev.Back && !b.BackUnnoticed
		return ev
	case instance.Downstream:
		if b.BackUnnoticed && ev.Up && ev.Peer != 0 {
			shown := n.core.ShownBy(ev.Peer)
			ev.VClock.Merge(&shown.Ack)
			ev.VClock[n.id] = min(ev.VClock[n.id], n.core.Info(n.mono()).VClock[n.id])
			return ev
		}
	}
	return ev
}

// effects changes what a core wants to be done.
func (b *Break) effects(n *node, eff *instance.Effects) {
	if b.AckBeforeSync && eff.Ack != nil {
		v := n.core.Info(n.mono()).VClock
		eff.Ack.VClock = v.Global()
	}
	if b.RelayBeforeSync && eff.Group != nil {
		eff.Relay = eff.GroupNo
	}
}
