//go:build !linux

package load

import (
	"context"
	"math"
)

// pollFrom: each connection has a goroutine, for there is no epoll.
const pollFrom = math.MaxInt

func newPoller(ctx context.Context, w *Workload, p *Plan, t *tally) (worker, error) {
	return newRawConn(ctx, w, p, 0, t)
}
