package server

import (
	"context"
	"fmt"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/router"
)

// openRouter opens the router in this instance, where the configuration asks for one. It
// reaches all other instances where their peers do, and this one without a socket: as a member
// that comes from the same address.
func (s *Server) openRouter() error {
	conf := &s.in.Tarragon.Router
	if conf.RW == "" && conf.RO == "" && conf.HTTP == "" {
		return nil
	}
	cfg := router.Config{
		Version: GreetingVersion, UUID: s.main().life.UUID, RW: given(conf.RW), RO: given(conf.RO), HTTP: given(conf.HTTP), Self: s.in.Name, HoldTime: conf.HoldTime, HoldBytes: conf.HoldBytes,
		ReaderMaxLag: conf.ReaderMaxLag, NoNumbers: !conf.Numbers, ConsensusTimeout: conf.ConsensusTimeout, OwnWrites: conf.OwnWrites, MaxBackends: conf.MaxBackends, MetricLabels: s.in.Metrics.Labels, AnswerMemory: int(s.in.Tarragon.AnswerMemory), AuthMethod: s.in.IProto.AuthType, Limits: s.routerLimits(), Log: s.log.With().Str("part", "router").Logger(),
	}
	var err error
	if cfg.TLS, err = s.listenTLS(conf.TLS); err == nil {
		cfg.HTTPTLS, err = s.httpTLS()
	}
	if err != nil {
		return fmt.Errorf("tarragon.router: %w", err)
	}
	for _, m := range s.in.Members {
		if m.Peer.IsZero() {
			continue
		}
		in := router.Instance{Name: m.Name, Addr: m.Peer.Address(), Login: conf.Login, Password: conf.Password, Anon: m.Anon, Secure: s.secure(m.Peer)}
		if m.Name == s.in.Name {
			in.Dial = func(ctx context.Context) (*iproto.Client, error) { return s.port.clients.DialInside(ctx, in.Addr) }
		}
		if in.Login == "" {
			in.Login, in.Password = m.Peer.Login, m.Peer.Password
		}
		cfg.Instances = append(cfg.Instances, in)
	}
	r, err := router.Open(cfg)
	if err != nil {
		return fmt.Errorf("tarragon.router: %w", err)
	}
	s.port.router = r
	for kind, option := range [...]string{router.RW: "rw", router.RO: "ro"} {
		for _, addr := range r.Addrs(router.Port(kind)) {
			s.log.Info().Str("addr", addr).Str("port", option).Msg("the router listens")
		}
	}
	for _, addr := range r.HTTPAddrs() {
		s.log.Info().Str("addr", addr).Msg("the port for health checks listens")
	}
	return nil
}

// routerLimits are those of each port of the router.
func (s *Server) routerLimits() iproto.Limits {
	l := s.clientLimits()
	if n := s.in.Tarragon.Router.MaxConnections; n > 0 {
		l.Connections = n
		l.BeforeLogin = min(l.BeforeLogin, max(n/2, 1))
	}
	if n := s.in.Tarragon.Router.MaxPerUser; n > 0 {
		l.PerUser = n
	}
	l.Option = "tarragon.router."
	return l
}

func given(addr string) []string {
	if addr == "" {
		return nil
	}
	return []string{addr}
}

// closeRouter lets clients of the router leave, and ends it.
func (s *Server) closeRouter() {
	if s.port.router != nil {
		s.port.router.Drain()
		s.port.router.Close()
	}
}

// routerStats is how it stands; nil: there is none.
func (s *Server) routerStats() any {
	if s.port.router == nil {
		return nil
	}
	return s.port.router.Stats()
}
