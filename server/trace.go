package server

import (
	"errors"
	"net"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xlog"

	"github.com/rs/zerolog"
)

// levels says how loud each fact is: what an operator acts on is a warning,
// what explains the night is information, the rest is for debugging.
var levels = map[instance.FactKind]zerolog.Level{
	"new term": zerolog.InfoLevel, "campaign": zerolog.InfoLevel, "vote": zerolog.InfoLevel, "refuse vote": zerolog.InfoLevel,
	"leader": zerolog.InfoLevel, "follow": zerolog.InfoLevel, "give up election": zerolog.InfoLevel, "split vote": zerolog.InfoLevel,
	"leader lost": zerolog.WarnLevel, "resign": zerolog.WarnLevel, "conflicting leader": zerolog.WarnLevel,
	instance.FactPromoteWritten: zerolog.InfoLevel, instance.FactInEffect: zerolog.InfoLevel, instance.FactPromoteVoid: zerolog.InfoLevel,
	instance.FactGatherFull: zerolog.WarnLevel, instance.FactStall: zerolog.ErrorLevel, instance.FactDiskFailed: zerolog.ErrorLevel, instance.FactInDoubt: zerolog.ErrorLevel,
	instance.FactClaim: zerolog.WarnLevel, instance.FactClaimLapsed: zerolog.WarnLevel,
	instance.FactWokeLate: zerolog.WarnLevel, instance.FactRegistered: zerolog.InfoLevel, instance.FactNewLife: zerolog.WarnLevel,
	instance.FactExpelled: zerolog.ErrorLevel, instance.FactVoter: zerolog.InfoLevel, instance.FactLearnerGone: zerolog.WarnLevel,
	instance.FactPaused: zerolog.WarnLevel, instance.FactResumed: zerolog.WarnLevel, instance.FactPauseOver: zerolog.WarnLevel,
	instance.FactHandoverBegins: zerolog.InfoLevel, instance.FactHandedOver: zerolog.InfoLevel, instance.FactHandoverGivenUp: zerolog.WarnLevel,
	instance.FactQuorum: zerolog.WarnLevel, instance.FactBadQuorum: zerolog.ErrorLevel,
}

// traceCore logs what the core decides. It runs on the Loop's goroutine.
func (n *node) traceCore(f instance.Fact) {
	if n.group == "" {
		n.audit(&f)
	}
	level, ok := levels[f.Kind]
	if !ok {
		level = zerolog.DebugLevel
	}
	e := n.log.WithLevel(level)
	if !e.Enabled() {
		return
	}
	e = e.Uint64("term", f.Term)
	if f.Peer != 0 {
		e = e.Uint32("peer", f.Peer)
	}
	if f.LSN != 0 {
		e = e.Uint64("lsn", f.LSN)
	}
	if f.Text != "" {
		e = e.Str("cause", f.Text)
	}
	e.Msg(string(f.Kind))
}

func (s *Server) logStore(ev xlog.Event) {
	level := map[xlog.Level]zerolog.Level{xlog.Debug: zerolog.DebugLevel, xlog.Info: zerolog.InfoLevel,
		xlog.Warn: zerolog.WarnLevel, xlog.Error: zerolog.ErrorLevel}[ev.Level]
	s.log.WithLevel(level).Err(ev.Err).Msg("store: " + ev.Text)
}

func (s *Server) clientTrace() iproto.Trace {
	return iproto.Trace{
		LoggedIn: s.auditLogin,
		Denied:   s.auditDenied,
		Closed: func(c *iproto.Conn, cause error) {
			s.auditClosed(c)
			if errors.Is(cause, iproto.ErrCrowded) || errors.Is(cause, iproto.ErrNoRequest) || errors.Is(cause, iproto.ErrHalfFrame) || errors.Is(cause, iproto.ErrSlowClient) {
				s.turnedAway(c.RemoteAddr(), cause)
				return
			}
			if cause != nil && !errors.Is(cause, net.ErrClosed) && !errors.Is(cause, iproto.ErrTakenOver) {
				s.log.Debug().Uint64("conn", c.ID()).Str("from", c.RemoteAddr()).Err(cause).Msg("connection closed")
			}
		},
		BadBytes: func(c *iproto.Conn, err error) {
			log, level := s.port.badBytes.rated(s.log)
			log.WithLevel(level).Uint64("conn", c.ID()).Str("from", c.RemoteAddr()).Err(err).Msg("bad request")
		},
		Guessed: func(n iproto.Guesses) {
			s.log.Warn().Uint64("failed", n.Failed).Uint64("delayed", n.Delayed).Uint64("refused", n.Refused).
				Str("from", n.From).Str("user", n.User).Msg("logins failed; address and user are those of the last one")
		},
		Handshakes: func(n iproto.Handshakes) {
			s.log.Warn().Uint64("failed", n.Failed).Str("from", n.From).Err(n.Err).Msg("TLS: connections were refused; address and cause are those of the last one")
		},
		Turned: func(from net.Addr) { s.turnedAway(from.String(), errTooMany) },
		Accept: func(addr net.Addr, err error) {
			s.log.Error().Str("addr", addr.String()).Err(err).Msg("accept failed")
		},
	}
}
