package router

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/vclock"
)

// lags tells how far instances are behind the leader, by the router's own clock: an instance
// that lacks something which the leader had some time ago is so far behind. It is a value.
type lags struct {
	leader int           // -1: there is none
	since  time.Duration // it leads
	last   position      // what a leader had when it was asked last
	seen   []vclock.VClock
	at     []time.Duration // when it was seen; 0: never
	past   []position      // of leaders, oldest first
}

// position is what a leader had at a time.
type position struct {
	at     time.Duration
	vclock vclock.VClock
}

// pastKept bounds how many positions are kept: what is older counts as the oldest.
const pastKept = 1024

func (l *lags) init(n int) {
	l.leader, l.seen, l.at = -1, make([]vclock.VClock, n), make([]time.Duration, n)
}

// leads notes who leads now.
func (l *lags) leads(i int, now time.Duration) {
	if i != l.leader {
		l.leader, l.since = i, now
	}
}

// forget is the end of the connection to an instance: who comes back may have less.
func (l *lags) forget(i int) { l.seen[i], l.at[i] = vclock.VClock{}, 0 }

// saw takes what an instance has now; moved: that is another lag.
func (l *lags) saw(i int, v vclock.VClock, now time.Duration) (moved bool) {
	moved = l.at[i] == 0
	l.seen[i], l.at[i] = v, now
	if i != l.leader {
		return moved
	}
	if n := len(l.past); n > 0 && l.past[n-1].vclock == v {
		return moved // it lacks nothing newer than when it was first seen
	}
	// What the leader lacks is void, or was lost with one before it: nobody has to have it.
	l.past = slices.DeleteFunc(l.past, func(p position) bool { return !covers(&v, &p.vclock) })
	if len(l.past) == pastKept {
		l.past = append(l.past[:0], l.past[1:]...)
	}
	l.past = append(l.past, position{now, v})
	return moved
}

// of is how far an instance is behind; false: it is not known.
func (l *lags) of(i int, now time.Duration) (lag time.Duration, known bool) {
	if l.at[i] == 0 {
		return 0, false
	}
	have := &l.seen[i]
	for k := range l.past {
		if !covers(have, &l.past[k].vclock) {
			return now - l.past[k].at, true
		}
	}
	return 0, true
}

// covers tells whether a has all that b has, local rows aside.
func covers(a, b *vclock.VClock) bool {
	for id := 1; id < len(a); id++ {
		if a[id] < b[id] {
			return false
		}
	}
	return true
}
