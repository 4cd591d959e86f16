package router

import (
	"errors"
	"net"
	"sync"
	"time"

	"tarragon.dev/tarragon/iproto"
)

// trace logs what becomes of clients.
func (p *port) trace() iproto.Trace {
	log := p.r.cfg.Log
	return iproto.Trace{
		Closed: func(c *iproto.Conn, cause error) {
			for _, e := range [...]error{iproto.ErrSlowClient, iproto.ErrCrowded, iproto.ErrNoRequest, iproto.ErrHalfFrame} {
				if errors.Is(cause, e) {
					p.turnedAway(c.RemoteAddr(), cause)
					return
				}
			}
			log.Debug().Stringer("port", p.kind).Str("client", c.RemoteAddr()).Err(cause).Msg("client gone")
		},
		Guessed: func(g iproto.Guesses) {
			log.Warn().Stringer("port", p.kind).Uint64("failed", g.Failed).Uint64("delayed", g.Delayed).Uint64("refused", g.Refused).Str("from", g.From).Str("user", g.User).Msg("logins failed")
		},
		Handshakes: func(n iproto.Handshakes) {
			log.Warn().Stringer("port", p.kind).Uint64("failed", n.Failed).Str("from", n.From).Err(n.Err).Msg("TLS: connections were refused; address and cause are those of the last one")
		},
		Turned: func(from net.Addr) { p.turnedAway(from.String(), errTooMany) },
	}
}

var errTooMany = errors.New("there are too many connections")

// turned bounds the lines about clients that were sent away: who does that to himself may do it without end.
type turned struct {
	mu sync.Mutex
	at time.Duration // of the last line
	n  uint64        // clients since
}

// turnedPause is the time between two lines.
const turnedPause = time.Second

func (p *port) turnedAway(from string, cause error) {
	p.turned.mu.Lock()
	defer p.turned.mu.Unlock()
	p.turned.n++
	if now := p.r.now(); p.turned.at == 0 || now >= p.turned.at+turnedPause {
		p.r.cfg.Log.Warn().Stringer("port", p.kind).Str("client", from).Uint64("clients", p.turned.n).Err(cause).Msg("clients were sent away; address and cause are those of the last one")
		p.turned.at, p.turned.n = now, 0
	}
}
