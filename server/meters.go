package server

import (
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/metrics"
)

// meters are the histograms of the process: what its nodes add to on their hot paths, without a
// lock.
type meters struct {
	step  *metrics.Histogram // each Step
	apply *metrics.Histogram // Steps that applied transactions of a peer
}

func newMeters() *meters {
	return &meters{step: metrics.NewDurations(), apply: metrics.NewDurations()}
}

// stepped is called on a Loop's goroutine.
func (m *meters) stepped(took time.Duration, events []instance.Event) {
	m.step.Observe(int64(took))
	for _, ev := range events {
		if _, ok := ev.(instance.Rows); ok {
			m.apply.Observe(int64(took))
			return
		}
	}
}

var (
	stepSeconds  = Metrics.Histogram("tarragon", "tarragon_step_seconds", "How long a Step of the core took: all that waited, up to some milliseconds.")
	applySeconds = Metrics.Histogram("tarragon", "tarragon_apply_seconds", "The same, of Steps that applied transactions of a peer.")
)

func (m *meters) collect(to *metrics.Samples) {
	to.Spread(stepSeconds, m.step)
	to.Spread(applySeconds, m.apply)
}
