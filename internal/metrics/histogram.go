package metrics

import (
	"math/bits"
	"sync/atomic"
)

// Histogram counts values by their size. The bounds of its buckets are least, 2*least, 4*least
// and so on, so that the bucket of a value is found by counting its bits. It may be added to on
// any goroutine, while others read it.
type Histogram struct {
	least int64
	unit  float64 // what 1 is in the unit that is told
	sum   atomic.Int64
	count []atomic.Uint64 // by bucket; the last one has what is beyond all bounds
}

// NewHistogram is one of n bounds, from least on. Values are told multiplied by unit.
func NewHistogram(least int64, n int, unit float64) *Histogram {
	return &Histogram{least: least, unit: unit, count: make([]atomic.Uint64, n+1)}
}

// NewDurations is one of times: 16 µs, 32 µs and so on up to about half a minute, told in seconds.
func NewDurations() *Histogram { return NewHistogram(16_000, 22, 1e-9) }

// NewSizes is one of numbers: 1, 2, 4 and so on, up to a million.
func NewSizes() *Histogram { return NewHistogram(1, 21, 1) }

// Observe adds a value. For times it is nanoseconds.
func (h *Histogram) Observe(v int64) { h.ObserveAll(v, 1) }

// ObserveAll adds a value that n had.
func (h *Histogram) ObserveAll(v int64, n uint64) {
	v = max(v, 0)
	at := 0
	if v > h.least {
		at = min(bits.Len64(uint64((v-1)/h.least)), len(h.count)-1)
	}
	h.count[at].Add(n)
	h.sum.Add(v * int64(n))
}

// read is what Prometheus wants: how many values there were up to each bound, in all, and their sum.
func (h *Histogram) read() (upTo map[float64]uint64, count uint64, sum float64) {
	upTo = make(map[float64]uint64, len(h.count)-1)
	for i := range h.count {
		count += h.count[i].Load()
		if i < len(h.count)-1 {
			upTo[float64(h.least<<i)*h.unit] = count
		}
	}
	return upTo, count, float64(h.sum.Load()) * h.unit
}
