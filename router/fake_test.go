package router

import (
	"encoding/base64"
	"net"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

const (
	testUser     = "alice"
	testPassword = "secret"
	testSpace    = 512
)

// fake is an instance that does what a test tells it to.
type fake struct {
	*testing.T
	addr string

	mu    sync.Mutex
	ln    net.Listener
	lead  election
	conns map[*fakeConn]bool
	// serve answers what clients ask; nil: an empty answer.
	serve func(c *fakeConn, row *xrow.Row)
	asked []string          // what clients have asked, by type
	keys  map[string]string // values of other events
	acks  chan string       // events that were acknowledged; nil: nobody wants to know
	feats []byte            // of those that it announces, as ID answers them
	lsn   uint64
}

type election struct {
	Term   uint64 `msgpack:"term"`
	Role   string `msgpack:"role"`
	RO     bool   `msgpack:"is_ro"`
	Leader uint32 `msgpack:"leader"`
}

// fakeConn is a connection to a fake.
type fakeConn struct {
	f     *fake
	nc    net.Conn
	wmu   sync.Mutex
	user  string // whom it acts as; empty: it is the router's own
	told  map[string]bool
	num   *xrow.Number  // of the request that is served; nil: it has none
	stuck bool          // it reads nothing any more
	cut   chan struct{} // closed when the test ends the connection
}

func newFake(t *testing.T, e election) *fake {
	t.Helper()
	f := &fake{T: t, lead: e, conns: map[*fakeConn]bool{}, feats: []byte{0x90}}
	f.listen("127.0.0.1:0")
	f.addr = f.ln.Addr().String()
	t.Cleanup(f.stop)
	return f
}

func (f *fake) listen(addr string) {
	f.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		f.Fatal(err)
	}
	f.mu.Lock()
	f.ln = ln
	f.mu.Unlock()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			c := &fakeConn{f: f, nc: nc, told: map[string]bool{}, cut: make(chan struct{})}
			f.mu.Lock()
			f.conns[c] = true
			f.mu.Unlock()
			go c.run()
		}
	}()
}

// stop ends the instance as a kill does.
func (f *fake) stop() {
	f.mu.Lock()
	ln := f.ln
	f.mu.Unlock()
	_ = ln.Close()
	f.cut(func(*fakeConn) bool { return true })
}

func (f *fake) cut(which func(*fakeConn) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		if which(c) {
			_ = c.nc.Close()
			close(c.cut)
			delete(f.conns, c)
		}
	}
}

// says has the instance tell of another state. Who watches is told the newest last.
func (f *fake) says(e election) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lead = e
	for c := range f.conns {
		if c.user == "" {
			c.write(iproto.AppendEvent(nil, 0, iproto.EventElection, mp.Encode(e)))
		}
	}
}

// tells has it tell another value of an event.
func (f *fake) tells(key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = map[string]string{}
	}
	f.keys[key] = value
	for c := range f.conns {
		if c.user == "" {
			c.write(iproto.AppendEvent(nil, 0, key, mp.Encode(value)))
		}
	}
}

// announces has it name these features from now on, and no others.
func (f *fake) announces(feats ...iproto.Feature) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.feats = []byte{0x90 | byte(len(feats))}
	for _, feat := range feats {
		f.feats = append(f.feats, byte(feat))
	}
}

func (f *fake) does(serve func(c *fakeConn, row *xrow.Row)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serve = serve
}

func (f *fake) log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

func (c *fakeConn) write(b []byte) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, _ = c.nc.Write(b) // else the connection has ended
}

func (c *fakeConn) run() {
	var salt [32]byte
	c.write(iproto.AppendGreeting(nil, "3.8.0", "11111111-1111-1111-1111-111111111111", &salt))
	l := iproto.NewLink(c.nc, xrow.MaxFrame)
	for {
		frame, err := l.ReadFrame()
		if err != nil {
			return
		}
		row, err := xrow.Decode(frame)
		if err != nil {
			c.f.Error(err)
			return
		}
		c.num = numberOf(frame)
		c.handle(&row)
		if c.stuck {
			<-c.cut
			return
		}
	}
}

// numberOf is the number that a request has in its header.
func numberOf(frame []byte) *xrow.Number {
	n := &xrow.Number{}
	pairs, at, _ := mp.ReadMapHeader(frame)
	for range pairs {
		key, size, _ := mp.ReadUint(frame[at:])
		at += size
		if xrow.IsNumberKey(key) {
			size, _ = n.Read(xrow.Key(key), frame[at:])
		} else {
			size = len(mp.First(frame[at:]))
		}
		at += size
	}
	if n.Session == "" {
		return nil
	}
	return n
}

func (c *fakeConn) handle(row *xrow.Row) {
	f := c.f
	f.mu.Lock()
	e, serve, lsn, feats := f.lead, f.serve, f.lsn, f.feats
	f.mu.Unlock()
	switch row.Type {
	case xrow.ID:
		b := append(xrow.AppendReplyHead(nil, xrow.OK, row.Sync, 1), 0x82, byte(xrow.KeyVersion), 6, byte(xrow.KeyFeatures))
		b = append(b, feats...)
		xrow.EndFrame(b, 0)
		c.write(b)
		return
	case xrow.Auth:
		c.write(iproto.AppendEmpty(nil, row.Sync, 1))
		return
	case xrow.Watch:
		q := iproto.Carried{Body: row.Body}
		key := string(q.EventOf())
		if c.told[key] { // it acknowledges
			if f.acks != nil {
				f.acks <- key
			}
			return
		}
		c.told[key] = true
		f.mu.Lock() // until it is written: what is said behind it comes behind it
		defer f.mu.Unlock()
		switch key {
		case iproto.EventElection:
			c.write(iproto.AppendEvent(nil, row.Sync, key, mp.Encode(f.lead)))
		case eventLeader:
			c.write(iproto.AppendEvent(nil, row.Sync, key, []byte{0x80}))
		default:
			c.write(iproto.AppendEvent(nil, row.Sync, key, mp.Encode(f.keys[key])))
		}
		return
	case xrow.Vote:
		var v vclock.VClock
		v[1] = lsn
		b := xrow.Ballot{IsBooted: true, IsRO: e.RO, VClock: v}
		at := xrow.AppendReplyHead(nil, xrow.OK, row.Sync, 1)
		at = b.AppendBody(at)
		xrow.EndFrame(at, 0)
		c.write(at)
		return
	case xrow.Call:
		q := iproto.Carried{Body: row.Body}
		if string(q.FunctionOf()) == xrow.ActAsCall {
			f.mu.Lock()
			c.user = testUser
			f.mu.Unlock()
			c.write(iproto.AppendData(nil, row.Sync, 1, []byte{0x90}))
			return
		}
	case xrow.Select:
		q := iproto.Carried{Body: row.Body}
		if id, _ := q.SpaceOf(); id == xrow.SpaceUser {
			hash := iproto.HashPassword(testPassword)
			c.write(iproto.AppendData(nil, row.Sync, 1, mp.Tuple(mp.Raw(mp.Tuple(33, 1, testUser, "user", map[string]string{"chap-sha1": base64.StdEncoding.EncodeToString(hash[:])})))))
			return
		}
	}
	f.mu.Lock()
	f.asked = append(f.asked, row.Type.String())
	f.mu.Unlock()
	if serve != nil {
		serve(c, row)
		return
	}
	c.ok(row)
}

func (c *fakeConn) ok(row *xrow.Row) { c.write(iproto.AppendEmpty(nil, row.Sync, 1)) }

func (c *fakeConn) fail(row *xrow.Row, code xrow.Code) {
	c.write(xrow.AppendErrorReply(nil, xrow.Errorf(code), row.Sync, 1))
}

// leadsIn and follows are what instances say.
func leadsIn(term uint64, id uint32) election { return election{term, "leader", false, id} }
func follows(term uint64, leader uint32) election {
	return election{term, "follower", true, leader}
}

// startTest runs a router before fakes.
func startTest(t *testing.T, change func(*Config), fakes ...*fake) *Router {
	t.Helper()
	cfg := Config{Version: "3.8.0", UUID: "22222222-2222-2222-2222-222222222222", RW: []string{"127.0.0.1:0"}, RO: []string{"127.0.0.1:0"}, Log: zerolog.Nop()}
	for i, f := range fakes {
		cfg.Instances = append(cfg.Instances, Instance{Name: string(rune('a' + i)), Addr: f.addr, Login: "router", Password: "router"})
	}
	if change != nil {
		change(&cfg)
	}
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// client is a client of the router, logged in.
func client(t *testing.T, r *Router, port Port) *iproto.Client {
	t.Helper()
	c, err := iproto.Dial(t.Context(), r.Addrs(port)[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := c.Hello(clientFeatures); err != nil {
		t.Fatal(err)
	}
	if err := c.Login(testUser, testPassword); err != nil {
		t.Fatal(err)
	}
	return c
}

// insert and read are bodies of requests.
var (
	insert = []byte{0x82, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyTuple), 0x91, 1}
	read   = []byte{0x83, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyLimit), 1, byte(xrow.KeyKey), 0x90}
)
