package iproto

import "tarragon/xrow"

const (
	// outputSoft is the size of unsent output above which a connection is not
	// read any more.
	outputSoft = 1 << 20
	// keepOutput is the largest buffer kept for the next answers.
	keepOutput = 256 << 10
)

func (o *output) init() {
	o.changed.L = &o.mu
	o.wake = make(chan struct{}, 1)
	o.done = make(chan struct{})
}

// runWriter is the writer: it sends what others than the reader have left.
func (c *Conn) runWriter() {
	for {
		select {
		case <-c.wake:
			c.drain()
		case <-c.done:
			return
		}
	}
}

// emit hands the reader's own answers over and writes them, unless somebody is
// writing: then that one takes them along.
func (c *Conn) emit() {
	if len(c.out) == 0 {
		return
	}
	c.mu.Lock()
	if len(c.pending) == 0 {
		c.pending, c.out = c.out, c.pending[:0]
	} else {
		c.pending = append(c.pending, c.out...)
		c.out = c.out[:0]
	}
	c.mu.Unlock()
	if cap(c.out) > keepOutput {
		c.out = nil
	}
	c.drain()
}

// drain writes until nothing is pending. Whoever comes second leaves at once:
// the first one takes what was added meanwhile.
func (c *Conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		return
	}
	c.writing = true
	for len(c.pending) > 0 && c.cause == nil {
		b := c.pending
		c.pending, c.spare = c.spare[:0], nil
		c.mu.Unlock()
		err := c.writeAll(b)
		c.mu.Lock()
		if cap(b) <= keepOutput {
			c.spare = b[:0]
		}
		if err != nil {
			c.closeLocked(err)
		}
		c.notifyLocked()
	}
	c.writing = false
	c.notifyLocked()
}

// Flush makes the writer send what Reply has left.
func (c *Conn) Flush() {
	select {
	case c.wake <- struct{}{}:
	default: // the writer is already called
	}
}

// reply appends the answer of a request in flight.
func (c *Conn) reply(sync, schemaVersion uint64, data []byte, err *xrow.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replyLocked(sync, schemaVersion, data, err)
}

func (c *Conn) replyLocked(sync, schemaVersion uint64, data []byte, err *xrow.Error) {
	c.inflight--
	c.notifyLocked()
	if c.cause != nil {
		return
	}
	if err != nil {
		c.pending = xrow.AppendErrorReply(c.pending, err, sync, schemaVersion)
	} else {
		c.pending = AppendData(c.pending, sync, schemaVersion, data)
	}
	c.limitLocked()
}

// answer is reply with an encoded frame.
func (c *Conn) answer(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight--
	c.notifyLocked()
	if c.cause == nil {
		c.pending = append(c.pending, frame...)
		c.limitLocked()
	}
}

// push appends an EVENT. The caller sees to Flush.
func (c *Conn) push(sync uint64, key string, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil && !c.detached {
		c.pending = AppendEvent(c.pending, sync, key, value)
		c.limitLocked()
	}
}

// limitLocked closes the connection of a client that lets its answers pile up.
func (c *Conn) limitLocked() {
	if len(c.pending) > c.srv.cfg.OutputLimit {
		c.closeLocked(ErrSlowClient)
	}
}

// close ends the connection; the first cause stays.
func (c *Conn) close(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(cause)
}

func (c *Conn) closeLocked(cause error) {
	if c.cause != nil {
		return
	}
	c.cause = cause
	c.pending = nil
	close(c.done)
	c.nc.Close() // what is lost with it is known: the answers of a dead connection
	c.notifyLocked()
}

func (c *Conn) closeCause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// notifyLocked wakes the reader if what it waits for has come.
func (c *Conn) notifyLocked() {
	if c.waitsFor != nil && (c.cause != nil || c.waitsFor()) {
		c.changed.Signal()
	}
}

// waitFor blocks the reader until ok, called under the lock, or the end of the
// connection.
func (c *Conn) waitFor(ok func() bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitsFor = ok
	for c.cause == nil && !ok() {
		c.changed.Wait()
	}
	c.waitsFor = nil
	return c.cause
}

// waitRoom waits until the output is small enough to read on.
func (c *Conn) waitRoom() error {
	c.mu.Lock()
	enough, cause := len(c.pending) <= outputSoft, c.cause
	c.mu.Unlock()
	if enough || cause != nil {
		return cause
	}
	return c.waitFor(func() bool { return len(c.pending) <= outputSoft })
}

// waitCredit waits until the node has answered enough, and returns how many
// requests may be handed to it. It lets a quarter of them come back first:
// otherwise each answer would wake the reader for one request.
func (c *Conn) waitCredit(limit int) (n int, err error) {
	c.mu.Lock()
	n, err = limit-c.inflight, c.cause
	c.mu.Unlock()
	if n > 0 || err != nil {
		return n, err
	}
	err = c.waitFor(func() bool {
		n = limit - c.inflight
		return n > limit/4
	})
	return n, err
}

// waitSilence waits until all that was answered is written and nobody writes.
func (c *Conn) waitSilence() error {
	return c.waitFor(func() bool { return !c.writing && len(c.pending) == 0 })
}

func (c *Conn) inFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inflight
}

func (c *Conn) addInFlight(n int) {
	c.mu.Lock()
	c.inflight += n
	c.mu.Unlock()
}

// Answers gives the node's answers to many connections. It belongs to one
// goroutine: Reply for each answer, Flush once behind the last one.
type Answers struct {
	srv   *Server
	dirty []*Conn
}

// Answers returns a new way for answers to the clients of this server.
func (s *Server) Answers() *Answers { return &Answers{srv: s} }

// Reply appends one answer to the output of its connection: data is the raw
// array for DATA, nil: an empty body. A connection that is gone is no error.
func (a *Answers) Reply(conn, sync uint64, data []byte, err *xrow.Error) {
	c := a.srv.conns.find(conn)
	if c == nil {
		return
	}
	c.mu.Lock()
	c.replyLocked(sync, a.srv.backend.SchemaVersion(), data, err)
	fresh := !c.dirty
	c.dirty = true
	c.mu.Unlock()
	if fresh {
		a.dirty = append(a.dirty, c)
	}
}

// Flush sends what was answered since the last Flush.
func (a *Answers) Flush() {
	for i, c := range a.dirty {
		c.mu.Lock()
		c.dirty = false
		c.mu.Unlock()
		c.Flush()
		a.dirty[i] = nil
	}
	a.dirty = a.dirty[:0]
}
