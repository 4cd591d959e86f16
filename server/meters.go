package server

import (
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/metrics"
)

// meters are the histograms of the process: what its nodes add to on their hot paths, without a
// lock.
type meters struct {
	step       *metrics.Histogram // each Step
	apply      *metrics.Histogram // Steps that applied transactions of a peer
	groupRows  *metrics.Histogram
	groupBytes *metrics.Histogram
	written    *metrics.Histogram // from the hands of a core to the disk
	sync       *metrics.Histogram // of the disk, for all groups that one write takes
	quorum     *metrics.Histogram // from the hands of a core to the knowledge that a quorum has it
	forward    *metrics.Histogram // from the queue to the answer of another leader
	last       atomic.Int64       // how long the newest Step took, nanoseconds
}

func newMeters() *meters {
	d := metrics.NewDurations
	return &meters{step: d(), apply: d(), groupRows: metrics.NewSizes(), groupBytes: metrics.NewHistogram(64, 20, 1), written: d(), sync: d(), quorum: d(), forward: d()}
}

// synced is called on the journal's goroutine, or on one that repairs.
func (m *meters) synced(took time.Duration) { m.sync.Observe(int64(took)) }

// forwarded is called on the goroutine that has got the answer.
func (m *meters) forwarded(took time.Duration) { m.forward.Observe(int64(took)) }

// stepped is called on a Loop's goroutine.
func (m *meters) stepped(took time.Duration, events []instance.Event) {
	m.step.Observe(int64(took))
	m.last.Store(int64(took))
	for _, ev := range events {
		if _, ok := ev.(instance.Rows); ok {
			m.apply.Observe(int64(took))
			return
		}
	}
}

// How long things take, and how large they are. Times are in seconds.
var (
	quorumSeconds  = Metrics.Histogram("tarragon", "tarragon_quorum_wait_seconds", "How long it took on the leader from handing a group of transactions to the journal until a quorum was known to have it on disk.")
	writtenSeconds = Metrics.Histogram("tarragon", "tarragon_group_write_seconds", "How long it took from handing a group to the journal until it was on the own disk.")
	syncSeconds    = Metrics.Histogram("tarragon", "tarragon_log_sync_seconds", "How long the disk took for a write to the log with its sync.")
	groupRows      = Metrics.Histogram("tarragon", "tarragon_group_rows", "Rows of a group, which goes to the log with one sync.")
	groupBytes     = Metrics.Histogram("tarragon", "tarragon_group_bytes", "Bytes of such a group.")
	stepSeconds    = Metrics.Histogram("tarragon", "tarragon_step_seconds", "How long a Step of the core took: all that waited, up to some milliseconds.")
	applySeconds   = Metrics.Histogram("tarragon", "tarragon_apply_seconds", "The same, of Steps that applied transactions of a peer.")
	forwardSeconds = Metrics.Histogram("tarragon", "tarragon_forward_seconds", "How long another leader took to answer a request that was forwarded to it.")
)

func (m *meters) collect(to *metrics.Samples) {
	to.Spread(quorumSeconds, m.quorum)
	to.Spread(writtenSeconds, m.written)
	to.Spread(syncSeconds, m.sync)
	to.Spread(groupRows, m.groupRows)
	to.Spread(groupBytes, m.groupBytes)
	to.Spread(stepSeconds, m.step)
	to.Spread(applySeconds, m.apply)
	to.Spread(forwardSeconds, m.forward)
}
