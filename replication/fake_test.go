package replication

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

const testSet = "11111111-1111-1111-1111-111111111111"

func testUUID(id uint32) string { return fmt.Sprintf("aaaaaaaa-0000-0000-0000-%012d", id) }

// fakeNode takes events down instead of stepping a core.
type fakeNode struct {
	mu     sync.Mutex
	info   Info
	events chan instance.Event
	now    instance.Now
	onRead func()           // before each Read; nil: nothing
	filter *instance.Filter // the only one; nil: there is none
}

func newFakeNode(id uint32) *fakeNode {
	n := &fakeNode{events: make(chan instance.Event, 4096), now: instance.Now{Mono: time.Second, Wall: 1000}}
	n.info = Info{ID: id, ReplicasetUUID: testSet, Term: 1}
	for i := uint32(1); i <= 3; i++ {
		n.info.Members = append(n.info.Members, Member{ID: i, UUID: testUUID(i)})
	}
	return n
}

func (n *fakeNode) Submit(ev instance.Event) error {
	n.events <- ev
	return nil
}

func (n *fakeNode) Now() instance.Now {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *fakeNode) advance(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now.Mono += d
	n.now.Wall += d.Seconds()
}

func (n *fakeNode) Filter(name string) *instance.Filter {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.filter == nil || n.filter.Filter != name {
		return nil
	}
	return n.filter
}

func (n *fakeNode) setFilter(f *instance.Filter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = f
}

func (n *fakeNode) Info() Info {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.info
}

func (n *fakeNode) Read(f func()) {
	if n.onRead != nil {
		n.onRead()
	}
	f()
}

func (n *fakeNode) Scan(f func()) { n.Read(f) }

// patience bounds waits of tests that would hang: nothing depends on its value.
const patience = time.Minute

// wait returns the first event that f takes; events before it are dropped.
func wait[E instance.Event](t testing.TB, n *fakeNode, f func(E) bool) E {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case ev := <-n.events:
			if rows, ok := ev.(instance.Rows); ok {
				if e, ok := any(rows).(E); ok && f(e) {
					return e // the test releases it
				}
				rows.Release()
				continue
			}
			if e, ok := ev.(E); ok && f(e) {
				return e
			}
		case <-limit.C:
			t.Fatalf("no %T came", *new(E))
		}
	}
}

// until waits for what no event tells.
func until(t testing.TB, cond func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it never came to that")
		}
	}
}

// memLog is a log in memory, synced as soon as it is appended.
type memLog struct {
	mu     sync.Mutex
	base   vclock.VClock // in front of the first group
	first  uint64
	groups []*xrow.Group
	reads  atomic.Int64 // groups read
	held   atomic.Int64 // readers that were not closed behind their last read
}

func newMemLog() *memLog { return &memLog{first: 1} }

func (l *memLog) append(g *xrow.Group) (no uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups = append(l.groups, g)
	return l.first + uint64(len(l.groups)) - 1
}

// cut drops groups before number first.
func (l *memLog) cut(first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base = l.groups[first-l.first].Before
	l.groups = l.groups[first-l.first:]
	l.first = first
}

func (l *memLog) Oldest() vclock.VClock {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base.Global()
}

func (l *memLog) Seek(v *vclock.VClock) (uint64, error) {
	oldest := l.Oldest()
	if !v.Covers(&oldest) {
		return 0, fmt.Errorf("%w: %s is asked for, the oldest is %s", ErrGap, v, oldest)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	no := l.first
	for _, g := range l.groups {
		if !v.Covers(&g.After) {
			break
		}
		no++
	}
	return no, nil
}

func (l *memLog) Read(from uint64) LogReader { return &memReader{l: l, next: from} }

type memReader struct {
	l    *memLog
	next uint64
	open bool
}

func (r *memReader) Next() (uint64, *xrow.Group, error) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if r.next < r.l.first {
		return 0, nil, ErrGap
	}
	i := r.next - r.l.first
	if i >= uint64(len(r.l.groups)) {
		return 0, nil, io.EOF
	}
	r.next++
	if !r.open {
		r.open = true
		r.l.held.Add(1)
	}
	r.l.reads.Add(1)
	return r.next - 1, r.l.groups[i], nil
}

func (r *memReader) Close() {
	if r.open {
		r.open = false
		r.l.held.Add(-1)
	}
}

// testRow is a REPLACE into space 512.
func testRow(origin uint32, lsn, tsn uint64, last bool, term uint64, size int) xrow.Row {
	body := []byte{0x82, byte(xrow.KeySpaceID), 0xcd, 0x02, 0x00, byte(xrow.KeyTuple), 0x91, 0xc6,
		byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}
	body = append(body, make([]byte, size)...)
	r := xrow.Row{Type: xrow.Replace, ReplicaID: origin, LSN: lsn, TSN: tsn, Timestamp: 999, Term: term, Body: body}
	if last {
		r.Flags = xrow.FlagCommit
	}
	return r
}

// groupMaker makes groups of one log.
type groupMaker struct{ at vclock.VClock }

// rows makes a group of n transactions of one row each.
func (m *groupMaker) rows(origin uint32, n int) *xrow.Group { return m.sized(origin, n, 8) }

func (m *groupMaker) sized(origin uint32, n, size int) *xrow.Group {
	g := &xrow.Group{Before: m.at, After: m.at}
	for range n {
		m.at[origin]++
		r := testRow(origin, m.at[origin], m.at[origin], true, 2, size)
		g.Add(&r, 512, true, 0)
	}
	return g
}

// promote makes a group with a PROMOTE alone.
func (m *groupMaker) promote(origin uint32, term uint64) *xrow.Group {
	g := &xrow.Group{Before: m.at, After: m.at}
	m.at[origin]++
	lsn := m.at[origin]
	body := xrow.Synchro{Term: term}
	r := xrow.Row{Type: xrow.Promote, ReplicaID: origin, LSN: lsn, TSN: lsn, Flags: xrow.FlagCommit, Term: term, Body: body.AppendBody(nil)}
	g.Add(&r, 0, true, term)
	return g
}

// backend is the client server's view of an instance that only replicates.
type backend struct {
	iproto.Backend
	hub       func() *Hub
	ballot    func(dst []byte) []byte
	replicate func(l *iproto.Link, row *xrow.Row) error // instead of the hub
	call      func(c *iproto.Conn, q *iproto.Call)      // nil: there are no functions
}

func (b *backend) Call(c *iproto.Conn, q *iproto.Call) {
	if b.call != nil {
		b.call(c, q)
		return
	}
	c.Reply(q.Sync, nil, xrow.Errorf(xrow.ErrNoSuchProc, q.Name))
	c.Flush()
}

func (b *backend) Stream(*iproto.Conn, []iproto.StreamRequest) {}
func (b *backend) StreamsGone(uint64)                          {}
func (b *backend) Ready() *xrow.Error                          { return nil }
func (b *backend) TakesNumbers() bool                          { return false }
func (b *backend) SchemaVersion() uint64                       { return 1 }
func (b *backend) User([]byte) (iproto.User, []byte, bool)     { return 0, nil, false }
func (b *backend) CanLogin(iproto.User) error                  { return nil }
func (b *backend) AppendBallot(dst, _ []byte) ([]byte, *xrow.Error) {
	return b.ballot(dst), nil
}
func (b *backend) Replicate(l *iproto.Link, user iproto.User, row *xrow.Row) error {
	if b.replicate != nil {
		return b.replicate(l, row)
	}
	if h := b.hub(); h != nil {
		return h.Serve(l, user, row)
	}
	return xrow.Errorf(xrow.ErrLoading)
}

// serve runs a client server for an instance on a free port.
func serve(t testing.TB, uuid, addr string, b *backend) (*iproto.Server, string) {
	t.Helper()
	srv, err := iproto.NewServer(iproto.Config{Version: "3.8.0", InstanceUUID: uuid, Hub: iproto.NewHub()}, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv, srv.Addrs()[0].String()
}

// testHub is a hub with its fake surroundings.
type testHub struct {
	*Hub
	t    testing.TB
	node *fakeNode
	log  *memLog
	gm   groupMaker
	addr string
	srv  *iproto.Server

	lines logLines
}

// logLines are lines of a log, for tests that wait for one.
type logLines chan string

func (l logLines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default: // nobody reads them
	}
	return len(b), nil
}

// waitLog waits for a line with text in it.
func (h *testHub) waitLog(text string) {
	h.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case line := <-h.lines:
			if strings.Contains(line, text) {
				return
			}
		case <-limit.C:
			h.t.Fatalf("no line with %q", text)
		}
	}
}

// testConfig has a death timeout that no test waits for.
func testConfig(id uint32, log Log) Config {
	return Config{UUID: testUUID(id), Version: 3<<16 | 8<<8, Log: log, CanLog: true, DeathTimeout: time.Minute,
		Heartbeat: time.Second, ReconnectMax: 5 * time.Millisecond, Logger: zerolog.Nop()}
}

func newTestHub(t testing.TB, id uint32, change func(*Config)) *testHub {
	t.Helper()
	return newTestHubOf(t, id, newFakeNode(id), change)
}

func newTestHubOf(t testing.TB, id uint32, node *fakeNode, change func(*Config)) *testHub {
	t.Helper()
	h := &testHub{t: t, node: node, log: newMemLog(), lines: make(logLines, 1024)}
	cfg := testConfig(id, h.log)
	cfg.Logger = zerolog.New(h.lines)
	if change != nil {
		change(&cfg)
	}
	var err error
	if h.Hub, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	h.srv, h.addr = serve(t, cfg.UUID, "127.0.0.1:0", &backend{hub: func() *Hub { return h.Hub }, ballot: h.AppendBallot})
	h.Start(h.node)
	t.Cleanup(h.Close)
	return h
}

// write puts a group through the log; synced: it may be sent.
func (h *testHub) write(g *xrow.Group, synced bool) {
	no := h.log.append(g)
	e := &instance.Effects{Group: g, GroupNo: no, Relay: h.feed.upTo}
	h.Handle(e)
	if synced {
		h.Handle(&instance.Effects{Relay: no})
	}
}

// show shows a term.
func (h *testHub) show(term uint64) {
	h.Handle(&instance.Effects{Raft: &xrow.Raft{Term: term, State: 1}})
}

// peer subscribes as an instance would.
type peer struct {
	*iproto.Client
	t  testing.TB
	ok xrow.SubscribeOK
}

func dial(t testing.TB, addr string) *iproto.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := iproto.Dial(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func subscribe(t testing.TB, addr string, id uint32, v vclock.VClock) *peer {
	t.Helper()
	c := dial(t, addr)
	req := xrow.SubscribeRequest{ReplicasetUUID: testSet, InstanceUUID: testUUID(id), VClock: v, ServerVersion: 3<<16 | 8<<8, Kind: xrow.Tarragon}
	if err := c.WriteRow(&xrow.Row{Type: xrow.Subscribe, Body: req.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	p := &peer{Client: c, t: t}
	row := p.next()
	if e := row.AsError(); e != nil {
		t.Fatal(e)
	}
	var err error
	if p.ok, err = xrow.DecodeSubscribeOK(row.Body); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) next() xrow.Row {
	p.t.Helper()
	row, err := p.ReadRow()
	if err != nil {
		p.t.Fatal(err)
	}
	return row
}

// expect reads rows of one origin with these LSNs and nothing between them.
func (p *peer) expect(origin uint32, from, to uint64) {
	p.t.Helper()
	for lsn := from; lsn <= to; lsn++ {
		row := p.next()
		if row.ReplicaID != origin || row.LSN != lsn {
			p.t.Fatalf("got %v %d:%d, want %d:%d", row.Type, row.ReplicaID, row.LSN, origin, lsn)
		}
	}
}

func (p *peer) expectType(want xrow.Type) xrow.Row {
	p.t.Helper()
	row := p.next()
	if row.Type != want {
		p.t.Fatalf("got %v, want %v", row.Type, want)
	}
	return row
}

func (p *peer) ack(v vclock.VClock) {
	p.t.Helper()
	a := xrow.Ack{VClock: v, Term: 1}
	if err := p.WriteRow(&xrow.Row{Type: xrow.OK, Body: a.AppendBody(nil)}); err != nil {
		p.t.Fatal(err)
	}
}
