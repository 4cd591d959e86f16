package iproto

import "sync"

// beingClosed is how many connections may be on their way out beside those that
// have a seat: the descriptor of one that was turned away is there until its
// goroutine has run.
const beingClosed = 8

// doors count the connections of listeners by their descriptors: nobody is let in
// while there are as many as the gate has seats for, and beingClosed more. So a
// burst of clients waits where it costs no descriptor.
type doors struct {
	most int

	mu     sync.Mutex
	moved  sync.Cond
	open   int
	closed bool // nobody waits any more
}

func (d *doors) init(l *Limits) {
	d.moved.L = &d.mu
	d.most = l.Connections + l.Reserve + beingClosed
}

// enter waits for a descriptor that a connection may have; false: the listeners
// are closed.
func (d *doors) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.open >= d.most && !d.closed {
		d.moved.Wait()
	}
	if !d.closed {
		d.open++
	}
	return !d.closed
}

func (d *doors) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	d.moved.Signal()
}

func (d *doors) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.moved.Broadcast()
}
