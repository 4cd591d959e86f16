package server

import (
	"sync/atomic"

	"tarragon.dev/tarragon/box"
)

// addresses tells where clients reach members, by uuid. It is read inside a
// Step, so it is a map that is replaced, never changed.
type addresses struct {
	m atomic.Pointer[map[string]string]
}

// learn takes the members as registered; names lead to the configuration.
func (s *Server) learnAddresses(members []box.Member) {
	byName := make(map[string]string)
	for _, m := range s.in.Members {
		uri := m.Client
		if uri.IsZero() {
			uri = m.Peer
		}
		if !uri.IsZero() {
			byName[m.Name] = uri.Address()
		}
	}
	out := make(map[string]string)
	for _, m := range members {
		if addr := byName[m.Name]; addr != "" {
			out[m.UUID] = addr
		}
	}
	if out[s.main().life.UUID] == "" && len(s.port.clients.Addrs()) > 0 {
		out[s.main().life.UUID] = s.port.clients.Addrs()[0].String()
	}
	s.addrs.m.Store(&out)
}

func (s *Server) addressOf(uuid string) string {
	if m := s.addrs.m.Load(); m != nil {
		return (*m)[uuid]
	}
	return ""
}
