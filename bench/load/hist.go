package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies from a microsecond to a minute are kept with three digits; longer
// ones are kept as a minute.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(time.Minute)
	digits   = 3
)

// Hist is a histogram of latencies.
type Hist struct {
	mu sync.Mutex // over recording
	h  *hdrhistogram.Histogram
}

// NewHist returns an empty one.
func NewHist() *Hist { return &Hist{h: hdrhistogram.New(shortest, longest, digits)} }

// sharedHists is how many there are for many connections: each takes 200 KiB.
const sharedHists = 16

func newHists(conns int) []*Hist {
	hists := make([]*Hist, min(conns, sharedHists))
	for i := range hists {
		hists[i] = NewHist()
	}
	return hists
}

// Add records one latency. Any goroutine may call it.
func (h *Hist) Add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// The error is about the range alone, and that is kept here.
	_ = h.h.RecordValue(min(max(int64(d), shortest), longest))
}

// Merge adds all of o.
func (h *Hist) Merge(o *Hist) { h.h.Merge(o.h) }

// Count is how many were recorded.
func (h *Hist) Count() int64 { return h.h.TotalCount() }

// At is the latency that percent of all do not exceed.
func (h *Hist) At(percent float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.ValueAtPercentile(percent))
}

// Max is the longest.
func (h *Hist) Max() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.Max())
}
