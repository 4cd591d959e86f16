package proc

import (
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// waiter is a call of wait_rw or wait_ro.
type waiter struct {
	c    *call
	ro   bool // what it waits for
	stop func() bool
}

// wait is box.ctl.wait_ro(timeout) and box.ctl.wait_rw(timeout).
func wait(ro bool) handler {
	return func(c *call) error {
		w := &waiter{c: c, ro: ro}
		if !c.arg(0).isNil() {
			d, err := seconds(c.arg(0))
			if err != nil {
				return err
			}
			if d == 0 && c.p.readOnly() != ro {
				return timedOut()
			}
			w.stop = c.p.env.After(d, func() { c.p.expire(w) })
		}
		c.p.mu.Lock()
		c.p.waiters[w] = struct{}{}
		c.p.mu.Unlock()
		// The state is looked at only now: a change that came before is seen here,
		// one that comes later finds the waiter.
		c.p.releaseWaiters()
		return nil
	}
}

// timedOut is the error of Tarantool's conditions, which has no code of its own.
func timedOut() error {
	return &xrow.Error{Code: xrow.ErrSystem, Type: "TimedOut", Message: "timed out"}
}

func (p *Procs) readOnly() (ro bool) {
	now := p.env.Loop.Now()
	p.env.Loop.Read(func(core *instance.Core) { ro = core.Info(now.Mono).RO })
	return ro
}

// expire answers a waiter whose time is over, unless it was answered.
func (p *Procs) expire(w *waiter) {
	p.mu.Lock()
	_, waits := p.waiters[w]
	delete(p.waiters, w)
	p.mu.Unlock()
	if waits {
		w.c.fail(timedOut())
	}
}

// releaseWaiters answers those whose state has come.
func (p *Procs) releaseWaiters() {
	p.mu.Lock()
	if len(p.waiters) == 0 {
		p.mu.Unlock()
		return
	}
	ro := p.readOnly()
	var done []*waiter
	for w := range p.waiters {
		if w.ro == ro {
			done = append(done, w)
			delete(p.waiters, w)
		}
	}
	p.mu.Unlock()
	for _, w := range done {
		if w.stop != nil {
			w.stop()
		}
		w.c.reply(nil)
	}
}
