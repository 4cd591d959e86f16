package server

import (
	"context"
	"sync"
	"sync/atomic"

	"tarragon.dev/tarragon/instance"
)

// pulse tells whether a Loop steps: who asks gives it something to do, and waits for the end
// of a Step.
type pulse struct {
	asked atomic.Bool // somebody waits

	mu   sync.Mutex
	next chan struct{} // closed at the end of the next Step; nil: nobody waits
}

// stepped is called on the Loop's goroutine behind each Step. It costs a load while nobody asks.
func (p *pulse) stepped() {
	if !p.asked.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != nil {
		close(p.next)
	}
	p.next = nil
	p.asked.Store(false)
}

// wait waits for the end of a Step, until ctx ends; false: there was none.
func (p *pulse) wait(ctx context.Context, l *instance.Loop) bool {
	p.mu.Lock()
	if p.next == nil {
		p.next = make(chan struct{})
	}
	next := p.next
	p.asked.Store(true)
	p.mu.Unlock()
	l.Nudge()
	select {
	case <-next:
		return true
	case <-ctx.Done():
		return false
	}
}
