package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarantool/go-tarantool/v2"
)

// Mode says which instance a request is for.
type Mode int

// Modes.
const (
	Leader        Mode = iota // who takes writes
	Any                       // whoever is connected, in turn
	PreferReplica             // who takes no writes, in turn; the leader if there is nobody else
)

// place is an instance at a moment.
type place struct {
	conn    *tarantool.Connection
	addr    string
	ours    bool
	numbers bool            // requests may have numbers there
	version uint64          // of what is known of the set
	changed <-chan struct{} // closed when that changes
}

// change changes what is known of the set, and wakes those who wait for that.
func (c *Client) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	c.version++
	close(c.changed)
	c.changed = make(chan struct{})
}

// pick is an instance for a mode; false: there is none now. changed is closed when that may
// be another one.
func (c *Client) pick(mode Mode) (p place, ok bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var m *member
	switch mode {
	case Any:
		m = c.turn(mode, func(*member) bool { return true })
	case PreferReplica:
		m = c.turn(mode, func(m *member) bool { return m.ro })
	}
	if m == nil {
		m = c.leader()
	}
	if m == nil {
		return place{version: c.version}, false, c.changed
	}
	return place{m.conn, m.addr, m.ours, m.numbers && !c.conf.noNumbers, c.version, c.changed}, true, c.changed
}

// leader is who takes writes in the newest term; nil: nobody that is connected. One
// that takes writes in an older term is cut off from the others, or has not heard of
// them yet.
func (c *Client) leader() (best *member) {
	seen := uint64(0)
	for _, m := range c.members {
		if m.ready() {
			seen = max(seen, m.seen)
		}
	}
	for _, m := range c.members {
		if m.ready() && !m.ro && m.term >= seen && (best == nil || m.term > best.term) {
			best = m
		}
	}
	return best
}

// turn is the next one of those that will do.
func (c *Client) turn(mode Mode, will func(*member) bool) *member {
	for range c.members {
		c.turns[mode] = (c.turns[mode] + 1) % len(c.members)
		if m := c.members[c.turns[mode]]; m.ready() && will(m) {
			return m
		}
	}
	return nil
}

// whys is why each instance that is not connected is not.
func (c *Client) whys() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []error
	for _, m := range c.members {
		if m.conn == nil && m.cause != nil {
			all = append(all, fmt.Errorf("%s: %w", m.addr, m.cause))
		}
	}
	return errors.Join(all...)
}

// Pauses between attempts of a request while nothing new is heard of the set.
const (
	leastRetry = 2 * time.Millisecond
	mostRetry  = 100 * time.Millisecond
)

// holding is a request that waits for an instance that may take it.
type holding struct {
	since   time.Time // when it was held first; zero: never
	pause   time.Duration
	version uint64 // that of the last attempt
	last    error  // how that ended; nil: there was none
}

// note takes how an attempt has ended that is to be made once more.
func (h *holding) note(at place, err error) {
	h.last, h.version = fmt.Errorf("%s: %w", at.addr, err), at.version
}

func (h *holding) begin() {
	if h.since.IsZero() {
		h.since, h.pause = time.Now(), leastRetry
	}
}

// hold waits until there is somebody to try: somebody new, or the same after a pause.
// The error is why it has ended.
func (c *Client) hold(ctx context.Context, h *holding, mode Mode) (place, error) {
	h.begin()
	limit := time.NewTimer(time.Until(h.since.Add(c.conf.holdLimit)))
	defer limit.Stop()
	pause := time.NewTimer(h.pause)
	defer pause.Stop()
	h.pause = min(2*h.pause, mostRetry)
	paused := h.last == nil
	for {
		if ctx.Err() != nil {
			return place{}, context.Cause(ctx)
		}
		if c.ctx.Err() != nil {
			return place{}, ErrClosed
		}
		p, ok, changed := c.pick(mode)
		if ok && (paused || p.version != h.version) {
			return p, nil
		}
		select {
		case <-changed:
		case <-pause.C:
			paused = true
		case <-ctx.Done():
		case <-c.ctx.Done():
		case <-limit.C:
			return place{}, fmt.Errorf("no instance took it for %v", c.conf.holdLimit)
		}
	}
}

// givenUp is the error of a request that is held no longer.
func (c *Client) givenUp(p *passage, why error) error {
	last := p.held.last
	if last == nil {
		last = c.whys()
	}
	if last != nil {
		why = fmt.Errorf("%w: %w", why, last)
	}
	if p.num.maybe {
		return &UnknownError{p.num.at, why}
	}
	return fmt.Errorf("%w: %w", ErrNotExecuted, why)
}
