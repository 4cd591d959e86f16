package iproto

import "fmt"

// Recheck ends the sessions whose user was dropped or may have none any more, and
// the streams of who may not replicate any more. Call it when users or rights
// have changed. What such a session asks for meanwhile is the backend's to refuse.
func (s *Server) Recheck() {
	for _, c := range s.conns.all() {
		c.stay()
	}
}

// stay closes the connection if its session must end.
func (c *Conn) stay() {
	c.mu.Lock()
	replicates := c.detached
	c.mu.Unlock()
	if err := c.srv.logins.Stays(User(c.loggedIn.Load()), c.User(), replicates); err != nil {
		c.close(fmt.Errorf("%w: %w", ErrUserGone, err))
	}
}
