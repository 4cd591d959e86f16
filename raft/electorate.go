package raft

import (
	"math/bits"
	"time"
)

// Electorate is who elects a leader: the voters, a bit each by replica ID, and
// how many of their votes it takes. The zero value elects nobody.
type Electorate struct {
	Voters uint32
	Quorum int
}

func (e Electorate) has(id uint32) bool { return e.Voters&(1<<id) != 0 }

func (e Electorate) elects(votes uint32) bool {
	return e.Quorum >= 1 && bits.OnesCount32(votes&e.Voters) >= e.Quorum
}

// alone tells whether one instance is a quorum by itself.
func (e Electorate) alone(self uint32) bool { return e.Quorum <= 1 && e.has(self) }

// Electorates are the two that an instance knows: by the rows that it knows to
// be committed, and by all rows of its log. They differ while a change is
// undecided here, and then it takes both to elect: docs/protocol/membership.md
// has the argument.
type Electorates struct {
	Confirmed, Newest Electorate
}

func (e *Electorates) has(id uint32) bool { return e.Confirmed.has(id) || e.Newest.has(id) }

// elect tells whether these votes make a leader.
func (e *Electorates) elect(votes uint32) bool {
	return e.Confirmed.elects(votes) && e.Newest.elects(votes)
}

// all are the electorates that count, each once.
func (e *Electorates) all() []Electorate {
	if e.Confirmed == e.Newest {
		return []Electorate{e.Confirmed}
	}
	return []Electorate{e.Confirmed, e.Newest}
}

// SetElectorates tells who elects. A candidate gives up: votes that it has were
// asked for under other rules, and those who elect by the new ones may have a
// leader of this term already.
func (r *Raft) SetElectorates(e Electorates, now time.Duration) {
	if r.who == e {
		return
	}
	before := r.who
	r.who = e
	for id := range r.peers {
		if e.has(uint32(id)) && !before.has(uint32(id)) {
			r.peers[id].acked = now // a new voter has the fencing interval to give word
		}
	}
	switch {
	case before == Electorates{}: // we begin the replica set
		r.countVotes(now)
	case r.waiting || r.state == StateCandidate:
		r.waiting = false
		r.giveUp(now, "who elects has changed")
	}
	r.plan(now)
}
