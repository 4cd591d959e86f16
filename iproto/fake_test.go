package iproto

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

const testUUID = "59bc1529-f386-482a-ab42-aada87b1fddc"

// fakeNode is a Backend with one space, 512 "test", in a map.
type fakeNode struct {
	schema  atomic.Uint64
	notYet  atomic.Pointer[xrow.Error] // Ready
	answers *Answers
	ballot  []byte

	guestWrites atomic.Bool
	numbers     atomic.Bool

	mu     sync.Mutex
	gone   map[User]bool // whose sessions must end
	hold   bool          // writes are kept, not answered
	held   []*Batch      // writes kept
	tuples [][]byte      // what SELECT finds
	last   Select        // the newest SELECT, cloned
	before int           // writes that had come before it
	writes []Write       // every write ever, cloned
	calls  []*Call       // every call
	linear []*Select     // reads that wait for finish
	conns  []*Conn       // their connections

	streamed []streamed // every request of a stream; held, they wait for answerStream
	ended    []uint64   // connections whose streams are gone

	arrived   chan struct{} // a batch, a linear read or a takeover has come
	replicate func(l *Link, user User, row *xrow.Row) error
	onCall    func(c *Conn, q *Call)
}

type fakeUser struct {
	id   User
	hash []byte
}

func hashOf(password string) []byte {
	h := HashPassword(password)
	return h[:]
}

var fakeUsers = map[string]fakeUser{
	"guest": {0, hashOf("")},
	"admin": {1, nil},
	"test":  {32, hashOf("test")},
	"poor":  {33, hashOf("poor")},
	"out":   {34, hashOf("out")}, // may not have a session
}

func (n *fakeNode) Ready() *xrow.Error        { return n.notYet.Load() }
func (n *fakeNode) SchemaVersion() uint64     { return n.schema.Load() }
func (n *fakeNode) VClock() (v vclock.VClock) { v[1] = 67; return v }
func (n *fakeNode) AppendBallot(d, _ []byte) ([]byte, *xrow.Error) {
	return append(append(d, 0x81, byte(xrow.KeyBallot)), n.ballot...), nil
}

func (n *fakeNode) UpdateSetting(_ User, d *xrow.DML, settings map[string][]byte) ([]byte, error) {
	settings["x"] = slices.Clone(d.Tuple)
	return []byte{0x91, 0x91, byte(len(settings))}, nil
}

func (n *fakeNode) User(name []byte) (User, []byte, bool) {
	u, ok := fakeUsers[string(name)]
	return u.id, u.hash, ok
}

func (n *fakeNode) CanLogin(user User) error {
	if user == fakeUsers["out"].id {
		return xrow.Errorf(xrow.ErrAccessDenied, "Session", "universe", "", "out")
	}
	return nil
}

func (n *fakeNode) Stays(login, user User, replicates bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone[login] || n.gone[user] {
		return xrow.Errorf(xrow.ErrNoSuchUser, "x")
	}
	if replicates && n.gone[onlyStreams] {
		return xrow.Errorf(xrow.ErrAccessDenied, "Read", "universe", "", "x")
	}
	return nil
}

// onlyStreams in fakeNode.gone: nobody may replicate.
const onlyStreams User = 1 << 40

func (n *fakeNode) TakesNumbers() bool { return n.numbers.Load() }

func (n *fakeNode) MayWrite(user User) bool { return user == 0 && n.guestWrites.Load() }

func (n *fakeNode) ResolveSpace(name []byte) (uint32, error) {
	switch string(name) {
	case "test":
		return 512, nil
	case "_vspace":
		return 281, nil
	case "_vindex":
		return 289, nil
	}
	return 0, xrow.Errorf(xrow.ErrNoSuchSpace, string(name))
}

func (n *fakeNode) ResolveIndex(space uint32, name []byte) (uint32, error) {
	if string(name) == "name" {
		return 1, nil
	}
	return 0, xrow.Errorf(xrow.ErrNoSuchIndexName, string(name), "test")
}

// Lookups leaves all to Select.
func (n *fakeNode) Lookups([]Lookup, []byte) {}

func (n *fakeNode) Select(q *Select, to Sink) (uint32, []byte, error) {
	n.mu.Lock()
	n.last, n.before = *q.clone(), len(n.writes)
	tuples := n.tuples
	n.mu.Unlock()
	if q.Space == 281 || q.Space == 289 {
		return 0, nil, nil
	}
	if q.Space != 512 {
		return 0, nil, xrow.Errorf(xrow.ErrNoSuchSpace, "900")
	}
	for _, t := range tuples {
		if err := to.Take(t); err != nil {
			return 0, nil, err
		}
	}
	var pos []byte
	if q.FetchPosition && len(tuples) > 0 {
		pos = []byte("kQI")
	}
	return uint32(len(tuples)), pos, nil
}

func (n *fakeNode) Submit(b *Batch) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range b.Writes {
		w.DML.Key, w.DML.Tuple, w.DML.Ops = slices.Clone(w.DML.Key), slices.Clone(w.DML.Tuple), slices.Clone(w.DML.Ops)
		n.writes = append(n.writes, w)
	}
	if n.hold {
		n.held = append(n.held, b)
	} else {
		n.answerLocked(b, false)
	}
	n.arrive()
}

// answerLocked answers a batch, each write with its own tuple.
func (n *fakeNode) answerLocked(b *Batch, backwards bool) {
	if backwards {
		slices.Reverse(b.Writes)
	}
	for _, w := range b.Writes {
		data := []byte{0x90}
		if w.DML.Tuple != nil {
			data = append([]byte{0x91}, w.DML.Tuple...)
		}
		n.answers.Reply(b.Conn, w.Sync, data, nil)
	}
	n.answers.Flush()
	b.Release()
}

func (n *fakeNode) arrive() {
	select {
	case n.arrived <- struct{}{}:
	default:
	}
}

func (n *fakeNode) Linear(c *Conn, q *Select) {
	n.mu.Lock()
	n.linear, n.conns = append(n.linear, q), append(n.conns, c)
	n.mu.Unlock()
	n.arrive()
}

// streamed is a request of a stream as it came, and whose.
type streamed struct {
	StreamRequest
	given StreamRequest // what the connection keeps until the answer
	conn  *Conn
}

func newStreamed(c *Conn, q *StreamRequest) streamed {
	s := streamed{*q, *q, c}
	if q.Select != nil {
		s.Select = q.Select.clone()
	}
	s.DML.Key, s.DML.Tuple, s.DML.Ops = bytes.Clone(q.DML.Key), bytes.Clone(q.DML.Tuple), bytes.Clone(q.DML.Ops)
	return s
}

func (n *fakeNode) Stream(c *Conn, requests []StreamRequest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range requests {
		q := newStreamed(c, &requests[i])
		n.streamed = append(n.streamed, q)
		if !n.hold {
			n.answerStreamLocked(q)
		}
	}
	n.arrive()
}

// answerStream answers the nth request of a stream that has come.
func (n *fakeNode) answerStream(nth int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answerStreamLocked(n.streamed[nth])
}

func (n *fakeNode) answerStreamLocked(q streamed) {
	if want := newStreamed(q.conn, &q.given).StreamRequest; !reflect.DeepEqual(q.StreamRequest, want) {
		panic(fmt.Sprintf("the request has changed before its answer: %+v, was %+v", want, q.StreamRequest))
	}
	switch {
	case q.Select != nil:
		q.conn.FinishStream(q.given.Select)
	case q.Fault != nil:
		q.conn.ReplyStream(q.Stream, nil, q.Fault)
		q.conn.Flush()
	default:
		var data []byte
		if q.DML.Type != 0 {
			data = append([]byte{0x91}, q.DML.Tuple...)
		}
		n.answers.ReplyStream(q.conn.ID(), q.Stream, data, nil)
		n.answers.Flush()
	}
}

func (n *fakeNode) StreamsGone(conn uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = append(n.ended, conn)
}

func (n *fakeNode) Call(c *Conn, q *Call) {
	n.mu.Lock()
	n.calls = append(n.calls, q)
	n.mu.Unlock()
	if n.onCall != nil {
		n.onCall(c, q)
		return
	}
	c.ReplyCall(q, q.Args, nil)
}

func (n *fakeNode) Replicate(l *Link, user User, row *xrow.Row) error {
	if n.replicate == nil {
		return errors.New("no replication here")
	}
	return n.replicate(l, user, row)
}

// fixture is a server on a fake node.
type fixture struct {
	*testing.T
	node   *fakeNode
	hub    *Hub
	srv    *Server
	closed chan error // the cause of each connection that ended

	inPieces    bool // replay sends one byte at a time
	interleaved bool // replay lets one connection finish before it goes on with another
}

func newFixture(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{T: t, hub: NewHub(), closed: make(chan error, 64)}
	f.node = &fakeNode{ballot: []byte{0x80}, arrived: make(chan struct{}, 1)}
	f.node.schema.Store(111)
	cfg := Config{
		Version: "3.8.0", InstanceUUID: testUUID, Hub: f.hub, Pagination: true,
		Trace: Trace{Closed: func(_ *Conn, cause error) { f.closed <- cause }},
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := NewServer(cfg, f.node)
	if err != nil {
		t.Fatal(err)
	}
	f.srv, f.node.answers = srv, srv.Answers()
	t.Cleanup(srv.Close)
	return f
}

// peer is the raw client end of a connection.
type peer struct {
	t        *testing.T
	nc       net.Conn
	link     *Link
	greeting Greeting
}

// connect opens a connection over loopback: unlike a pipe it has buffers, so
// that neither side waits for the other where a real one would not.
func (f *fixture) connect() *peer {
	f.Helper()
	client, server := loopback(f.T)
	go f.srv.Serve(server)
	return f.greet(client)
}

func (f *fixture) greet(nc net.Conn) *peer {
	f.Helper()
	f.Cleanup(func() { nc.Close() })
	c, err := newClient(f.Context(), nc)
	if err != nil {
		f.Fatal(err)
	}
	return &peer{t: f.T, nc: nc, link: c.Link, greeting: c.Greeting}
}

func loopback(t testing.TB) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Error(err)
	}
}

// request sends one frame.
func (p *peer) request(t xrow.Type, sync uint64, body []byte) {
	p.t.Helper()
	r := xrow.Row{Type: t, Sync: sync, Body: body}
	p.send(r.Append(nil))
}

// read returns the next row; its body is the caller's.
func (p *peer) read() xrow.Row {
	p.t.Helper()
	row, err := p.link.ReadRow()
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	row.Body = slices.Clone(row.Body)
	return row
}

// wantError reads an error reply.
func (p *peer) wantError(sync uint64, code xrow.Code, message string) {
	p.t.Helper()
	row := p.read()
	e := row.AsError()
	if e == nil || row.Sync != sync || e.Code != code || e.Message != message {
		p.t.Fatalf("got %v sync %d %+v, want error %d %q for %d", row.Type, row.Sync, e, code, message, sync)
	}
}

// wantOK reads a reply without error and returns its body.
func (p *peer) wantOK(sync uint64) []byte {
	p.t.Helper()
	row := p.read()
	if row.Type != xrow.OK || row.Sync != sync {
		p.t.Fatalf("got %v sync %d %+v, want OK for %d", row.Type, row.Sync, row.AsError(), sync)
	}
	return row.Body
}

// ping proves that everything sent before was handled.
func (p *peer) ping(sync uint64) {
	p.t.Helper()
	p.request(xrow.Ping, sync, nil)
	p.wantOK(sync)
}

func insertBody(id uint64) []byte {
	b := []byte{0x82, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyTuple), 0x91}
	return msgp.AppendUint64(b, id)
}

func selectBody(id uint64) []byte {
	b := []byte{0x83, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyLimit), 1, byte(xrow.KeyKey), 0x91}
	return msgp.AppendUint64(b, id)
}
