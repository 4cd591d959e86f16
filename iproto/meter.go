package iproto

import (
	"sync"
	"sync/atomic"

	"tarragon.dev/tarragon/xrow"
)

// Counter is a count since the start, and how much it has grown in a second, as
// a mean of the last five.
type Counter struct{ Total, Rate uint64 }

// StreamID is a stream of a connection.
type StreamID struct{ Conn, Stream uint64 }

// Stats is what a server has counted. Requests are by their types; Errors are
// among the answers to them.
type Stats struct {
	Requests                    map[xrow.Type]Counter
	All, Errors, Sent, Received Counter
	Connections                 Counter
	// Times that a stream had a request again, and requests that came behind one of their
	// stream. UnderWay: such streams as have requests now; QueuedNow: such requests.
	Streams, Queued Counter
	UnderWay        []StreamID
	QueuedNow       uint64
	// Logins with a wrong password, those whose answers were held back, and those
	// that were refused without saying whether the password was right.
	Failed, Delayed, Refused Counter
	Turned                   Counter // connections and logins that there was no room for
	// TLS handshakes that came to an end, and those that failed.
	Handshakes, BadHandshakes Counter
	Open, InProgress          uint64
	LoggedIn                  int
}

// Places of a meter behind those of request types.
const (
	countedTypes = int(xrow.InsertArrow) + 1
	countErrors  = countedTypes + iota - 1
	countSent
	countReceived
	countConns
	countFailed
	countDelayed
	countRefused
	countTurned
	countHandshakes
	countBadHandshakes
	countStreams
	countQueued
	countAll
	counts
)

// meterSeconds is over how long rates are taken. Tarantool: rmean.
const meterSeconds = 5

// meter counts. Its owner calls tick once a second.
type meter struct {
	now [counts]atomic.Uint64

	mu   sync.Mutex
	past [meterSeconds + 1][counts]uint64 // as of the last ticks
	next int
}

func (m *meter) add(i int, n uint64) { m.now[i].Add(n) }

// request counts one by its type.
func (m *meter) request(t xrow.Type) {
	m.now[countAll].Add(1)
	if int(t) < countedTypes {
		m.now[t].Add(1)
	}
}

// login counts an attempt by what became of it.
func (m *meter) login(v verdict, right bool) {
	switch {
	case v.refused:
		m.add(countRefused, 1)
		return
	case !right:
		m.add(countFailed, 1)
	}
	if v.wait > 0 {
		m.add(countDelayed, 1)
	}
}

func (m *meter) tick() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.now {
		m.past[m.next][i] = m.now[i].Load()
	}
	m.next = (m.next + 1) % len(m.past)
}

func (m *meter) read(i int) Counter {
	n := m.now[i].Load()
	return Counter{Total: n, Rate: (n - m.past[m.next][i]) / meterSeconds}
}

// Tick is to be called once a second: rates are taken between ticks.
func (s *Server) Tick() { s.meter.tick() }

// Stats reads what was counted.
func (s *Server) Stats() Stats {
	st := Stats{Requests: map[xrow.Type]Counter{}}
	for _, c := range s.conns.all() {
		st.Open++
		c.mu.Lock()
		st.InProgress += uint64(c.inflight)
		for number := range c.streams.at {
			st.UnderWay = append(st.UnderWay, StreamID{c.id, number})
		}
		st.QueuedNow += uint64(c.streams.queued)
		c.mu.Unlock()
	}
	s.meter.mu.Lock()
	defer s.meter.mu.Unlock()
	for t := range countedTypes {
		st.Requests[xrow.Type(t)] = s.meter.read(t)
	}
	st.All, st.Errors, st.Connections = s.meter.read(countAll), s.meter.read(countErrors), s.meter.read(countConns)
	st.Failed, st.Delayed, st.Refused = s.meter.read(countFailed), s.meter.read(countDelayed), s.meter.read(countRefused)
	st.Turned, st.LoggedIn = s.meter.read(countTurned), s.gate.loggedIn()
	st.Handshakes, st.BadHandshakes = s.meter.read(countHandshakes), s.meter.read(countBadHandshakes)
	st.Streams, st.Queued = s.meter.read(countStreams), s.meter.read(countQueued)
	st.Sent, st.Received = s.meter.read(countSent), s.meter.read(countReceived)
	return st
}
