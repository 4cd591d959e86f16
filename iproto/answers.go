package iproto

import "tarragon.dev/tarragon/xrow"

// Answers gives the node's answers to many connections. It belongs to one
// goroutine: Reply for each answer, Flush once behind the last one.
type Answers struct {
	srv   *Server
	last  *Conn // that was found for the answer before; nil: none since the last Flush
	dirty []*Conn
}

// Answers returns a new way for answers to the clients of this server.
func (s *Server) Answers() *Answers { return &Answers{srv: s} }

// Reply appends one answer to the output of its connection: data is the raw
// array for DATA, nil: an empty body. A connection that is gone is no error.
func (a *Answers) Reply(conn, sync uint64, data []byte, err *xrow.Error) {
	c := a.find(conn)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replyLocked(sync, a.srv.logins.SchemaVersion(), data, err)
	a.dirtyLocked(c)
}

// ReplyStream is Reply to the request of a stream that is under way.
func (a *Answers) ReplyStream(conn, stream uint64, data []byte, err *xrow.Error) {
	c := a.find(conn)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replyStreamLocked(stream, a.srv.logins.SchemaVersion(), data, err)
	a.dirtyLocked(c)
}

// FinishStream is Conn.FinishStream for a connection that may be gone.
func (a *Answers) FinishStream(q *Select) {
	if c := a.find(q.Conn); c != nil {
		c.FinishStream(q)
	}
}

// find is the connection of that number, mostly that of the answer before; nil: it is gone.
func (a *Answers) find(conn uint64) *Conn {
	if a.last == nil || a.last.id != conn {
		a.last = a.srv.conns.find(conn)
	}
	return a.last
}

// dirtyLocked notes that there is something to flush.
func (a *Answers) dirtyLocked(c *Conn) {
	if !c.dirty {
		c.dirty = true
		a.dirty = append(a.dirty, c)
	}
}

// Flush has sent what was answered since the last Flush.
func (a *Answers) Flush() {
	call := a.dirty[:0]
	for _, c := range a.dirty {
		c.mu.Lock()
		c.dirty = false
		c.mu.Unlock()
		if c.called.CompareAndSwap(false, true) {
			call = append(call, c)
		}
	}
	if len(call) > 0 {
		a.srv.senders.call(call...)
	}
	clear(a.dirty)
	a.dirty, a.last = a.dirty[:0], nil
}

// Send is Flush for who may write to sockets: it writes what those of a few connections take at once, and waits for
// none. So an answer is on its way before its maker looks for the next one, and wakes nobody else. What is for many
// goes to the senders.
func (a *Answers) Send() {
	if len(a.dirty) > perSender {
		a.Flush()
		return
	}
	for _, c := range a.dirty {
		c.mu.Lock()
		c.dirty = false
		c.mu.Unlock()
		c.send()
	}
	clear(a.dirty)
	a.dirty, a.last = a.dirty[:0], nil
}
