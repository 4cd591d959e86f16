package iproto

import "tarragon.dev/tarragon/xrow"

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
	a.dirty = a.dirty[:0]
}
