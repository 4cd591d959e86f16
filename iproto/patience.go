package iproto

import (
	"sync/atomic"
	"time"
)

// patience is how long a client may take. Time is counted in seconds of the
// server's clock, which sweep moves on: a reader that waits says since when,
// and needs no timer of its own.
type patience struct {
	since   atomic.Int64 // second in which the wait began that has a limit, plus one; 0: none, or it is not waiting
	active  atomic.Int64 // second in which it sent something, as long as it has not logged in
	known   atomic.Bool  // it has logged in, or is local
	shaking atomic.Bool  // its TLS is not there yet

	// The reader's own.
	heard bool  // a whole request has come
	half  int64 // second in which what was read of a frame began; 0: nothing was
}

// waits is called in front of a read; unfinished: a part of a frame is there.
func (p *patience) waits(now int64, unfinished bool) {
	now++ // so that 0 is no second
	if !unfinished {
		p.half = 0
	} else if p.half == 0 || p.known.Load() {
		p.half = now // one that is logged in may take long as long as something comes
	}
	switch {
	case !p.heard && !p.known.Load():
		p.since.CompareAndSwap(0, now)
	case unfinished:
		p.since.Store(p.half)
	case p.since.Load() != 0:
		p.since.Store(0)
	}
}

// came is called behind a read.
func (p *patience) came(now int64) {
	if p.since.Load() != 0 && (p.heard || p.known.Load()) {
		p.since.Store(0)
	}
	if !p.known.Load() {
		p.active.Store(now)
	}
}

// hears is called for each whole request.
func (p *patience) hears() {
	if !p.heard {
		p.heard = true
		p.since.Store(0)
	}
}

// sweep is a second: it closes the connections whose clients have been waited
// for too long, takes the buffers of those that are idle, and tells of failed logins.
func (s *Server) sweep() {
	if n, ok := s.guard.takeNews(); ok && s.cfg.Trace.Guessed != nil {
		s.cfg.Trace.Guessed(n)
	}
	if n, ok := s.failures.takeNews(); ok && s.cfg.Trace.Handshakes != nil {
		s.cfg.Trace.Handshakes(n)
	}
	now := s.second.Add(1)
	for _, c := range s.conns.all() {
		since, limit, cause := c.since.Load(), s.gate.limits.LoginSeconds, ErrNoRequest
		if c.known.Load() {
			limit, cause = s.gate.limits.FrameSeconds, ErrHalfFrame
		}
		if c.shaking.Load() {
			limit, cause = min(limit, handshakeSeconds), ErrHandshakeSilent
		}
		if since != 0 && now+1-since > int64(limit) {
			c.close(cause)
			continue
		}
		c.restLong(now)
	}
}

// runSweep sweeps until the listeners are closed.
func (s *Server) runSweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.sweep()
		case <-s.stop:
			return
		}
	}
}
