package iproto

import (
	"errors"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// handleReplication gives the connection to replication. It comes back after
// everything but SUBSCRIBE.
func (c *Conn) handleReplication(frame []byte) error {
	c.submit()
	if c.inFlight() > 0 {
		text := "Can't process join/subscribe while there are pending requests"
		c.fail(xrow.Errorf(xrow.ErrProtocol, text))
		return nil
	}
	if e := c.provesMember(); e != nil {
		c.fail(e)
		return nil
	}
	row, err := xrow.Decode(frame)
	if err != nil {
		c.fail(asError(err))
		return nil
	}
	link, err := c.detach()
	if err != nil {
		return err
	}
	err = c.srv.backend.Replicate(link, c.User(), &row)
	var e *xrow.Error
	if err != nil && !errors.As(err, &e) {
		return err
	}
	if !c.attach(link) {
		return ErrServerClosed
	}
	if e != nil {
		c.fail(e)
	}
	if row.Type == xrow.Subscribe {
		if e != nil {
			return e
		}
		return ErrTakenOver
	}
	return nil
}

// detach ends the client side of the connection: what was answered is written,
// nothing more will be pushed.
func (c *Conn) detach() (*Link, error) {
	c.srv.cfg.Hub.drop(c)
	c.srv.gate.streams(c, true)
	c.mu.Lock()
	c.detached = true
	c.mu.Unlock()
	c.emit()
	if err := c.waitSilence(); err != nil {
		return nil, err
	}
	c.armed = time.Time{}
	c.nc.SetWriteDeadline(time.Time{}) // fails only on a closed connection
	l := NewLink(c.nc, xrow.MaxFrame)
	if rest := c.w - c.r; rest > len(l.buf) {
		l.buf = make([]byte, rest)
	}
	l.w = copy(l.buf, c.buf.data[c.r:c.w])
	c.r = c.w
	return l, nil
}

// outliveCut tells of a stream that it goes on, but is no client's connection any more.
func (c *Conn) outliveCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wasCut = true
	return c.detached
}

// attach takes the connection back with the bytes that the link has read and
// not used; false: whom it was logged in at is gone.
func (c *Conn) attach(l *Link) bool {
	c.nc.SetDeadline(time.Time{}) // fails only on a closed connection
	c.srv.gate.streams(c, false)
	c.mu.Lock()
	c.detached = false
	cut := c.wasCut
	c.mu.Unlock()
	if cut {
		return false
	}
	c.open()
	rest := l.buf[l.r:l.w]
	next := newReadBuf(max(c.base, len(rest)))
	c.buf.release()
	c.buf, c.r, c.w = next, 0, copy(next.data, rest)
	return true
}
