package sim

import (
	"slices"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// forwarding is what an instance has under way to the leader: a connection of its own, as
// in package replication. It lives until the connection ends.
type forwarding struct {
	n    *node
	peer *node
	conn *conn
	up   bool // the peer took the connection
	wait []instance.Forward
	sent []instance.Forward
}

// forwardConn is from where on connections of requests are those of other instances.
const forwardConn = 1 << 40

// forward takes a request of the core for another leader.
func (n *node) forward(f instance.Forward) {
	peer := n.w.hostOf(f.To)
	if peer == nil || peer == n {
		n.forwardEnds(f.No, instance.ForwardUnsent)
		return
	}
	at := slices.IndexFunc(n.forwards, func(s *forwarding) bool { return s.peer == peer })
	if at >= 0 {
		s := n.forwards[at]
		s.wait = append(s.wait, f)
		s.send()
		return
	}
	s := &forwarding{n: n, peer: peer, wait: []instance.Forward{f}}
	n.forwards = append(n.forwards, s)
	s.conn = n.w.net.dial(n, peer, packet{kind: packetForward}, s.receive, s.hungUp)
	s.conn.patience = 2 * n.w.plan.config.WaitLimit
	life := n.life
	n.w.after(n.w.plan.config.DeathTimeout, func() {
		if n.life == life && !s.up && s.conn.alive(dialler) {
			s.conn.close(dialler)
			s.end()
		}
	})
}

func (n *node) forwardEnds(no uint64, fate instance.ForwardFate) {
	n.post(instance.ForwardAnswer{No: no, Fate: fate})
}

// send gives the connection what waits.
func (s *forwarding) send() {
	if !s.up {
		return
	}
	s.conn.ends[dialler].heard = s.n.w.now // an answer may take as long from now on
	for _, f := range s.wait {
		s.sent = append(s.sent, f)
		s.conn.send(dialler, packet{kind: packetForward, forward: &f})
		if s.n.w.plan.broken.ForwardTwice {
			s.conn.send(dialler, packet{kind: packetForward, forward: &f})
		}
	}
	s.wait = nil
}

func (s *forwarding) receive(_ *conn, p *packet) {
	switch p.kind {
	case packetWelcome:
		s.up = true
		s.send()
	case packetRefuse:
		s.conn.close(dialler)
		s.end()
	case packetForwarded:
		at := slices.IndexFunc(s.sent, func(f instance.Forward) bool { return f.No == p.sync })
		if at < 0 {
			return
		}
		s.sent = slices.Delete(s.sent, at, at+1)
		s.n.post(instance.ForwardAnswerOf(p.sync, p.body, p.err))
	}
}

func (s *forwarding) hungUp(*conn, bool) { s.end() }

// end tells the core what was lost, and what was never sent.
func (s *forwarding) end() {
	n := s.n
	at := slices.Index(n.forwards, s)
	if at < 0 {
		return
	}
	n.forwards = slices.Delete(n.forwards, at, at+1)
	for _, f := range s.sent {
		switch b := &n.w.plan.broken; {
		case b.ForwardAgain:
			n.forward(f)
		case b.LostIsUnsent:
			n.forwardEnds(f.No, instance.ForwardUnsent)
		default:
			n.w.check.handover.met.Lost++
			n.forwardEnds(f.No, instance.ForwardLost)
		}
	}
	for _, f := range s.wait {
		n.forwardEnds(f.No, instance.ForwardUnsent)
	}
}

// serveForward takes what another instance forwards by a connection.
func (n *node) serveForward(c *conn) {
	conn := forwardConn + uint64(len(n.asked))
	n.asked = append(n.asked, c)
	c.patience = 2 * n.w.plan.config.WaitLimit
	c.ends[acceptor].receive = func(p *packet) {
		if p.kind != packetForward || n.core == nil {
			return
		}
		f := p.forward
		r := instance.Request{Conn: conn, Sync: f.No, User: admin, DML: f.DML, Forwarded: f.Term}
		if f.Call != nil {
			r.Do = n.w.load.ops[opOf(f.Call)-1].do
		}
		n.post(instance.Write{Requests: []instance.Request{r}})
	}
	c.send(acceptor, packet{kind: packetWelcome})
}

// answerForwarded brings the answer of a core to who has forwarded the request.
func (n *node) answerForwarded(r instance.Reply) {
	p := packet{kind: packetForwarded, sync: r.Sync, err: r.Err}
	if r.Err == nil {
		p.body = append([]byte{0x81, byte(xrow.KeyData)}, r.Data...)
	}
	n.asked[r.Conn-forwardConn].send(acceptor, p)
}
