package replication

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// What has worked for long enough rests twice as long, up to a limit, and not when it has ended.
func TestRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := &rests{ctx: ctx}
		rested := func(r *rests, work time.Duration) time.Duration {
			begun := time.Now()
			time.Sleep(work)
			worked := time.Now()
			r.worked(begun)
			return time.Since(worked)
		}
		for _, c := range []struct{ work, rest time.Duration }{
			{restAfter - 1, 0},
			{1, 2 * restAfter}, // with what was worked before
			{restAfter - 1, 0},
			{restAfter, 2 * (2*restAfter - 1)},
			{time.Second, restMax},
		} {
			if got := rested(r, c.work); got != c.rest {
				t.Errorf("behind %v it rests for %v, want %v", c.work, got, c.rest)
			}
		}
		cancel()
		if got := rested(r, time.Second); got != 0 {
			t.Errorf("it rests for %v where it has ended", got)
		}
		if got := rested(nil, time.Second); got != 0 {
			t.Errorf("what is in a hurry rests for %v", got)
		}
	})
}
