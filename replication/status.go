package replication

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
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
// peer is subscribed, or joins.
type DownstreamStatus struct {
	Status  string // follow; sync: it is sent the state
	VClock  vclock.VClock
	Lag     float64
	Idle    float64
	Message string         // how far the state was sent
	Address string         // where the connection comes from; empty: not known
	Version uint64         // of its filter, by which the stream was asked for; 0: it has none
	Memory  xrow.MemoryUse // of an anonymous replica, as it told last; zero: it did not
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
			p.Kind = a.kind.String()
		}
		out = append(out, p)
	}
	add := func(uuid, kind string, id uint32, down *DownstreamStatus) {
		for i := range out {
			if out[i].UUID == uuid {
				out[i].Downstream, out[i].Kind, out[i].ID = down, cmp.Or(kind, out[i].Kind), cmp.Or(id, out[i].ID)
				return
			}
		}
		out = append(out, PeerStatus{ID: id, UUID: uuid, Kind: kind, Downstream: down})
	}
	for _, r := range h.relays {
		add(r.uuid, r.kind.String(), r.peer, r.status(now))
	}
	for _, uuid := range slices.Sorted(maps.Keys(h.joins.open)) {
		if p := h.joins.open[uuid]; p.expected() > 0 {
			add(strings.TrimPrefix(uuid, fetching), "", 0, p.status())
		}
	}
	return out
}

func (p *Progress) status() *DownstreamStatus {
	rows, _ := p.Read()
	return &DownstreamStatus{Status: "sync", Message: fmt.Sprintf("sent %d of about %d rows of the state", rows, p.expected())}
}

func (r *relay) status(now time.Duration) *DownstreamStatus {
	d := &DownstreamStatus{Status: "follow", VClock: r.acked, Lag: r.ackLag, Address: r.link.RemoteAddr().String()}
	d.Memory = r.memory
	if r.share != nil {
		d.Version = r.share.Version
	}
	if r.ackAt != 0 {
		d.Idle = (now - r.ackAt).Seconds()
	}
	return d
}
