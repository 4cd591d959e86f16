package iproto

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/internal/testcert"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// secureFixture listens with TLS, wants certificates, and tells of handshakes.
func secureFixture(t *testing.T, change func(*Config)) (f *fixture, ca *testcert.CA, addr string, told chan Handshakes) {
	t.Helper()
	told = make(chan Handshakes, 16)
	f = newFixture(t, func(c *Config) {
		c.Trace.Handshakes = func(n Handshakes) { told <- n }
		if change != nil {
			change(c)
		}
	})
	ca = testcert.New(t, t.TempDir())
	ca.Issue("node")
	ca.Issue("app")
	conf := ca.Client("node")
	conf.ClientAuth, conf.ClientCAs = tls.RequireAndVerifyClientCert, conf.RootCAs
	if err := f.srv.ListenAll(Endpoint{Addr: "127.0.0.1:0", TLS: conf}); err != nil {
		t.Fatal(err)
	}
	return f, ca, f.srv.Addrs()[0].String(), told
}

// as is a Secure that shows the certificate of a name.
func as(ca *testcert.CA, name string) Secure {
	conf := ca.Client(name)
	return func(host string) *tls.Config {
		c := conf.Clone()
		c.ServerName = host
		return c
	}
}

// Over TLS all is as without: requests, answers of more than a record, and the goodbye.
func TestSecureConnection(t *testing.T) {
	f, ca, addr, _ := secureFixture(t, nil)
	c, err := DialSecure(t.Context(), addr, as(ca, "app"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Login("test", "test"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Do(xrow.Ping, nil); err != nil {
			t.Fatal(err)
		}
	}
	st := f.srv.Stats()
	if st.Handshakes.Total != 1 || st.BadHandshakes.Total != 0 {
		t.Errorf("%d handshakes, %d bad", st.Handshakes.Total, st.BadHandshakes.Total)
	}
	all := f.srv.conns.all()
	all[0].close(ErrServerClosed)
	if _, err := c.ReadRow(); err != io.EOF {
		t.Errorf("the end without a goodbye: %v", err)
	}
}

// Who does not come as he should is told of in one line a second, and gets no greeting.
func TestSecurePortRefuses(t *testing.T) {
	f, ca, addr, told := secureFixture(t, nil)
	strange := testcert.New(t, t.TempDir())
	strange.Issue("app")
	ca.Issue("old", testcert.Expired)
	plain := func() error {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer nc.Close()
		if _, err := nc.Write((&xrow.Row{Type: xrow.Ping, Sync: 1}).Append(nil)); err != nil {
			return err
		}
		got, err := io.ReadAll(nc)
		if strings.Contains(string(got), "Tarantool") {
			t.Error("a greeting without TLS")
		}
		return errors.Join(err, io.EOF)
	}
	dial := func(secure Secure) func() error {
		return func() error {
			c, err := DialSecure(t.Context(), addr, secure)
			if err == nil {
				_ = c.Close()
			}
			return err
		}
	}
	another := as(strange, "app")
	for what, c := range map[string]struct {
		come func() error
		want string
	}{
		"without TLS":    {plain, "the client speaks no TLS, and this port is one with TLS"},
		"no certificate": {dial(as(ca, "")), "didn't provide a certificate"},
		"another CA": {dial(func(host string) *tls.Config {
			c := another(host)
			c.RootCAs = ca.Client("").RootCAs
			return c
		}), `the certificate of "CN=app": x509: certificate signed by unknown authority`},
		"expired":                        {dial(as(ca, "old")), `the certificate of "CN=old": x509: certificate has expired`},
		"a client that wants another CA": {dial(another), "remote error: tls: bad certificate"},
	} {
		if err := c.come(); err == nil {
			t.Errorf("%s: let in", what)
		}
		for f.srv.Connections() > 0 {
			<-f.srv.left
		}
		f.srv.sweep()
		n := <-told
		if n.Failed != 1 || n.Err == nil || !strings.Contains(n.Err.Error(), c.want) || !errors.Is(n.Err, ErrHandshake) {
			t.Errorf("%s: told %d, %v, want %s", what, n.Failed, n.Err, c.want)
		}
	}
	if st := f.srv.Stats(); st.BadHandshakes.Total != 5 || st.Handshakes.Total != 0 {
		t.Errorf("%d bad handshakes and %d good ones", st.BadHandshakes.Total, st.Handshakes.Total)
	}
}

// A client that says nothing holds nobody up: it has the time of a handshake, others come in meanwhile, and
// it has the place of one that has not logged in.
func TestSilentHandshake(t *testing.T) {
	f, ca, addr, told := secureFixture(t, func(c *Config) { c.Limits.BeforeLogin = 2 })
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c, err := DialSecure(t.Context(), addr, as(ca, "app"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Login("test", "test"); err != nil {
		t.Fatal(err)
	}
	for f.srv.Connections() > 1 {
		f.srv.sweep()
		runtime.Gosched()
	}
	if got, err := io.ReadAll(silent); err != nil || len(got) > 0 {
		t.Errorf("the end of a silent one: %q, %v", got, err)
	}
	f.srv.sweep()
	if n := <-told; !errors.Is(n.Err, ErrHandshakeSilent) {
		t.Errorf("told %v", n.Err)
	}
	for i := range 3 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if i == 2 {
			<-f.srv.left // the one that has waited for longest has gone for it
		}
	}
	if _, err := c.Do(xrow.Ping, nil); err != nil {
		t.Error("who is logged in has gone:", err)
	}
}

// TLS where there is none, and none where there is TLS: the one who dials is told.
func TestWrongKindOfPort(t *testing.T) {
	f, ca, addr, _ := secureFixture(t, nil)
	if err := f.srv.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	plain := f.srv.Addrs()[1].String()
	if _, err := DialSecure(t.Context(), plain, as(ca, "app")); err == nil || !strings.Contains(err.Error(), "the server speaks no TLS at this port") {
		t.Errorf("TLS at a port without: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, addr); err == nil || !strings.Contains(err.Error(), "no greeting: does the port want TLS?") {
		t.Errorf("no TLS at a port with: %v", err)
	}
}

// Where members have names, the users that they log in as and requests of replication are for those who show
// one; clients come as before.
func TestMembersHaveNames(t *testing.T) {
	f, ca, addr, _ := secureFixture(t, func(c *Config) {
		c.Limits.Reserve = 2
		c.Limits.Reserved = func(user string) bool { return user == "test" }
		c.Member = func(cert *x509.Certificate) error {
			if cert.Subject.CommonName == "node" {
				return nil
			}
			return errors.New("no member")
		}
	})
	if err := f.srv.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		addr   string
		secure Secure
		want   string // empty: let in
	}{
		"a member":    {addr, as(ca, "node"), ""},
		"a client":    {addr, as(ca, "app"), "not let in as a member of the replica set: no member"},
		"without TLS": {f.srv.Addrs()[1].String(), nil, "not let in as a member of the replica set: the connection has no certificate"},
	} {
		conn, err := DialSecure(t.Context(), c.addr, c.secure)
		if err != nil {
			t.Fatal(what, err)
		}
		for _, err := range []error{conn.Login("test", "test"), second(conn.Do(xrow.FetchSnap, nil))} {
			switch {
			case c.want != "" && (!errors.Is(err, xrow.ErrSSL) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: %v, want %s", what, err, c.want)
			case c.want == "" && errors.Is(err, xrow.ErrSSL):
				t.Errorf("%s: %v", what, err)
			}
		}
		_ = conn.Close()
	}
}

// Who is in the process needs no certificate.
func TestMemberInside(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Limits.Reserved = func(user string) bool { return user == "test" }
		c.Member = func(*x509.Certificate) error { return errors.New("no member") }
	})
	c, err := f.srv.DialInside(t.Context(), "10.0.0.1:3301")
	if err == nil {
		err = c.Login("test", "test")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func second(_ xrow.Row, err error) error { return err }

// papLogin is an AUTH by pap-sha256.
func papLogin(c *Client, user, password string) error {
	body := msgp.AppendString([]byte{0x82, byte(xrow.KeyUserName)}, user)
	body = append(body, byte(xrow.KeyTuple), 0x92)
	body = msgp.AppendString(msgp.AppendString(body, MethodPapSHA256), password)
	_, err := c.Do(xrow.Auth, body)
	return err
}

// A password as it is logs in over TLS and is announced there; without TLS it is refused, right or wrong.
func TestPap(t *testing.T) {
	f, ca, addr, _ := secureFixture(t, func(c *Config) { c.AuthMethod = MethodPapSHA256 })
	if err := f.srv.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	hello := func(c *Client) string {
		row, err := c.Do(xrow.ID, appendVersionFeatures([]byte{0x82}, 0))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := findKey(row.Body, xrow.KeyAuthType)
		if err != nil {
			t.Fatal(err)
		}
		return string(mp.TextOf(raw))
	}
	over, err := DialSecure(t.Context(), addr, as(ca, "app"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hello(over); got != MethodPapSHA256 {
		t.Errorf("over TLS %s is announced", got)
	}
	if err := papLogin(over, "test", "wrong"); !errors.Is(err, xrow.ErrCredsMismatch) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := papLogin(over, "test", "test"); err != nil {
		t.Errorf("a right password: %v", err)
	}
	if err := over.Login("test", "test"); err != nil {
		t.Errorf("chap-sha1 over TLS: %v", err)
	}
	plain, err := Dial(t.Context(), f.srv.Addrs()[1].String())
	if err != nil {
		t.Fatal(err)
	}
	if got := hello(plain); got != MethodChapSHA1 {
		t.Errorf("without TLS %s is announced", got)
	}
	for _, password := range []string{"test", "wrong"} {
		err := papLogin(plain, "test", password)
		if want := "Authentication method 'pap-sha256' does not support unencrypted connection"; !errors.Is(err, xrow.ErrUnsupported) || err.Error() != want {
			t.Errorf("without TLS: %v", err)
		}
	}
}

// Who guesses over TLS a thousand times is slowed down and refused as anybody, and is not let in by any of it; another
// one's right password is taken all the while.
func TestThousandGuesses(t *testing.T) {
	f, ca, addr, _ := secureFixture(t, func(c *Config) { c.Limits.LoginPause = time.Nanosecond })
	c, err := DialSecure(t.Context(), addr, as(ca, "app"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := papLogin(c, "test", "guess"); err == nil {
			t.Fatal("let in by guess", i)
		}
	}
	st := f.srv.Stats()
	if st.Failed.Total+st.Refused.Total != 1000 || st.Refused.Total < 500 || st.LoggedIn != 0 {
		t.Errorf("failed %d, refused %d, logged in %d", st.Failed.Total, st.Refused.Total, st.LoggedIn)
	}
	inside, err := f.srv.DialInside(t.Context(), "10.0.0.1:3301")
	if err == nil {
		err = inside.Login("test", "test")
	}
	if err != nil {
		t.Error("from elsewhere:", err)
	}
}

// stuck is a connection whose writes wait, once it is full.
type stuck struct {
	net.Conn
	full atomic.Bool
}

func (s *stuck) Write(b []byte) (int, error) {
	if s.full.Load() {
		select {}
	}
	return s.Conn.Write(b)
}

// A goodbye never waits: the other side has not read for long, and there is no room for it.
func TestSecureCloseDoesNotWait(t *testing.T) {
	a, b := loopback(t)
	ca := testcert.New(t, t.TempDir())
	ca.Issue("node")
	below := &stuck{Conn: b}
	server := secureServer(below, ca.Client("node"))
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(t.Context()) }()
	client := secureClient(a, as(ca, "")("localhost"))
	if err := errors.Join(client.HandshakeContext(t.Context()), <-done); err != nil {
		t.Fatal(err)
	}
	below.full.Store(true)
	_ = server.Close()
	if n, err := client.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes behind the end", n)
	}
}

// A write that waits for room ends with its connection.
func TestSecureCloseEndsWrites(t *testing.T) {
	a, b := loopback(t)
	ca := testcert.New(t, t.TempDir())
	ca.Issue("node")
	server := secureServer(b, ca.Client("node"))
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(t.Context()) }()
	client := secureClient(a, as(ca, "")("localhost"))
	if err := errors.Join(client.HandshakeContext(t.Context()), <-done); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := client.Write(make([]byte, 64<<20)) // nobody reads it
		done <- err
	}()
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	if err := <-done; err == nil {
		t.Error("it has written all, to nobody")
	}
	_ = server.Close()
}

// counted is a connection that counts what is read.
type counted struct {
	net.Conn
	n atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// Where there is room the goodbye is said: else some take the end of the connection for one that was cut.
func TestSecureGoodbye(t *testing.T) {
	a, b := loopback(t)
	ca := testcert.New(t, t.TempDir())
	ca.Issue("node")
	server := secureServer(b, ca.Client("node"))
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(t.Context()) }()
	heard := &counted{Conn: a}
	client := secureClient(heard, as(ca, "")("localhost"))
	if err := errors.Join(client.HandshakeContext(t.Context()), <-done); err != nil {
		t.Fatal(err)
	}
	before := heard.n.Load()
	_ = server.Close()
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
	if heard.n.Load() == before {
		t.Error("the end came without a goodbye")
	}
}
