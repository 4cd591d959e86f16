package load

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Result is what a run showed.
type Result struct {
	Driver     Driver
	Conns      int
	InFlight   int
	Rate       float64
	Window     time.Duration // how long the window really was
	OK         int64         // answers without an error in the window
	Empty      int64         // of them, selects that found no tuple
	Unanswered int64         // requests without an answer when the run ended
	Errors     []ErrorCount  // most frequent first
	Lat        *Hist         // of the answers without an error
}

// ErrorCount is how often the server answered with an error.
type ErrorCount struct {
	Code    uint32 // 0: the connection failed
	Count   int64
	Message string // of the first one
}

// Throughput is answers without an error per second.
func (r *Result) Throughput() float64 {
	if r.Window <= 0 {
		return 0
	}
	return float64(r.OK) / r.Window.Seconds()
}

// Failed is the number of errors.
func (r *Result) Failed() int64 {
	var n int64
	for _, e := range r.Errors {
		n += e.Count
	}
	return n
}

// late is how many requests were due in the window and not answered in it. The
// rate is more than the server can do, or it stood still when the window ended.
func (r *Result) late() int64 {
	due := int64(r.Rate * r.Window.Seconds())
	return max(0, due-r.OK-r.Failed())
}

// Faults is what went wrong, in words; empty: nothing did.
func (r *Result) Faults() string {
	var parts []string
	for _, e := range r.Errors {
		if e.Code == 0 {
			parts = append(parts, fmt.Sprintf("%d connections failed: %s", e.Count, e.Message))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d times error %d, %s", e.Count, e.Code, e.Message))
	}
	if r.Unanswered > 0 {
		parts = append(parts, fmt.Sprintf("%d requests unanswered", r.Unanswered))
	}
	if late := r.late(); late > int64(r.InFlight) { // fewer are just on their way
		parts = append(parts, fmt.Sprintf("%d requests were due and not answered in time: their latency is not in the table", late))
	}
	if r.Empty > 0 {
		parts = append(parts, fmt.Sprintf("%d selects found nothing", r.Empty))
	}
	return strings.Join(parts, "; ")
}

// tally is what one connection counts. It has one owner, but for the histogram.
type tally struct {
	ok, empty, unanswered int64
	errors                map[uint32]*ErrorCount
	lat                   *Hist // shared with other connections
}

func newTally(lat *Hist) *tally { return &tally{errors: map[uint32]*ErrorCount{}, lat: lat} }

// fail counts an error; text is asked for once per code.
func (t *tally) fail(code uint32, text func() string) {
	e := t.errors[code]
	if e == nil {
		e = &ErrorCount{Code: code, Message: text()}
		t.errors[code] = e
	}
	e.Count++
}

// sum joins what all connections counted.
func sum(all []*tally, hists []*Hist) *Result {
	total := newTally(NewHist())
	for _, h := range hists {
		total.lat.Merge(h)
	}
	for _, t := range all {
		total.ok += t.ok
		total.empty += t.empty
		total.unanswered += t.unanswered
		for code, e := range t.errors {
			if have := total.errors[code]; have != nil {
				have.Count += e.Count
			} else {
				total.errors[code] = &ErrorCount{Code: code, Count: e.Count, Message: e.Message}
			}
		}
	}
	r := &Result{OK: total.ok, Empty: total.empty, Unanswered: total.unanswered, Lat: total.lat}
	for _, e := range total.errors {
		r.Errors = append(r.Errors, *e)
	}
	slices.SortFunc(r.Errors, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
	return r
}
