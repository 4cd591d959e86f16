package iproto

// slowAtOnce is how many requests of the streams of one connection may read much, or wait
// for their client, at the same time. Others wait for these.
const slowAtOnce = 4

// slow are requests of streams that may take long to answer: reads, and calls. They have
// goroutines of their own, so that they hold up no request that the node only has to be
// given. All is guarded by the lock of the output.
type slow struct {
	waiting []func()
	running int
}

// later has f run on such a goroutine.
func (c *Conn) later(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams.dropped {
		return
	}
	s := &c.streams.slow
	s.waiting = append(s.waiting, f)
	if s.running < slowAtOnce {
		s.running++
		c.srv.wg.Go(c.runSlow) // endStreams waits for it
	}
}

func (c *Conn) runSlow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.streams.slow
	for len(s.waiting) > 0 {
		f := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		c.mu.Unlock()
		f()
		c.mu.Lock()
	}
	s.running--
	c.notifyLocked()
}

// FinishStream runs a SELECT that Backend.Stream was given, on another goroutine, and
// answers it, when the client has read enough of what was answered before.
func (c *Conn) FinishStream(q *Select) {
	c.later(func() {
		frame, chunks := c.makeAnswer(q)
		c.mu.Lock()
		c.answerLocked(frame, chunks)
		c.answeredLocked(c.streams.at[q.Stream]) // q is of it
		c.mu.Unlock()
		c.Flush()
	})
}
