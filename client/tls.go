package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tarantool/go-tarantool/v2"
)

// LoginTLS is Login over TLS. conf is asked of for each connection, so certificates may
// change; a ServerName that is not set is the host of the address. The way to log in is the
// one that the instance announces.
func LoginTLS(user, password string, conf func() *tls.Config) Option {
	return Dial(func(addr string) tarantool.Dialer {
		return TLSDialer{Address: addr, User: user, Password: password, Config: func(host string) *tls.Config {
			c := conf()
			if c.ServerName == "" {
				c = c.Clone()
				c.ServerName = host
			}
			return c
		}}
	})
}

// TLSDialer dials one instance with TLS, for Connect of go-tarantool as for Dial of this
// package. TLS is there before the greeting, as with Tarantool Enterprise Edition.
type TLSDialer struct {
	Address        string // host:port, or a path of a unix socket, which begins with / or unix:
	User, Password string
	Auth           tarantool.Auth // the way to log in; AutoAuth: the one that the instance announces
	Config         func(host string) *tls.Config
}

// Dial connects, and logs in if there is a user.
func (d TLSDialer) Dial(ctx context.Context, opts tarantool.DialOpts) (tarantool.Conn, error) {
	return tarantool.AuthDialer{
		Dialer: tarantool.ProtocolDialer{Dialer: tarantool.GreetingDialer{Dialer: bareTLS(d)}},
		Auth:   d.Auth, Username: d.User, Password: d.Password,
	}.Dial(ctx, opts)
}

// bareTLS brings TLS up, and says nothing yet.
type bareTLS TLSDialer

func (d bareTLS) Dial(ctx context.Context, opts tarantool.DialOpts) (tarantool.Conn, error) {
	network, address, host := "tcp", d.Address, "localhost"
	if path, ok := strings.CutPrefix(d.Address, "unix:"); ok || strings.HasPrefix(d.Address, "/") {
		network, address = "unix", path
	} else if h, _, err := net.SplitHostPort(address); err == nil && h != "" {
		host = h
	}
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s := tls.Client(nc, d.Config(host))
	if err := s.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("TLS with %s: %w", d.Address, err)
	}
	timed := timedConn{s, opts.IoTimeout}
	return &tlsConn{Conn: s, r: bufio.NewReaderSize(timed, tlsBuffer), w: bufio.NewWriterSize(timed, tlsBuffer)}, nil
}

// tlsBuffer is as that of go-tarantool.
const tlsBuffer = 128 << 10

// timedConn bounds each read and write.
type timedConn struct {
	net.Conn
	limit time.Duration // 0: none
}

func (c timedConn) Read(b []byte) (int, error) {
	if c.limit > 0 {
		if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

func (c timedConn) Write(b []byte) (int, error) {
	if c.limit > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// tlsConn is the connection as go-tarantool wants it.
type tlsConn struct {
	*tls.Conn
	r *bufio.Reader
	w *bufio.Writer
}

func (c *tlsConn) Read(b []byte) (int, error)           { return c.r.Read(b) }
func (c *tlsConn) Write(b []byte) (int, error)          { return c.w.Write(b) }
func (c *tlsConn) Flush() error                         { return c.w.Flush() }
func (c *tlsConn) Greeting() tarantool.Greeting         { return tarantool.Greeting{} }
func (c *tlsConn) ProtocolInfo() tarantool.ProtocolInfo { return tarantool.ProtocolInfo{} }
func (c *tlsConn) Addr() net.Addr                       { return c.RemoteAddr() }
