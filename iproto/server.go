package iproto

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/xrow"
)

// Server serves client connections. The order of its end: StopListening,
// Shutdown, Close; each includes the ones before it where they were left out.
type Server struct {
	cfg      Config
	logins   Logins
	backend  Backend // nil: a relay stands for it
	relay    Relay   // nil: there is a backend
	conns    connTable
	salt     func([]byte) error // fills the salt of a greeting
	limit    atomic.Int64       // requests of one connection that may wait for the node
	meter    meter
	senders  senders
	helpers  helpers
	budget   budget
	gate     gate
	doors    doors
	guard    *guard
	failures failures
	began    time.Time
	second   atomic.Int64 // the clock of patience

	mu        sync.Mutex
	listeners []net.Listener
	closed    bool          // no further connection is served
	stop      chan struct{} // closed by StopListening
	left      chan struct{} // capacity 1: a connection has ended
	wg        sync.WaitGroup
}

// NewServer returns a server without listeners.
func NewServer(cfg Config, b Backend) (*Server, error) {
	s, err := newServer(cfg)
	if err == nil {
		s.logins, s.backend = b, b
	}
	return s, err
}

func newServer(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, began: time.Now(), stop: make(chan struct{}), left: make(chan struct{}, 1)}
	s.gate = gate{limits: cfg.Limits, users: map[User]int{}}
	s.guard = newGuard(&s.gate.limits)
	s.doors.init(&s.gate.limits)
	s.senders.wg = &s.wg
	s.helpers.limit = int32(runtime.GOMAXPROCS(0) / 2)
	s.limit.Store(int64(cfg.MaxInFlight))
	s.budget.init(cfg.AnswerMemory, cfg.SlowTimeout)
	s.salt = func(b []byte) error { _, err := rand.Read(b); return err }
	return s, nil
}

// SetMaxInFlight changes Config.MaxInFlight for requests from now on.
func (s *Server) SetMaxInFlight(n int) { s.limit.Store(int64(max(n, 1))) }

// now is the server's time.
func (s *Server) now() time.Duration { return time.Since(s.began) }

func (s *Server) maxInFlight() int { return int(s.limit.Load()) }

// MaxAnswer is how many bytes of tuples one answer may have.
func (s *Server) MaxAnswer() int { return s.budget.maxAnswer() }

// Unread is how many bytes of answers clients have not taken yet.
func (s *Server) Unread() int64 { return s.budget.used.Load() }

// Peer is the address of a connection's other end; empty: it is gone.
func (s *Server) Peer(conn uint64) string {
	if c := s.conns.find(conn); c != nil {
		return c.peer
	}
	return ""
}

// Conn finds a connection; nil: it has ended.
func (s *Server) Conn(id uint64) *Conn { return s.conns.find(id) }

// From is the [Site] of a connection's other end. local: it came over a unix socket, or is in this process.
func (s *Server) From(conn uint64) (site netip.Addr, local bool) {
	c := s.conns.find(conn)
	if c == nil {
		return site, false
	}
	addr := c.nc.RemoteAddr()
	network := addr.Network()
	return Site(addr), network == "unix" || network == pipeNetwork
}

// Su makes a session go on as another user: requests behind the present one run
// as that. What is under way keeps the user it began with.
func (s *Server) Su(conn uint64, user User) error {
	c := s.conns.find(conn)
	if c == nil {
		return xrow.Errorf(xrow.ErrNoConnection)
	}
	if c.acts.Load() { // others have requests in this session
		return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", "another user in the session of a router: log in as that user")
	}
	c.user.Store(uint64(user))
	return nil
}

// ActAs is Su for good: there is no other one behind it. And the session ends when that
// user may have none any more.
func (s *Server) ActAs(conn uint64, user User) error {
	if err := s.Su(conn, user); err != nil {
		return err
	}
	if c := s.conns.find(conn); c != nil {
		c.acts.Store(true)
		c.loggedIn.Store(uint64(user))
		c.stay() // as behind a login
	}
	return nil
}

// Endpoint is where a server listens.
type Endpoint struct {
	Addr string      // host:port, or a path of a Unix socket: with a slash in it, or behind "unix/:"
	TLS  *tls.Config // nil: without
}

// tlsListener has connections with TLS.
type tlsListener struct {
	net.Listener
	conf *tls.Config
}

// Listen is ListenAll without TLS.
func (s *Server) Listen(addrs ...string) error { return s.ListenAll(Endpoints(addrs, nil)...) }

// Endpoints are addresses with one configuration of TLS.
func Endpoints(addrs []string, conf *tls.Config) []Endpoint {
	ends := make([]Endpoint, len(addrs))
	for i, addr := range addrs {
		ends[i] = Endpoint{addr, conf}
	}
	return ends
}

// ListenAll opens all addresses or none and starts to accept.
func (s *Server) ListenAll(ends ...Endpoint) error {
	var opened []net.Listener
	for _, end := range ends {
		ln, err := ListenAt(end.Addr, s.cfg.SocketMode)
		if err != nil {
			for _, ln := range opened {
				ln.Close()
			}
			return err
		}
		if end.TLS != nil {
			ln = tlsListener{ln, end.TLS}
		}
		opened = append(opened, ln)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) == 0 && len(opened) > 0 {
		s.wg.Go(s.runSweep)
	}
	s.listeners = append(s.listeners, opened...)
	for _, ln := range opened {
		s.wg.Go(func() { s.accept(ln) })
	}
	return nil
}

// SplitAddr turns an address into what package net wants.
func SplitAddr(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix/:"); ok {
		return "unix", path
	}
	if strings.Contains(addr, "/") {
		return "unix", addr
	}
	return "tcp", addr
}

// ListenAt opens one address. The file of a unix socket has the mode, whatever the
// umask says: who may write it may connect. One that nobody serves is taken over.
func ListenAt(addr string, mode fs.FileMode) (net.Listener, error) {
	ln, err := listen(addr)
	if network, path := SplitAddr(addr); err == nil && network == "unix" {
		if err := os.Chmod(path, mode); err != nil {
			ln.Close()
			return nil, err
		}
	}
	return ln, err
}

// private sets the mode of a socket before its file is there, so there is no
// moment in which others can open it; Linux takes it from the socket. Elsewhere
// that fails.
var private = net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
	if network != "unix" {
		return nil
	}
	return raw.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), uint32(perm.Socket)) })
}}

func listen(addr string) (net.Listener, error) {
	network, address := SplitAddr(addr)
	ln, err := private.Listen(context.Background(), network, address)
	if network != "unix" || !errors.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	if nc, dialErr := net.Dial(network, address); dialErr == nil {
		nc.Close()
		return nil, err
	} else if !errors.Is(dialErr, syscall.ECONNREFUSED) {
		return nil, err
	}
	if err := os.Remove(address); err != nil {
		return nil, err
	}
	return private.Listen(context.Background(), network, address)
}

// Addrs are the addresses listened on.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var addrs []net.Addr
	for _, ln := range s.listeners {
		if _, local := ln.(controlListener); !local {
			addrs = append(addrs, ln.Addr())
		}
	}
	return addrs
}

// Connections is how many there are now.
func (s *Server) Connections() int {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	return s.conns.open
}

// Pauses after a failed accept: it fails when file descriptors run out, and
// trying again at once would only burn the CPU.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// accept serves one listener until it is closed.
func (s *Server) accept(ln net.Listener) {
	enter, leave := s.doors.enter, s.doors.leave
	if _, control := ln.(controlListener); control { // the gate has seats for it that nobody else takes
		enter, leave = func() bool { return true }, func() {}
	}
	pause := acceptPauseMin
	for enter() {
		nc, err := ln.Accept()
		if err == nil {
			pause = acceptPauseMin
			s.wg.Go(func() {
				defer leave()
				s.serveOf(ln, nc)
			})
			continue
		}
		leave()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if f := s.cfg.Trace.Accept; f != nil {
			f(ln.Addr(), err)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, acceptPauseMax)
		case <-s.stop:
			return
		}
	}
}

// Serve serves one connection and returns when it has ended.
func (s *Server) Serve(nc net.Conn) { s.serveConn(newConn(s, nc)) }

func (s *Server) serveConn(c *Conn) {
	s.mu.Lock()
	ok := !s.closed && s.gate.enter(c, s.conns.all)
	if ok && !s.conns.add(c) {
		s.gate.leave(c)
		ok = false
	}
	turned := !ok && !s.closed
	s.meter.add(countConns, 1)
	if turned {
		s.meter.add(countTurned, 1)
	}
	if ok {
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if f := s.cfg.Trace.Turned; turned && f != nil {
		f(c.nc.RemoteAddr())
	}
	if !ok {
		c.nc.Close()
		return
	}
	defer s.wg.Done()
	if f := s.cfg.Trace.Opened; f != nil {
		f(c)
	}
	c.close(c.serve())
	s.cfg.Hub.drop(c)
	c.endStreams()
	if c.carrier != nil {
		c.carrier.Gone()
	}
	s.conns.remove(c)
	s.gate.leave(c)
	if f := s.cfg.Trace.Closed; f != nil {
		f(c, c.closeCause())
	}
	select {
	case s.left <- struct{}{}:
	default:
	}
}

// StopListening closes all listeners; connections go on.
func (s *Server) StopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stop:
		return
	default:
	}
	close(s.stop)
	s.doors.close()
	for _, ln := range s.listeners {
		ln.Close()
	}
}

// Shutdown is Drain, and then Close.
func (s *Server) Shutdown(ctx context.Context) {
	s.Drain(ctx)
	s.Close()
}

// Drain tells the clients that watch box.shutdown, stops listening, and waits
// until they have left or ctx is done. Requests are served all the while.
func (s *Server) Drain(ctx context.Context) {
	s.StopListening()
	s.cfg.Hub.Set(EventShutdown, []byte{0xc3})
	for s.waitedFor() {
		select {
		case <-s.left:
			continue
		case <-ctx.Done():
		}
		break
	}
}

// waitedFor tells whether some client still has to leave by itself.
func (s *Server) waitedFor() bool {
	for _, c := range s.conns.all() {
		if s.cfg.Hub.watches(c, EventShutdown) {
			return true
		}
	}
	return false
}

// Cut ends all connections but streams of replication, and waits until they have ended.
// What has been answered is written first, where the client reads it within grace. The
// port stays open. A stream that comes back ends then. The backend must still take what it is given
// meanwhile.
func (s *Server) Cut(grace time.Duration) {
	var cut []*Conn
	for _, c := range s.conns.all() {
		if !c.outliveCut() {
			c.part(grace)
			cut = append(cut, c)
		}
	}
	for slices.ContainsFunc(cut, func(c *Conn) bool { return s.conns.find(c.id) == c }) {
		<-s.left
	}
}

// Close ends all connections and waits for their goroutines. The backend must
// still take what it is given meanwhile.
func (s *Server) Close() {
	s.StopListening()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.conns.all() {
		c.close(ErrServerClosed)
	}
	s.senders.close()
	s.wg.Wait()
}
