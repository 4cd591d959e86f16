package replication

import (
	"time"

	"tarragon/vclock"
)

// PeerStatus is what box.info tells of one peer. Times are in seconds.
type PeerStatus struct {
	ID         uint32 // 0: not known
	UUID       string // empty: not known
	Kind       string // Tarragon or Tarantool; empty: it has not told since our start
	Upstream   *UpstreamStatus
	Downstream *DownstreamStatus
}

// UpstreamStatus is how our applier of a peer stands.
type UpstreamStatus struct {
	Status  State
	Peer    string // its address
	Name    string // as configured; may be empty
	Lag     float64
	Idle    float64
	Message string // why it does not follow; empty: no reason
}

// DownstreamStatus is how our relay to a peer stands; there is none unless the
// peer is subscribed.
type DownstreamStatus struct {
	Status string // follow
	VClock vclock.VClock
	Lag    float64
	Idle   float64
}

// Status lists the configured peers but ourselves, in their order, then peers
// that are subscribed without being configured.
func (h *Hub) Status() []PeerStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []PeerStatus
	if h.node == nil {
		return nil
	}
	now := h.node.Now().Mono
	for _, a := range h.appliers {
		if a.state == StateOff && a.uuid == h.cfg.UUID {
			continue
		}
		up := &UpstreamStatus{Status: a.state, Peer: a.conf.Addr, Name: a.conf.Name, Lag: a.lag, Message: a.message}
		if a.heardAt != 0 {
			up.Idle = (now - a.heardAt).Seconds()
		}
		p := PeerStatus{ID: a.peer, UUID: a.uuid, Upstream: up}
		if a.peer != 0 {
			p.Kind = kindName(a.original)
		}
		out = append(out, p)
	}
	for _, r := range h.relays {
		down := r.status(now)
		found := false
		for i := range out {
			if out[i].UUID == r.uuid {
				out[i].Downstream, out[i].ID, out[i].Kind, found = down, r.peer, kindName(r.rules == 0), true
				break
			}
		}
		if !found {
			out = append(out, PeerStatus{ID: r.peer, UUID: r.uuid, Kind: kindName(r.rules == 0), Downstream: down})
		}
	}
	return out
}

func kindName(original bool) string {
	if original {
		return "Tarantool"
	}
	return "Tarragon"
}

func (r *relay) status(now time.Duration) *DownstreamStatus {
	d := &DownstreamStatus{Status: "follow", VClock: r.acked, Lag: r.ackLag}
	if r.ackAt != 0 {
		d.Idle = (now - r.ackAt).Seconds()
	}
	return d
}

// Acked is the component-wise least vclock that subscribed peers have acked:
// what retention must keep is beyond it. ok is false when nobody is subscribed.
func (h *Hub) Acked() (least vclock.VClock, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.relays {
		if !ok {
			least, ok = r.acked, true
			continue
		}
		least.Min(&r.acked)
	}
	return least, ok
}
