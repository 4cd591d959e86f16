package replication

import (
	"time"

	"tarragon.dev/tarragon/vclock"
)

// fetch is a state that an anonymous replica takes, or has just taken: it
// subscribes from there.
type fetch struct {
	at    vclock.VClock
	until time.Duration // it counts so long; 0: it is under way
}

// beginFetch and endFetch frame the transfer.
func (h *Hub) beginFetch(who string, at *vclock.VClock) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.joins.fetches[who] = fetch{at: at.Global()}
}

func (h *Hub) endFetch(who string) {
	until := h.node.Now().Mono + h.times.Load().tarantool
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.joins.fetches[who]
	f.until = until
	h.joins.fetches[who] = f
}

// Readers is the component-wise least vclock of anonymous replicas: what they
// lack of the log is beyond it. They count while they are connected, or about
// to be; ok is false when there are none.
func (h *Hub) Readers() (least vclock.VClock, ok bool) {
	now := h.node.Now().Mono
	h.mu.Lock()
	defer h.mu.Unlock()
	add := func(v *vclock.VClock) {
		if !ok {
			least, ok = *v, true
			return
		}
		least.Min(v)
	}
	for _, r := range h.relays {
		if r.peer == 0 {
			add(&r.acked)
		}
	}
	for who, f := range h.joins.fetches { // the order does not show
		if f.until != 0 && f.until < now {
			delete(h.joins.fetches, who)
			continue
		}
		add(&f.at)
	}
	return least, ok
}
