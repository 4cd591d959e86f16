package instance

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// latch lets readers look at the core between Steps. It has two doors: Read for
// who looks at a little, and Scan for who comes again and again.
//
// Invariant: nobody holds it for long, whatever the size of the data. A scan is
// cut into slices of bounded rows and bytes, allocates nothing under the latch
// (whoever allocates may be made to collect garbage), and copies what is large
// behind it.
type latch struct {
	sync.RWMutex
	// turns bounds how many scan at once, first come first served: goroutines
	// that could run, beyond the processors there are, would be in front of the
	// Loop and of those who read heartbeats and acks.
	turns chan struct{}

	longestStep, longestScan longest
}

func (l *latch) init() { l.turns = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) }

// longest is the greatest duration noted.
type longest struct{ atomic.Int64 }

func (m *longest) note(d time.Duration) {
	for {
		have := m.Load()
		if int64(d) <= have || m.CompareAndSwap(have, int64(d)) {
			return
		}
	}
}

// Read runs f under the shared side of the latch: it may look at the core and
// its box, and must not keep what it sees there. f is quick: what takes more than
// some tens of microseconds is a Scan.
func (l *Loop) Read(f func(c *Core)) {
	l.latch.RLock()
	defer l.latch.RUnlock()
	f(l.core)
}

// Scan runs f like Read, as one slice of a read that may have many: it waits for
// its turn behind those that scan, and lets others run behind it. So a goroutine
// that scans for long has begun its time slice anew before it takes the latch,
// and is not taken off its processor while it holds it.
func (l *Loop) Scan(f func(c *Core)) {
	l.latch.turns <- struct{}{}
	l.slice(f)
	<-l.latch.turns
	runtime.Gosched()
}

func (l *Loop) slice(f func(c *Core)) {
	l.latch.RLock()
	defer l.latch.RUnlock()
	began := time.Now()
	f(l.core)
	l.latch.longestScan.note(time.Since(began))
}

// Longest is how long the longest Step took, and the longest slice of a scan,
// since the start: so long somebody had to wait.
func (l *Loop) Longest() (step, scan time.Duration) {
	return time.Duration(l.latch.longestStep.Load()), time.Duration(l.latch.longestScan.Load())
}
