package iproto

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Secure gives the configuration with which a host is dialed: each time anew, as
// certificates change. A nil Secure dials without TLS.
type Secure func(host string) *tls.Config

// secured is a connection with TLS, whose close never waits.
//
// That of crypto/tls does: it says goodbye to the other side, behind whatever is
// written, and whoever does not read holds it up for seconds. Connections are closed
// under their locks, so here the goodbye is said only where the socket takes it at once.
type secured struct {
	*tls.Conn
	below *below
}

// below is the connection that TLS goes over.
type below struct {
	net.Conn
	closing atomic.Bool
}

func secureServer(nc net.Conn, conf *tls.Config) *secured {
	b := &below{Conn: nc}
	return &secured{tls.Server(b, conf), b}
}

func secureClient(nc net.Conn, conf *tls.Config) *secured {
	b := &below{Conn: nc}
	return &secured{tls.Client(b, conf), b}
}

// Close ends the connection: reads and writes that wait return an error.
func (s *secured) Close() error {
	s.below.closing.Store(true)
	_ = s.below.Conn.SetWriteDeadline(time.Unix(1, 0)) // a write that waits holds the lock of whoever says goodbye
	return s.Conn.Close()
}

// SetWriteDeadline leaves out the time that crypto/tls gives its goodbye.
func (b *below) SetWriteDeadline(t time.Time) error {
	if b.closing.Load() {
		return nil
	}
	return b.Conn.SetWriteDeadline(t)
}

// Write writes, and once the connection is being closed what the socket takes.
func (b *below) Write(p []byte) (n int, err error) {
	if !b.closing.Load() {
		return b.Conn.Write(p)
	}
	sc, ok := b.Conn.(syscall.Conn)
	if !ok {
		return 0, net.ErrClosed
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	if controlErr := raw.Control(func(fd uintptr) { n, err = syscall.Write(int(fd), p) }); controlErr != nil {
		return 0, controlErr
	}
	return max(n, 0), err
}

// Handshakes is what there was of handshakes that failed in some time. Connections that
// sent nothing and left are not among them: checks of load balancers do that.
type Handshakes struct {
	Failed uint64
	From   string // the last one
	Err    error
}

// failures counts handshakes that have failed, for the log.
type failures struct {
	mu   sync.Mutex
	news Handshakes // since they were last told
}

func (f *failures) note(from string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.news.Failed++
	f.news.From, f.news.Err = from, err
}

func (f *failures) takeNews() (n Handshakes, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, f.news = f.news, Handshakes{}
	return n, n.Failed > 0
}

// secure makes the connection one with TLS. It is called before serve.
func (c *Conn) secure(conf *tls.Config) {
	c.tls = secureServer(c.nc, conf)
	c.nc = c.tls
	c.eager = eager{}
}

// handshakeSeconds is how long a handshake may take.
const handshakeSeconds = 10

// handshake brings TLS up, before anything is said. The reader does it, so nobody else
// waits, and the clock of patience bounds it.
func (c *Conn) handshake() error {
	if c.tls == nil {
		return nil
	}
	c.shaking.Store(true)
	defer c.shaking.Store(false)
	c.waits(c.srv.second.Load(), false)
	err := c.tls.HandshakeContext(context.Background())
	if err == nil {
		c.srv.meter.add(countHandshakes, 1)
		return nil
	}
	if cause := c.closeCause(); cause != nil {
		err = cause
	} else {
		err = fmt.Errorf("%w: %w", ErrHandshake, clientFault(err))
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, ErrServerClosed) && !errors.Is(err, ErrCrowded) {
		c.srv.meter.add(countBadHandshakes, 1)
		c.srv.failures.note(c.peer, err)
	}
	return err
}

// clientFault says what was wrong with a client, in our words where those of crypto/tls do
// not say it.
func clientFault(err error) error {
	var record tls.RecordHeaderError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &record):
		return errors.New("the client speaks no TLS, and this port is one with TLS")
	case errors.As(err, &cert) && len(cert.UnverifiedCertificates) > 0:
		return fmt.Errorf("the certificate of %q: %w", cert.UnverifiedCertificates[0].Subject.String(), cert.Err)
	}
	return err
}

// shake brings TLS up on a connection to a server.
func shake(ctx context.Context, nc net.Conn, conf *tls.Config) (*secured, error) {
	s := secureClient(nc, conf)
	err := s.HandshakeContext(ctx)
	if err == nil {
		return s, nil
	}
	_ = s.Close()
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return nil, errors.New("the server speaks no TLS at this port, and TLS is asked for")
	}
	return nil, fmt.Errorf("TLS: %w", err)
}

// hostOf is whom the certificate at an address must speak for.
func hostOf(network, address string) string {
	if network == "unix" {
		return "localhost"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "localhost"
	}
	return host
}

// gatherMost is up to which size pieces are written as one: each write of TLS is a
// record and a system call of its own.
const gatherMost = 256 << 10

// writeGathered writes pieces one behind the other.
func (s *secured) writeGathered(v *net.Buffers, scratch []byte) (_ []byte, n int64, err error) {
	for len(*v) > 0 && err == nil {
		scratch = scratch[:0]
		for len(*v) > 0 && (len(scratch) == 0 || len(scratch)+len((*v)[0]) <= gatherMost) {
			scratch = append(scratch, (*v)[0]...)
			*v = (*v)[1:]
		}
		var wrote int
		wrote, err = s.Write(scratch)
		n += int64(wrote)
	}
	if cap(scratch) > gatherMost {
		scratch = nil
	}
	return scratch, n, err
}

// inside tells whether the other end is in this process.
func (c *Conn) inside() bool {
	_, inside := c.nc.(*pipe)
	return inside
}

// provesMember says why the other end may not come as a member; nil: it may.
func (c *Conn) provesMember() *xrow.Error {
	member := c.srv.cfg.Member
	if member == nil || c.control || c.inside() {
		return nil
	}
	err := errNoCertificate
	if c.tls != nil {
		if certs := c.tls.ConnectionState().PeerCertificates; len(certs) > 0 {
			err = member(certs[0])
		}
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: %w", errNoMember, err)
	c.srv.failures.note(c.peer, err)
	return xrow.Errorf(xrow.ErrSSL, err.Error())
}

var (
	errNoMember      = errors.New("not let in as a member of the replica set")
	errNoCertificate = errors.New("the connection has no certificate")
)
