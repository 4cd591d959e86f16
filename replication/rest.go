package replication

import (
	"context"
	"time"
)

// rests has what reads pages of a view rest for twice as long as it has worked. A base copy is in no hurry
// while the sender serves others: on few processors it would take one of them for itself, and a
// processor that others want makes its work longer, and so its rests.
type rests struct {
	ctx  context.Context // ends a rest
	work time.Duration   // since the last rest
}

const (
	// restAfter is less than writes wait for a sync, and more than a timer is late.
	restAfter = 2 * time.Millisecond
	restMax   = 50 * time.Millisecond // a processor that was away for long is no work
)

// worked counts a page, and rests when it is time. A nil rests does not.
func (r *rests) worked(since time.Time) {
	if r == nil {
		return
	}
	if r.work += time.Since(since); r.work < restAfter {
		return
	}
	// Twice, since what was read is written meanwhile, on another goroutine.
	rest := min(2*r.work, restMax)
	r.work = 0
	select {
	case <-time.After(rest):
	case <-r.ctx.Done():
	}
}
