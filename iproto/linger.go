package iproto

import (
	"io"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Bounds of what is read from a client that is told why its connection ends.
const (
	lingerTime  = 5 * time.Second
	lingerBytes = 4 * xrow.MaxFrame
)

// linger ends a connection in order: the client has the time to read our last
// words. A close with bytes unread would be a reset, which overtakes them.
func (c *Conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.nc, lingerBytes) // until the client closes, mostly
}

// trusts tells whether frames may be as large as behind a login by password: the
// session's user has been given rights to write, as a guest may be.
func (c *Conn) trusts() bool {
	if c.maxFrame == xrow.MaxFrame || c.srv.logins.Ready() != nil || !c.srv.logins.MayWrite(c.User()) {
		return false
	}
	c.maxFrame = xrow.MaxFrame
	return true
}
