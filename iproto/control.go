package iproto

import (
	"net"
	"os"
	"path/filepath"

	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/xrow"
)

// controlListener is the socket of a local administrator: its sessions begin as
// a user who has not logged in. Who may open the file is who may administer.
type controlListener struct {
	net.Listener
	user User
}

// ListenControl opens a socket that only the user of this process can connect to,
// whose sessions are those of user.
func (s *Server) ListenControl(path string, user User) error {
	ln, err := ListenAt("unix/:"+ShortSocket(path), perm.Socket)
	if err != nil {
		return err
	}
	ln = controlListener{ln, user}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) == 0 {
		s.wg.Go(s.runSweep)
	}
	s.listeners = append(s.listeners, ln)
	s.wg.Go(func() { s.accept(ln) })
	return nil
}

// serveOf serves a connection of a listener.
func (s *Server) serveOf(ln net.Listener, nc net.Conn) {
	c := newConn(s, nc)
	if ln, ok := ln.(tlsListener); ok {
		c.secure(ln.conf)
	}
	if control, ok := ln.(controlListener); ok {
		c.user.Store(uint64(control.user))
		c.loggedIn.Store(uint64(control.user))
		c.control = true
		c.known.Store(true)
		c.maxFrame = xrow.MaxFrame
	}
	s.serveConn(c)
}

// socketPathMax is what a path of a socket may have on all systems.
const socketPathMax = 103

// ShortSocket is the path as seen from the working directory where it is too
// long for a socket and this is shorter.
func ShortSocket(path string) string {
	if len(path) <= socketPathMax {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
