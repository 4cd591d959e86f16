package replication

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// forwarder brings requests of clients to the leader and its answers back to the core: by
// a connection to each leader, logged in as the appliers are, with any number of requests
// under way. The core bounds how much that is.
//
// Invariant: each request that take got has one answer, while the hub is open. Of a
// connection that breaks, what was given to the socket is lost, and nothing is sent again;
// what was not is unsent.
type forwarder struct {
	hub *Hub

	mu       sync.Mutex
	sessions [vclock.Max]*forwarding // by leader; nil: there is none
}

// forwarding is what goes to one leader while there is something, and a while longer.
type forwarding struct {
	f    *forwarder
	to   uint32
	wake chan struct{} // capacity 1: queue is not empty

	// Guarded by the forwarder's lock.
	queue []instance.Forward   // not given to the socket
	open  map[uint64]time.Time // those that were, by their numbers, and since when
	since time.Time            // the last of them, or the last answer
}

const (
	// forwardIdle is how long a connection without a request stays. It is less than
	// what the other end allows.
	forwardIdle = 10 * time.Second
	// forwardPatience is how long one with requests may be silent: each is answered
	// within the limit of a write there, and the core waits for none of them longer.
	forwardPatience = time.Minute
)

// take is called on the Loop's goroutine. The hub is open, and its lock is held.
func (f *forwarder) take(fs []instance.Forward) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range fs {
		s := f.sessions[w.To]
		if s == nil {
			s = &forwarding{f: f, to: w.To, wake: make(chan struct{}, 1), open: map[uint64]time.Time{}}
			f.sessions[w.To] = s
			f.hub.wg.Go(s.run)
		}
		s.queue = append(s.queue, w)
		signal(s.wake)
	}
}

// run connects, sends what comes, and tells what has become of all when that ends.
func (s *forwarding) run() {
	ctx, cancel := context.WithCancel(s.f.hub.ctx)
	defer cancel()
	c, err := s.connect(ctx)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		defer stop()
		read := make(chan error, 1)
		go func() {
			defer cancel()
			read <- s.read(c)
		}()
		s.write(ctx, c)
		_ = c.Close()
		err = <-read
	}
	s.end(err)
}

// write gives the socket what comes, until ctx or the connection ends.
func (s *forwarding) write(ctx context.Context, c *iproto.Client) {
	var out []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		out = s.next(out[:0])
		_ = c.SetWriteDeadline(time.Now().Add(forwardPatience))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// next encodes what waits. From now on it counts as sent.
func (s *forwarding) next(out []byte) []byte {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	now := time.Now()
	for i := range s.queue {
		s.open[s.queue[i].No] = now
		out = appendForward(out, &s.queue[i])
	}
	s.queue, s.since = nil, now
	return out
}

func appendForward(dst []byte, w *instance.Forward) []byte {
	t, body := w.DML.Type, w.DML.AppendBody
	if w.Call != nil {
		t, body = w.Call.Type, func(b []byte) []byte { return xrow.AppendCall(b, w.Call.Name, w.Call.Args) }
	}
	row := xrow.Row{Type: xrow.Call, Sync: w.No, Body: xrow.AppendForward(nil, w.Term, w.User, t, body)}
	return row.Append(dst)
}

// read gives answers to the core until the connection ends, or is not needed any more.
func (s *forwarding) read(c *iproto.Client) error {
	for {
		_ = c.SetReadDeadline(time.Now().Add(forwardIdle))
		row, err := c.ReadRow()
		var silent net.Error
		if errors.As(err, &silent) && silent.Timeout() && !s.leave() {
			continue
		}
		if err != nil {
			return err
		}
		if row.Type == xrow.Event || row.Type == xrow.Chunk {
			continue
		}
		if !s.took(row.Sync) {
			return fmt.Errorf("%w: an answer to nothing", iproto.ErrProtocol)
		}
		a := instance.ForwardAnswerOf(row.Sync, row.Body, row.AsError())
		s.f.answer(&a)
	}
}

// leave tells whether a connection that is silent has to end. One without requests gets
// none from now on.
func (s *forwarding) leave() bool {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if len(s.open)+len(s.queue) == 0 {
		s.f.sessions[s.to] = nil
		return true
	}
	return time.Since(s.since) > forwardPatience
}

func (s *forwarding) took(no uint64) bool {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	sent, ok := s.open[no]
	delete(s.open, no)
	s.since = time.Now()
	if told := s.f.hub.cfg.Forwarded; ok && told != nil {
		told(s.since.Sub(sent))
	}
	return ok
}

// end tells the core what was lost and what was never sent.
func (s *forwarding) end(err error) {
	s.f.mu.Lock()
	queue, lost := s.queue, s.open
	if s.f.sessions[s.to] == s {
		s.f.sessions[s.to] = nil
	}
	s.f.mu.Unlock()
	for no := range lost {
		s.f.answer(&instance.ForwardAnswer{No: no, Fate: instance.ForwardLost})
	}
	for i := range queue {
		s.f.answer(&instance.ForwardAnswer{No: queue[i].No, Fate: instance.ForwardUnsent, Err: &xrow.Error{Code: xrow.ErrReadonly, Message: err.Error(), Err: err}})
	}
	if len(lost)+len(queue) > 0 {
		s.f.hub.cfg.Logger.Warn().Err(err).Uint32("leader", s.to).Int("unknown", len(lost)).Int("unsent", len(queue)).Msg("requests of clients were not forwarded")
	}
}

// answer may wait for the Loop, and so is not called under a lock.
func (f *forwarder) answer(a *instance.ForwardAnswer) { _ = f.hub.node.Submit(*a) } // else the loop has ended, and its clients with it

// connect logs in at the leader, as our applier of it does.
func (s *forwarding) connect(ctx context.Context) (*iproto.Client, error) {
	peer, uuid, ok := s.f.hub.peerOf(s.to)
	if !ok {
		return nil, fmt.Errorf("no peer is configured that is instance %d", s.to)
	}
	limit, cancel := context.WithTimeout(ctx, s.f.hub.times.Load().death)
	defer cancel()
	c, err := peer.dial(limit)
	if err == nil {
		if err = checkPeer(c, uuid, &peer); err != nil {
			_ = c.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("instance %d: %w", s.to, err)
	}
	return c, nil
}

func checkPeer(c *iproto.Client, uuid string, p *Peer) error {
	if c.Greeting.UUID != uuid {
		return fmt.Errorf("%s serves at %s, not %s", c.Greeting.UUID, p.Addr, uuid)
	}
	return hello(c, p, func() {})
}

// peerOf is where our applier follows an instance, and its UUID.
func (h *Hub) peerOf(id uint32) (p Peer, uuid string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.appliers {
		if a.peer == id {
			return a.conf, a.uuid, true
		}
	}
	return p, "", false
}
