package router

import (
	"context"
	"errors"
	"sync"
	"time"

	"tarragon.dev/tarragon/iproto"
)

// pool has the backends of all instances.
type pool struct {
	r *Router

	mu     sync.Mutex
	byKey  map[poolKey][]*backend
	count  int
	failed map[poolKey]failure // of keys whose last backend could not be had
}

// failure is why a backend could not be had, and when.
type failure struct {
	err error
	at  time.Duration
}

// retryAfter is how long a key rests whose backend could not be had.
const retryAfter = 100 * time.Millisecond

// bind gives a lane to a backend; nil: there is none now, and why is the cause if it is the
// user's.
func (p *pool) bind(key poolKey, now time.Duration) (b *backend, why *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.byKey[key]
	for _, o := range all {
		if (b == nil || o.uses < b.uses) && !o.retired.Load() {
			b = o
		}
	}
	if b == nil || b.uses > 0 && key.own == nil && len(all) < p.r.cfg.Backends {
		if f, ok := p.failed[key]; ok && now < f.at+retryAfter {
			if b == nil {
				errors.As(f.err, &why)
			}
		} else if p.count < p.r.cfg.MaxBackends || p.makeRoomLocked() {
			b = p.openLocked(key)
		}
	}
	if b != nil {
		b.uses++
	}
	return b, why
}

// bindAny gives any connection to an instance that acts for a user, and makes one if there is none; nil: it cannot.
func (p *pool) bindAny(inst *instance, user iproto.User, now time.Duration) *backend {
	p.mu.Lock()
	for key, all := range p.byKey {
		if key.inst != inst || key.user != user || key.own != nil {
			continue
		}
		for _, b := range all {
			if !b.ended() && !b.retired.Load() {
				b.uses++
				p.mu.Unlock()
				return b
			}
		}
	}
	p.mu.Unlock()
	b, _ := p.bind(poolKey{inst: inst, user: user}, now)
	return b
}

// leave is the end of a lane's stay.
func (p *pool) leave(b *backend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.uses--
	if b.uses == 0 {
		b.idle = p.r.now()
		if b.key.own != nil || b.retired.Load() {
			b.close()
		}
	}
}

func (p *pool) openLocked(key poolKey) *backend {
	ctx, cancel := context.WithCancelCause(p.r.ctx)
	b := &backend{key: key, p: p, close: func() { cancel(errRetired) }}
	p.byKey[key] = append(p.byKey[key], b)
	p.count++
	p.r.wg.Go(func() { b.run(ctx) })
	return b
}

// errRetired is the cause of the end of a backend that the router itself has ended.
var errRetired = errors.New("the router has closed it")

// makeRoomLocked ends one that nobody uses; false: all are used.
func (p *pool) makeRoomLocked() bool {
	var oldest *backend
	for _, all := range p.byKey {
		for _, b := range all {
			if b.uses == 0 && (oldest == nil || b.idle < oldest.idle) {
				oldest = b
			}
		}
	}
	if oldest == nil {
		return false
	}
	p.dropLocked(oldest)
	oldest.close()
	return true
}

// remove is the end of a backend.
func (p *pool) remove(b *backend, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropLocked(b)
	b.mu.Lock()
	connected := b.link != nil
	b.mu.Unlock()
	if connected {
		delete(p.failed, b.key)
	} else if !errors.Is(cause, errRetired) {
		p.failed[b.key] = failure{cause, p.r.now()}
	}
}

func (p *pool) dropLocked(b *backend) {
	all := p.byKey[b.key]
	for i, o := range all {
		if o != b {
			continue
		}
		all[i] = all[len(all)-1]
		all[len(all)-1] = nil
		p.byKey[b.key] = all[:len(all)-1]
		p.count--
	}
	if len(p.byKey[b.key]) == 0 {
		delete(p.byKey, b.key)
	}
}

// sweep ends backends that nobody has used for a while, and forgets failures.
func (p *pool) sweep(now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, all := range p.byKey {
		for _, b := range all {
			if b.uses == 0 && now > b.idle+idleBackend {
				b.close()
			}
		}
	}
	for key, f := range p.failed {
		if now > f.at+idleBackend {
			delete(p.failed, key)
		}
	}
}

// idleBackend is how long a backend stays without a client.
const idleBackend = 30 * time.Second

// eachOf runs f for the backends of an instance, behind the pool's lock.
func (p *pool) eachOf(inst *instance, f func(*backend)) {
	p.each(func(b *backend) {
		if b.key.inst == inst {
			f(b)
		}
	})
}

// each is the same for all.
func (p *pool) each(f func(*backend)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, all := range p.byKey {
		for _, b := range all {
			f(b)
		}
	}
}

// retire has requests go to backends that are connected anew, as soon as nothing is under way by these.
func (p *pool) retire(inst *instance) {
	p.eachOf(inst, func(b *backend) {
		if b.retired.Store(true); b.uses == 0 {
			b.close()
		}
	})
}

// closeOf ends the backends of an instance that is given up.
func (p *pool) closeOf(inst *instance) {
	p.eachOf(inst, func(b *backend) {
		b.close()
	})
}

// closeNumbered ends the backends of an instance that have not answered writes with numbers, where all that they
// have not answered can be sent once more.
func (p *pool) closeNumbered(inst *instance) {
	p.eachOf(inst, func(b *backend) {
		if b.onlyNumbered() {
			b.close()
		}
	})
}

// closeStale ends the backends of an instance that have not answered a request whose time
// would be over then.
func (p *pool) closeStale(inst *instance, until time.Duration) {
	p.eachOf(inst, func(b *backend) {
		if b.hasOlder(until) {
			b.close()
		}
	})
}
