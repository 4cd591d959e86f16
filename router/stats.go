package router

import (
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/internal/numbers"
)

// counters are since the start.
type counters struct {
	held      atomic.Uint64 // requests that have waited for an instance
	holding   atomic.Int64  // of these, those that wait now
	expired   atomic.Uint64 // of these, those whose time was over
	refused   atomic.Uint64 // refused by an instance that has executed nothing, and sent to the next one
	again     atomic.Uint64 // whose connection ended before the answer, and that went on to another one
	numbered  atomic.Uint64 // writes that had a number
	repeated  atomic.Uint64 // sent once more under their number, as what may be executed
	unknown   atomic.Uint64 // whose outcome nobody could tell
	failovers atomic.Uint64
	hidden    atomic.Uint64 // of these
}

// hiding finds out which failovers clients have seen. It is a value.
//
// Errors are of the failover that is to come where they are about who leads still, or where nobody does. Else they
// are of the newest one, which ends with the next one, and in any case when nothing can wait for it any more.
type hiding struct {
	open   bool
	seen   bool // some error was told before it
	at     time.Duration
	before told
}

// told is how many errors clients were told so far.
type told struct{ present, coming uint64 }

// began is a failover; first: it is none, for nobody has led before. It tells whether the one before was hidden.
func (h *hiding) began(first bool, now time.Duration, n told) (hidden bool) {
	hidden = h.open && !h.seen && n.present == h.before.present
	h.open, h.seen, h.at, h.before = !first, n.coming != h.before.coming, now, n
	return hidden
}

// ended tells whether the newest one is over by now, and was hidden.
func (h *hiding) ended(now, hold time.Duration, n told) (hidden bool) {
	if !h.open || now < h.at+hold {
		return false
	}
	h.open = false
	return !h.seen && n.present == h.before.present
}

// tells counts an error that a client of a port is told. of is who was asked last; nil: nobody was. No port, pool or
// backend may be locked.
func (r *Router) tells(p *port, of *instance) {
	r.mu.Lock() // decide changes the target behind it
	defer r.mu.Unlock()
	if to := p.target.Load().insts; len(to) == 0 || to[0] == of {
		r.seen.coming++
	} else {
		r.seen.present++
	}
}

// Stats is how a router stands, and what it has done since its start: box.info.tarragon.router, /status, and
// by other names /metrics.
type Stats struct {
	Leader    string          `json:"leader,omitempty" msgpack:"leader,omitempty"` // empty: nobody leads
	Term      uint64          `json:"term,omitempty" msgpack:"term,omitempty"`
	Failovers uint64          `json:"failovers" msgpack:"failovers"` // times that another instance came to lead
	Hidden    uint64          `json:"hidden" msgpack:"hidden"`       // of these: nobody was told an error of the router's own
	Ports     []PortStats     `json:"ports" msgpack:"ports"`         // those that are open
	Instances []InstanceStats `json:"instances" msgpack:"instances"` // in the order of the configuration
	Held      HeldStats       `json:"held" msgpack:"held"`
	Writes    WriteStats      `json:"writes" msgpack:"writes"`
}

// PortStats is where a port leads to, and who comes in by it.
type PortStats struct {
	Port        string   `json:"port" msgpack:"port"` // rw, ro
	LeadsTo     []string `json:"leads_to" msgpack:"leads_to"`
	Why         string   `json:"why" msgpack:"why"`
	Clients     int      `json:"clients" msgpack:"clients"`     // connections
	LoggedIn    int      `json:"logged_in" msgpack:"logged_in"` // of these
	Connections uint64   `json:"connections" msgpack:"connections"`
	Refused     uint64   `json:"refused" msgpack:"refused"` // clients for whom there was no room
	Failed      uint64   `json:"failed" msgpack:"failed"`   // logins with a wrong password
	Requests    uint64   `json:"requests" msgpack:"requests"`
	Errors      uint64   `json:"errors" msgpack:"errors"`     // among the answers
	Received    uint64   `json:"received" msgpack:"received"` // bytes, from clients
	Sent        uint64   `json:"sent" msgpack:"sent"`
}

// InstanceStats is an instance as the router sees it.
type InstanceStats struct {
	Name     string   `json:"name" msgpack:"name"`
	Address  string   `json:"address" msgpack:"address"`
	Answers  bool     `json:"answers" msgpack:"answers"`
	Why      string   `json:"why,omitempty" msgpack:"why,omitempty"` // it does not
	ReadOnly bool     `json:"read_only" msgpack:"read_only"`
	Fenced   bool     `json:"fenced" msgpack:"fenced"`
	Term     uint64   `json:"term" msgpack:"term"`
	Lag      *float64 `json:"lag_seconds,omitempty" msgpack:"lag_seconds,omitempty"`
	Clients  int64    `json:"clients" msgpack:"clients"`     // whose requests go there
	Backends int      `json:"backends" msgpack:"backends"`   // connections for clients
	UnderWay int      `json:"under_way" msgpack:"under_way"` // requests on these
}

// HeldStats is what waits for an instance.
type HeldStats struct {
	Now     int64  `json:"now" msgpack:"now"`
	Bytes   int64  `json:"bytes" msgpack:"bytes"`
	Total   uint64 `json:"total" msgpack:"total"`     // since the start
	Expired uint64 `json:"expired" msgpack:"expired"` // of these, those that nobody took in time
	Refused uint64 `json:"refused" msgpack:"refused"` // times that an instance refused a request which then went to another one
	Again   uint64 `json:"again" msgpack:"again"`     // requests that went on to another connection when theirs ended
	Unknown uint64 `json:"unknown" msgpack:"unknown"` // whose outcome nobody could tell
}

// WriteStats is the writes with numbers, and the sessions for these.
type WriteStats struct {
	Numbered uint64 `json:"numbered" msgpack:"numbered"`
	Repeated uint64 `json:"repeated" msgpack:"repeated"` // sent once more, under their number
	Sessions int    `json:"sessions" msgpack:"sessions"` // exactly-once sessions that are open
	Slots    int    `json:"slots" msgpack:"slots"`       // of these sessions
	Taken    int    `json:"taken" msgpack:"taken"`       // of these slots
}

// Stats reads what was counted, and looks at ports, instances and backends. Each has its own moment.
func (r *Router) Stats() Stats {
	s := r.standing()
	r.mu.Lock()
	to := r.last // what was counted by now led there
	r.mu.Unlock()
	c := &r.counts
	st := Stats{
		Failovers: c.failovers.Load(), Hidden: c.hidden.Load(),
		Held: HeldStats{
			Now: c.holding.Load(), Bytes: r.held.n.Load(), Total: c.held.Load(), Expired: c.expired.Load(), Refused: c.refused.Load(),
			Again: c.again.Load(), Unknown: c.unknown.Load(),
		},
		Writes:    WriteStats{Numbered: c.numbered.Load(), Repeated: c.repeated.Load()},
		Ports:     []PortStats{},
		Instances: make([]InstanceStats, len(r.insts)),
	}
	if to.leader >= 0 {
		st.Leader, st.Term = s.names[to.leader], s.words[to.leader].term
	}
	for _, p := range r.ports {
		if p != nil {
			st.Ports = append(st.Ports, p.stats())
		}
	}
	for i, in := range r.insts {
		st.Instances[i] = in.stats(&s.words[i])
	}
	r.pool.each(func(b *backend) {
		at := &st.Instances[b.key.inst.at]
		connected, n := b.load()
		if connected {
			at.Backends++
		}
		at.UnderWay += n
	})
	for _, s := range r.slots.Range {
		sessions, slots, taken := s.(*numbers.Slots).Count()
		st.Writes.Sessions += sessions
		st.Writes.Slots += slots
		st.Writes.Taken += taken
	}
	return st
}

// stats are those of a port.
func (p *port) stats() PortStats {
	to, st := p.target.Load(), p.srv.Stats()
	out := PortStats{
		Port: p.kind.String(), LeadsTo: []string{}, Why: to.why, Clients: int(st.Open), LoggedIn: st.LoggedIn, Connections: st.Connections.Total,
		Refused: st.Turned.Total, Failed: st.Failed.Total, Requests: st.All.Total, Errors: st.Errors.Total, Received: st.Received.Total, Sent: st.Sent.Total,
	}
	for _, in := range to.insts {
		out.LeadsTo = append(out.LeadsTo, in.name)
	}
	return out
}

// stats are those of an instance by its word, without what its backends tell.
func (in *instance) stats(w *word) InstanceStats {
	st := InstanceStats{
		Name: in.name, Address: in.conf.Addr, Answers: w.heard, ReadOnly: w.ro, Fenced: w.fenced, Term: w.term, Lag: w.lagOf(), Clients: in.clients.Load(),
	}
	in.mu.Lock()
	refused := in.refused
	in.mu.Unlock()
	switch {
	case w.heard:
	case refused != nil:
		st.Why = refused.Error()
	default:
		st.Why = "no connection yet"
	}
	return st
}

// load is how many requests are under way.
func (b *backend) load() (connected bool, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.link != nil && b.cause == nil, len(b.slots) - len(b.free)
}
