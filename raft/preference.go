package raft

import (
	"time"

	"tarragon.dev/tarragon/vclock"
)

// Preference is whom administrators would have as leader. It says who begins an election and when,
// never who may win one: votes do not look at it.
type Preference struct {
	Barred   uint32           // bit per member that starts no election of its own accord
	Priority [vclock.Max]int8 // of those that hold as much the greater one begins first
}

func (p *Preference) bars(id uint32) bool { return p.Barred&(1<<id) != 0 }

// Prefer replaces the preference. A candidacy that is under way goes on.
func (r *Raft) Prefer(p Preference, now time.Duration) {
	if r.prefer != p {
		r.prefer = p
		r.plan(now)
	}
}

// before tells whether a should campaign before b, by what they hold, then by priority, then by
// ID.
func (r *Raft) before(a, b uint32, aHolds, bHolds uint64) bool {
	switch pa, pb := r.prefer.Priority[a], r.prefer.Priority[b]; {
	case aHolds != bHolds:
		return aHolds > bHolds
	case pa != pb:
		return pa > pb
	}
	return a < b
}
