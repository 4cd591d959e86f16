package router

import (
	"fmt"
	"time"
)

// consensus is since when the router hears of nobody whom most members take for the leader. It
// is a value.
type consensus struct {
	limit time.Duration // for which ports lead somewhere without; 0: for ever. Negative: not at all
	had   time.Duration // when there was one last; the router's start counts
}

// over is what is left of routes at a time: nothing, where members have been of no one mind for
// too long. So a router that is cut off with few of them stops to hand out what they have.
func (c *consensus) over(to routes, now time.Duration) routes {
	if to.agreed {
		c.had = now
	}
	if to.agreed || c.limit == 0 || c.limit > 0 && now < c.had+c.limit {
		return to
	}
	to.leader, to.readers = -1, nil
	for p := range to.why {
		to.why[p] = fmt.Sprintf("no leader that most members believe in for %v (consensus_timeout): %s", (now - c.had).Truncate(time.Second), to.why[p])
	}
	return to
}
