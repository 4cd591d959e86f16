package replay

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// master plays the side that accepted the connections of a recording. Small
// requests (ID, VOTE, WATCH, AUTH, PING) it answers by itself with the recorded
// answers; all others are the script's.
type master struct {
	t        *testing.T
	l        net.Listener
	greeting []byte
	id       *xrow.Row // the answer to ID; nil: the server is too old to know it
	sessions chan *session

	mu     sync.Mutex
	ballot []byte // body of the answer to VOTE
	down   bool   // its process is gone: connections are ended at once
}

// session is a connection on which something was asked that is the script's.
type session struct {
	m    *master
	link *iproto.Link
	rows chan xrow.Row // requests and acks; closed at the end
	told bool          // handed to the script
}

func newMaster(t *testing.T, k *talk) *master {
	t.Helper()
	return newMasterAs(t, k, k.greeting())
}

// newMasterAs is one of several in a recording, by its greeting.
func newMasterAs(t *testing.T, k *talk, greeting []byte) *master {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &master{t: t, l: l, greeting: greeting, id: k.answerTo(t, xrow.ID), sessions: make(chan *session, 64)}
	t.Cleanup(func() { l.Close() })
	go m.accept()
	return m
}

func (m *master) addr() string { return m.l.Addr().String() }

func (m *master) setBallot(body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ballot = body
}

func (m *master) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *master) isDown() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.down
}

func (m *master) accept() {
	for {
		c, err := m.l.Accept()
		if err != nil {
			return
		}
		go m.serve(c)
	}
}

func (m *master) serve(c net.Conn) {
	defer c.Close()
	if m.isDown() {
		return
	}
	if _, err := c.Write(m.greeting); err != nil {
		return
	}
	s := &session{m: m, link: iproto.NewLink(c, 1<<20), rows: make(chan xrow.Row, 4096)}
	defer close(s.rows)
	for {
		r, err := s.link.ReadRow()
		if err != nil {
			return
		}
		if answer, small := m.small(&r); small {
			answer.Sync = r.Sync
			if err := s.link.WriteRow(&answer); err != nil {
				return
			}
			continue
		}
		r.Body = bytes.Clone(r.Body)
		s.rows <- r
		if !s.told {
			s.told = true
			m.sessions <- s
		}
	}
}

// small answers what every connection begins with.
func (m *master) small(r *xrow.Row) (answer xrow.Row, small bool) {
	unknown := xrow.Errorf(xrow.ErrUnknownRequestType, uint32(r.Type))
	switch r.Type {
	case xrow.ID:
		if m.id == nil {
			return unknown.Row(0, 0), true
		}
		return *m.id, true
	case xrow.Vote:
		m.mu.Lock()
		defer m.mu.Unlock()
		return xrow.Row{Type: xrow.OK, Body: m.ballot}, true
	case xrow.Watch:
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.id == nil {
			return unknown.Row(0, 0), true
		}
		body := append([]byte{0x82, byte(xrow.KeyEventKey), 0xaf}, "internal.ballot"...)
		return xrow.Row{Type: xrow.Event, Body: append(append(body, byte(xrow.KeyEventData)), m.ballot...)}, true
	case xrow.Auth, xrow.Ping:
		return xrow.Row{Type: xrow.OK, Body: []byte{0x80}}, true
	}
	return answer, false
}

// request waits for a connection that asks for something.
func (m *master) request() (*session, xrow.Row) {
	m.t.Helper()
	select {
	case s := <-m.sessions:
		return s, s.next()
	case <-time.After(patience):
		m.t.Fatal("nobody asks the master")
	}
	return nil, xrow.Row{}
}

// next is the next request or ack on a connection.
func (s *session) next() xrow.Row {
	s.m.t.Helper()
	select {
	case r, ok := <-s.rows:
		if !ok {
			s.m.t.Fatal("our node ended the connection")
		}
		return r
	case <-time.After(patience):
		s.m.t.Fatal("our node says nothing")
	}
	return xrow.Row{}
}

// ended waits until our node has ended the connection; acks before that are
// dropped.
func (s *session) ended() {
	s.m.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case _, ok := <-s.rows:
			if !ok {
				return
			}
		case <-limit:
			s.m.t.Fatal("our node goes on with the connection")
		}
	}
}
