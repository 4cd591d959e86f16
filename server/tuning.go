package server

import (
	"math"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/config"
)

// tuning is what box.cfg changes while the instance runs and the core does not
// know. It is read on many goroutines.
type tuning struct {
	checkpointEvery atomic.Int64 // a time.Duration; 0: never by time
	checkpointCount atomic.Int64 // to keep; 1 at least
	checkpointBytes atomic.Int64 // of log that start one
	deathTimeout    atomic.Int64 // a time.Duration
	reconnect       atomic.Int64 // a time.Duration; 0: as the death timeout
	copyTimeout     atomic.Int64 // a time.Duration
	maxCopies       atomic.Int64
}

func (t *tuning) read(in *config.Instance) {
	t.checkpointEvery.Store(int64(in.Snapshot.Interval))
	t.checkpointCount.Store(int64(max(in.Snapshot.Count, 1)))
	t.checkpointBytes.Store(in.Snapshot.WALSize)
	t.deathTimeout.Store(int64(in.Replication.Timeout))
	t.reconnect.Store(int64(in.Replication.ReconnectTimeout))
	t.copyTimeout.Store(int64(in.Tarragon.CopyTimeout))
	t.maxCopies.Store(int64(in.Tarragon.MaxCopies))
}

func (t *tuning) every() time.Duration { return time.Duration(t.checkpointEvery.Load()) }
func (t *tuning) death() time.Duration { return time.Duration(t.deathTimeout.Load()) }

// copies are the limits of base copies, see replication.Hub.SetCopies.
func (t *tuning) copies() (silence time.Duration, places int) {
	return time.Duration(t.copyTimeout.Load()), int(t.maxCopies.Load())
}

// toInt saturates.
func toInt(f float64) int64 {
	if f >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(f)
}
