package iproto

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// login sends AUTH, with the password that the fake users have, and returns the error of its answer.
func (p *peer) login(user string) *xrow.Error {
	p.t.Helper()
	password := user
	if user == guestName {
		password = ""
	}
	return p.knock(user, password)
}

// authBody is the body of AUTH.
func authBody(user, password string, g *Greeting) []byte {
	proof := Scramble(password, &g.Salt)
	b := []byte{0x82, byte(xrow.KeyUserName)}
	b = append(msgp.AppendString(b, user), byte(xrow.KeyTuple), 0x92)
	return msgp.AppendString(msgp.AppendString(b, MethodChapSHA1), string(proof[:]))
}

// gone waits for the end of the connection.
func (p *peer) gone() {
	p.t.Helper()
	if _, err := io.Copy(io.Discard, p.nc); err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Logf("it was reset: %v", err)
	}
}

// wantCause waits for the end of a connection, for a reason.
func (f *fixture) wantCause(want error) {
	f.Helper()
	if got := <-f.closed; !errors.Is(got, want) {
		f.Fatalf("closed because of %v, not %v", got, want)
	}
}

// Without a login as many as the limit says: one more takes the place of the one
// that has sent nothing for longest. Who is logged in stays, however idle.
func TestIdleConnectionsGo(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Limits = Limits{Connections: 6, BeforeLogin: 3} })
	var old []*peer
	logged := f.connect()
	if e := logged.login("test"); e != nil {
		t.Fatal(e)
	}
	for range 3 {
		old = append(old, f.connect())
	}
	for i := range 20 {
		f.srv.sweep()
		old[0].ping(uint64(i)) // a guest that asks
		f.connect()
		f.wantCause(ErrCrowded)
	}
	old[1].gone()
	old[2].gone()
	old[0].ping(100)
	logged.ping(101)
	if n := f.srv.Connections(); n > 4 {
		t.Errorf("%d connections", n)
	}
}

// When all places have logged in, one more may ask, and gets an error when it
// logs in, but for users that there is room for. With their room taken, too, it
// is turned away. Whoever leaves makes room.
func TestConnectionLimits(t *testing.T) {
	turned := make(chan net.Addr, 8)
	f := newFixture(t, func(c *Config) {
		c.Limits = Limits{Connections: 4, PerUser: 3, BeforeLogin: 2, Reserve: 2, Reserved: func(user string) bool { return user == "poor" }}
		c.Trace.Turned = func(from net.Addr) { turned <- from }
	})
	var users []*peer
	for range 3 {
		p := f.connect()
		if e := p.login("test"); e != nil {
			t.Fatal(e)
		}
		users = append(users, p)
	}
	more := f.connect()
	if e := more.login("test"); e == nil || e.Code != xrow.ErrProtocol || e.Message != "user 'test' has 3 connections, which is all that tarragon.max_connections_per_user allows" {
		t.Fatal(e)
	}
	if e := users[0].login("test"); e != nil {
		t.Error("again as the same user:", e)
	}
	if e := users[0].login("guest"); e != nil {
		t.Error("out again:", e)
	}
	if e := more.login("test"); e != nil {
		t.Error("in the place of one that is no more that user:", e)
	}
	users[0].nc.Close()
	f.wantCause(io.EOF)
	for range 2 { // they have room of their own
		p := f.connect()
		if e := p.login("poor"); e != nil {
			t.Fatal(e)
		}
	}
	last := f.connect()
	if e := last.login("poor"); e != nil { // a fourth one like any other
		t.Fatal(e)
	}
	for range 3 {
		client, server := loopback(t)
		f.srv.Serve(server)
		<-turned
		client.Close()
	}
	users[1].nc.Close()
	f.wantCause(io.EOF)
	again := f.connect()
	if e := again.login("poor"); e != nil {
		t.Fatal(e)
	}
	f.srv.gate.mu.Lock()
	got := f.srv.gate.counts
	f.srv.gate.mu.Unlock()
	if got != [...]int{seatUser: 4, seatReserved: 2, seatControl: 0} {
		t.Errorf("seats: %v", got)
	}
}

// With users in all places there is room to log in as a reserved one only.
func TestReservedPlaces(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Limits = Limits{Connections: 2, BeforeLogin: 2, Reserve: 1, Reserved: func(user string) bool { return user == "poor" }}
	})
	for range 2 {
		if e := f.connect().login("test"); e != nil {
			t.Fatal(e)
		}
	}
	p := f.connect()
	if e := p.login("test"); e == nil || e.Code != xrow.ErrProtocol || e.Message != "2 connections are logged in, which is all that tarragon.max_connections and the file descriptors allow" {
		t.Fatal(e)
	}
	p.ping(3)
	idle := f.connect() // takes its place
	f.wantCause(ErrCrowded)
	idle.ping(4)
	peer := f.connect()
	f.wantCause(ErrCrowded)
	if e := peer.login("poor"); e != nil {
		t.Fatal(e)
	}
	peer.ping(5)
}

// A connection that asks nothing, or never ends its first request, is closed by
// its time; one that is a guest and asks from time to time is not, nor one that
// is logged in and silent. The rest of a request must come.
func TestSilentClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.Limits = Limits{LoginSeconds: 3, FrameSeconds: 5} })
		pass := func(seconds int) {
			synctest.Wait() // all that was sent is read
			for range seconds {
				f.srv.sweep()
			}
			synctest.Wait()
		}
		ended := func(want error) {
			t.Helper()
			select {
			case got := <-f.closed:
				if !errors.Is(got, want) {
					t.Fatalf("closed because of %v, not %v", got, want)
				}
			default:
				t.Fatalf("not closed, with %v", want)
			}
		}
		goOn := func() {
			t.Helper()
			select {
			case got := <-f.closed:
				t.Fatalf("closed because of %v", got)
			default:
			}
		}
		frame := (&xrow.Row{Type: xrow.Ping, Sync: 9}).Append(nil)
		known, guest := f.pipe(), f.pipe()
		guest.ping(1)
		if e := known.login("test"); e != nil {
			t.Fatal(e)
		}
		silent := f.pipe()
		pass(2)
		silent.send(frame[:2]) // does not make it wait for longer
		pass(1)
		goOn()
		pass(1)
		ended(ErrNoRequest)
		pass(20)
		goOn()
		guest.ping(2)
		known.ping(3)

		known.send(frame[:3])
		pass(5)
		known.send(frame[3:4]) // it goes on
		pass(5)
		goOn()
		known.send(frame[4:])
		known.wantOK(9)
		pass(20)
		goOn()
		known.send(frame[:3])
		pass(5)
		goOn()
		pass(1)
		ended(ErrHalfFrame)

		guest.send(frame[:3])
		pass(2)
		guest.send(frame[3:4])
		pass(1)
		goOn()
		pass(1)
		ended(ErrNoRequest)
	})
}

// A guest that is a stream of replication is no idle client.
func TestStreamOfAGuestStays(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Limits = Limits{Connections: 4, BeforeLogin: 2, LoginSeconds: 2} })
	begun, end := make(chan struct{}), make(chan struct{})
	f.node.replicate = func(*Link, User, *xrow.Row) error {
		close(begun)
		<-end
		return nil
	}
	stream := f.connect()
	stream.request(xrow.Join, 1, []byte{0x80})
	<-begun
	for range 5 {
		f.srv.sweep()
	}
	for range 2 {
		f.connect().ping(1)
	}
	f.connect().ping(1)
	f.wantCause(ErrCrowded) // one of the two
	close(end)
	stream.ping(2)
}

// The control socket has room of its own.
func TestControlHasRoom(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Limits = Limits{Connections: 1, BeforeLogin: 1} })
	path := filepath.Join(t.TempDir(), "c")
	if err := f.srv.ListenControl(path, 1); err != nil {
		t.Fatal(err)
	}
	f.connect()
	for range maxControl {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		f.greet(nc).ping(1)
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if n, err := io.Copy(io.Discard, nc); n != 0 {
		t.Errorf("%d bytes for one too many: %v", n, err)
	}
}
