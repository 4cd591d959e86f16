package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/tlsconf"
	"tarragon.dev/tarragon/iproto"
)

// keepers have the files of TLS, each set of them once.
type keepers struct {
	mu sync.Mutex
	of map[tlsconf.Files]*tlsconf.Keeper
}

// keeper is that of some files. Those who are dialed must have one of the names of peers:
// an instance dials no others.
func (s *Server) keeper(files *tlsconf.Files) (*tlsconf.Keeper, error) {
	s.keepers.mu.Lock()
	defer s.keepers.mu.Unlock()
	if k := s.keepers.of[*files]; k != nil {
		return k, nil
	}
	told := func(err error) { s.filesChanged(files, err) }
	k, err := tlsconf.Open(*files, s.in.Tarragon.PeerNames, told)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if s.keepers.of == nil {
		s.keepers.of = map[tlsconf.Files]*tlsconf.Keeper{}
	}
	s.keepers.of[*files] = k
	if until := k.Expires(); files.Shows() && time.Until(until) < expiresSoon {
		s.log.Warn().Str("certificate", files.Cert).Time("expires", until).Msg("a certificate expires soon")
	}
	if !k.Asks() {
		s.log.Warn().Str("certificate", files.Cert).Msg("TLS without a CA file: who is at the other end is not looked at")
	}
	return k, nil
}

// filesChanged tells of files that were changed while they are in use.
func (s *Server) filesChanged(files *tlsconf.Files, err error) {
	s.troubles.set(areaTLS, "changed files of TLS cannot be used, those before are", err)
	if err != nil {
		s.log.Error().Err(err).Msg("the files of TLS were changed and cannot be used: what they were before stays in use")
		return
	}
	s.log.Info().Str("certificate", files.Cert).Str("ca", files.CA).Msg("the files of TLS were changed, and are in use for connections from now on")
}

// openTLS reads all files that the instance listens and dials with, so that what is wrong with
// them is said at the start.
func (s *Server) openTLS() error {
	for _, u := range s.in.IProto.Listen {
		if _, err := s.listenTLS(u.TLS); err != nil {
			return fmt.Errorf("iproto.listen %s: %w", u.Address(), err)
		}
	}
	for _, m := range s.in.Members {
		if err := s.dials(m.Peer); err != nil {
			return fmt.Errorf("to dial %s: %w", m.Name, err)
		}
	}
	for _, u := range s.in.Replication.Peers {
		if err := s.dials(u); err != nil {
			return fmt.Errorf("to dial %s: %w", u.Address(), err)
		}
	}
	return nil
}

func (s *Server) dials(u config.URI) error {
	if u.TLS == nil {
		return nil
	}
	_, err := s.keeper(u.TLS)
	return err
}

// listenTLS is the configuration to listen with; nil: without TLS.
func (s *Server) listenTLS(files *tlsconf.Files) (*tls.Config, error) {
	if files == nil {
		return nil, nil
	}
	k, err := s.keeper(files)
	if err != nil {
		return nil, err
	}
	return k.Server(false)
}

// httpTLS is that of ports for HTTP, to which everybody comes; nil: without TLS.
func (s *Server) httpTLS() (*tls.Config, error) {
	files := s.in.Tarragon.HTTPTLS
	if files == nil {
		return nil, nil
	}
	k, err := s.keeper(files)
	if err != nil {
		return nil, err
	}
	return k.Server(true)
}

// expiresSoon is from when on it is said.
const expiresSoon = 14 * 24 * time.Hour

// secure is how an address is dialed; its files were read by openTLS.
func (s *Server) secure(u config.URI) iproto.Secure {
	if u.TLS == nil {
		return nil
	}
	k, err := s.keeper(u.TLS)
	if err != nil {
		panic("server: TLS of " + u.Address() + " was not opened") // openTLS has all
	}
	return k.Client
}

// memberProof is what a member's certificate must have; nil: nothing.
func (s *Server) memberProof() func(*x509.Certificate) error {
	names := tlsconf.Names(s.in.Tarragon.PeerNames)
	if len(names) == 0 {
		return nil
	}
	return names.Allow
}
