package iproto

import (
	"runtime"
	"slices"
	"sync"
	"syscall"
)

// senders write the answers that others than the readers of connections have
// made: a few goroutines for all connections, so that a burst of answers to many
// clients wakes as many as there are processors, and not one for each client.
// They are there only while there is something to write. They never wait for a
// socket: what one does not take at once is written by a goroutine of its own.
//
// Invariant: a connection with output that nobody writes is called and in queue,
// or it is closed.
type senders struct {
	mu      sync.Mutex
	queue   []*Conn
	taken   int // from the head of queue
	running int
	closed  bool // no goroutine begins any more: all connections are closed
	wg      *sync.WaitGroup
}

// perSender is how many connections wait before one more goroutine begins.
const perSender = 16

// call has the output of connections written. Each was marked as called by whoever
// hands it over.
func (s *senders) call(conns ...*Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken > len(s.queue)/2 {
		s.queue = slices.Delete(s.queue, 0, s.taken)
		s.taken = 0
	}
	s.queue = append(s.queue, conns...)
	for s.running < runtime.GOMAXPROCS(0) && len(s.queue)-s.taken > perSender*s.running && !s.closed {
		s.running++
		s.wg.Go(s.run)
	}
}

func (s *senders) run() {
	for c := s.next(); c != nil; c = s.next() {
		c.called.Store(false)
		c.send()
	}
}

// next is the connection that waits longest; nil: none does, and the goroutine ends.
func (s *senders) next() (c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == len(s.queue) {
		s.queue, s.taken = s.queue[:0], 0
		s.running--
		return nil
	}
	c = s.queue[s.taken]
	s.queue[s.taken] = nil
	s.taken++
	return c
}

// wait begins a goroutine that may wait for a socket; false: the server is closed.
func (s *senders) wait(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
	return !s.closed
}

func (s *senders) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// eager writes what a socket takes at once.
type eager struct {
	raw   syscall.RawConn                   // nil: the connection is none of the system's
	some  func(b []byte) (n int, err error) // of a pipe; nil: it is none. Without both it takes nothing at once
	bytes []byte
	n     int
	err   error
	write func(fd uintptr) bool // writes bytes; made once
}

func (e *eager) init(nc any) {
	if p, ok := nc.(*pipe); ok {
		e.some = p.WriteSome
		return
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return // it is closed: the next write says so
	}
	e.raw = raw
	e.write = func(fd uintptr) bool {
		for {
			e.n, e.err = syscall.Write(int(fd), e.bytes)
			if e.err != syscall.EINTR {
				return true
			}
		}
	}
}

// take writes as much of b as there is room for.
func (e *eager) take(b []byte) (n int, err error) {
	if e.some != nil {
		return e.some(b)
	}
	if e.raw == nil {
		return 0, nil
	}
	e.bytes, e.n, e.err = b, 0, nil
	err = e.raw.Write(e.write)
	e.bytes = nil
	switch {
	case err != nil:
		return 0, err
	case e.err == syscall.EAGAIN:
		return 0, nil
	case e.err != nil:
		return 0, e.err
	}
	return e.n, nil
}
