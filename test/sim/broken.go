package sim

import "tarragon.dev/tarragon/instance"

// planted are the faults that a core can be built with, by name.
var planted = []struct {
	name string
	set  func(*instance.Break)
}{
	{"promote-at-once", func(b *instance.Break) { b.PromoteAtOnce = true }},
	{"follow-effective", func(b *instance.Break) { b.FollowEffective = true }},
	{"count-old-term", func(b *instance.Break) { b.CountOldTerm = true }},
	{"ack-no-term", func(b *instance.Break) { b.AckNoTerm = true }},
	{"ack-before-sync", func(b *instance.Break) { b.AckBeforeSync = true }},
	{"relay-before-sync", func(b *instance.Break) { b.RelayBeforeSync = true }},
	{"vote-ignores-in-flight", func(b *instance.Break) { b.VoteIgnoresInFlight = true }},
	{"no-exchange", func(b *instance.Break) { b.NoExchange = true }},
	{"wiped-votes", func(b *instance.Break) { b.WipedVotes = true }},
	{"back-unnoticed", func(b *instance.Break) { b.BackUnnoticed = true }},
	{"deadlines-after-requests", func(b *instance.Break) { b.DeadlinesAfterRequests = true }},
}

// BreakNames lists the planted faults.
func BreakNames() (names []string) {
	for _, p := range planted {
		names = append(names, p.name)
	}
	return names
}

// BreakNamed gives the planted fault of a name.
func BreakNamed(name string) (b instance.Break, ok bool) {
	for _, p := range planted {
		if p.name == name {
			p.set(&b)
			return b, true
		}
	}
	return b, false
}
