package numbers

import (
	"sync"
	"sync/atomic"
	"time"
)

// Plain remembers what takes no number for a while, by names that its user gives: spaces that are not replicated,
// above all. Only an instance knows them. The zero value knows nothing.
type Plain struct {
	some  atomic.Bool
	mu    sync.Mutex
	until map[string]time.Duration
}

// Bounds of what is remembered.
const (
	plainFor  = 10 * time.Second
	mostPlain = 1 << 10
)

// Any tells whether it has anything, so that names are made only then.
func (p *Plain) Any() bool { return p.some.Load() }

// Has tells whether what has this name takes no number, as far as is known.
func (p *Plain) Has(name string, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.until[name]
	if ok && now >= until {
		delete(p.until, name)
		p.some.Store(len(p.until) > 0)
	}
	return ok && now < until
}

// Note takes it that what has this name takes none.
func (p *Plain) Note(name string, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil || len(p.until) >= mostPlain {
		p.until = map[string]time.Duration{}
	}
	p.until[name] = now + plainFor
	p.some.Store(true)
}
