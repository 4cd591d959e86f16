package replication

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net"
	"reflect"
	"syscall"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// scripted is a peer whose side of each SUBSCRIBE the test plays.
type scripted struct {
	t      testing.TB
	addr   string
	srv    *iproto.Server
	subs   chan *sub
	ballot xrow.Ballot // what VOTE gets

	backend *backend
}

// sub is one subscribed connection, at the relay's end.
type sub struct {
	*iproto.Link
	t    testing.TB
	row  xrow.Row
	req  xrow.SubscribeRequest
	done chan error // what the handler returns
}

func newScripted(t testing.TB, id uint32, addr string) *scripted {
	s := &scripted{t: t, subs: make(chan *sub, 64)}
	quit := make(chan struct{})
	b := &backend{ballot: func(dst []byte) []byte { return s.ballot.AppendBody(dst) }, replicate: func(l *iproto.Link, row *xrow.Row) error {
		req, err := xrow.DecodeSubscribe(row.Body)
		if err != nil {
			return err
		}
		c := &sub{Link: l, t: t, row: *row, req: req, done: make(chan error, 1)}
		c.row.Body = bytes.Clone(row.Body)
		s.subs <- c
		select {
		case err := <-c.done:
			return err
		case <-quit:
			return io.EOF
		}
	}}
	s.backend = b
	s.srv, s.addr = serve(t, testUUID(id), addr, b)
	t.Cleanup(func() { close(quit) })
	return s
}

// accept takes the next SUBSCRIBE and answers it as instance id.
func (s *scripted) accept(id uint32, v vclock.VClock) *sub {
	s.t.Helper()
	c := s.pending()
	ok := xrow.SubscribeOK{ReplicasetUUID: testSet, VClock: v}
	c.send(&xrow.Row{Type: xrow.OK, ReplicaID: id, Body: ok.AppendBody(nil)})
	return c
}

func (s *scripted) pending() *sub {
	s.t.Helper()
	select {
	case c := <-s.subs:
		return c
	case <-time.After(patience):
		s.t.Fatal("nobody subscribed")
		return nil
	}
}

// end ends the connection; an *xrow.Error is sent first.
func (c *sub) end(err error) {
	select {
	case c.done <- err:
	default: // it has ended
	}
}

func (c *sub) send(rows ...*xrow.Row) {
	c.t.Helper()
	var b []byte
	for _, r := range rows {
		b = r.Append(b)
	}
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *sub) readAck() (a xrow.Ack, row xrow.Row) {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	row, err := c.ReadRow()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := a.Decode(row.Body); err != nil {
		c.t.Fatal(err)
	}
	return a, row
}

func raftRow(m xrow.Raft) *xrow.Row { return &xrow.Row{Type: xrow.RaftState, Body: m.AppendBody(nil)} }

func beatRow(id uint32, sync uint64) *xrow.Row {
	return &xrow.Row{Type: xrow.OK, ReplicaID: id, Timestamp: 999.5, Body: xrow.AppendHeartbeatBody(nil, sync)}
}

// follower is a hub that follows a scripted instance 2.
func follower(t testing.TB) (*testHub, *scripted) {
	s := newScripted(t, 2, "127.0.0.1:0")
	h := newTestHub(t, 1, func(c *Config) { c.Peers = []Peer{{Addr: s.addr}} })
	return h, s
}

// Events come in the order of the stream, transactions whole, however the
// bytes are cut.
func TestApplierEvents(t *testing.T) {
	h, s := follower(t)
	c := s.accept(2, vclock.VClock{3: 4})
	wait(t, h.node, func(ev instance.Upstream) bool {
		return reflect.DeepEqual(ev, instance.Upstream{Peer: 2, State: instance.UpstreamFollow, Kind: xrow.Tarantool})
	})
	rows := []xrow.Row{
		testRow(3, 1, 1, true, 2, 10),
		testRow(3, 2, 2, false, 2, 10), testRow(3, 3, 2, false, 2, 100_000), testRow(3, 4, 2, true, 2, 10),
	}
	stream := raftRow(xrow.Raft{Term: 2, State: 1, LeaderID: 3, IsLeaderSeen: true}).Append(nil)
	for i := range rows {
		stream = rows[i].Append(stream)
	}
	stream = beatRow(2, 5).Append(stream)
	for len(stream) > 0 { // cut at every place, in the end
		n := min(1+len(stream)%977, len(stream))
		if _, err := c.Write(stream[:n]); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
	}
	raft := wait(t, h.node, func(ev instance.RaftMsg) bool { return true })
	h.mu.Lock()
	sees := h.feed.sees[2]
	h.mu.Unlock()
	if raft.From != 2 || raft.Msg.Term != 2 || sees != (sight{term: 2, leader: 3}) {
		t.Errorf("raft %+v, sees %+v", raft, sees)
	}
	var got []xrow.Row
	for len(got) < len(rows) {
		ev := wait(t, h.node, func(ev instance.Rows) bool { return true })
		if ev.From != 2 || ev.Rows[len(ev.Rows)-1].Flags&xrow.FlagCommit == 0 {
			t.Fatalf("from %d, %d rows, the last %+v", ev.From, len(ev.Rows), ev.Rows[len(ev.Rows)-1])
		}
		for _, r := range ev.Rows {
			r.Body = bytes.Clone(r.Body)
			got = append(got, r)
		}
		ev.Release()
	}
	for i := range got {
		if !bytes.Equal(got[i].Append(nil), rows[i].Append(nil)) {
			t.Errorf("row %d differs", i)
		}
	}
	beat := wait(t, h.node, func(ev instance.Heartbeat) bool { return true })
	if beat != (instance.Heartbeat{From: 2, Sync: 5}) {
		t.Errorf("heartbeat %+v", beat)
	}
	until(t, func() bool { // the time of a read is taken down behind its events
		up := h.Status()[0].Upstream
		return up.Status == StateSync && up.Lag == 0.5
	})
	h.Handle(&instance.Effects{Ack: &instance.AckState{VClock: vclock.VClock{3: 4}}})
	c.send(beatRow(2, 5))
	wait(t, h.node, func(ev instance.Heartbeat) bool { return true })
	c.send(beatRow(2, 5)) // the time of the one before was noted by now
	wait(t, h.node, func(ev instance.Heartbeat) bool { return true })
	if up := h.Status()[0].Upstream; up.Status != StateFollow {
		t.Errorf("upstream %+v", up)
	}
}

// The core's words reach the peer.
func TestApplierAcks(t *testing.T) {
	h, s := follower(t)
	c := s.accept(2, vclock.VClock{})
	wait(t, h.node, func(ev instance.Upstream) bool { return true })
	h.Handle(&instance.Effects{Ack: &instance.AckState{VClock: vclock.VClock{2: 1}, Term: 3}})
	if a, row := c.readAck(); a.VClock != (vclock.VClock{2: 1}) || a.Term != 3 || a.Sync != 0 || row.Timestamp != 0 {
		t.Errorf("first ack %+v", a)
	}
	c.send(beatRow(2, 4))
	wait(t, h.node, func(ev instance.Heartbeat) bool { return true })
	h.Handle(&instance.Effects{Ack: &instance.AckState{VClock: vclock.VClock{2: 1}, Term: 3}})
	if a, _ := c.readAck(); a.VClock != (vclock.VClock{2: 1}) || a.Sync != 4 {
		t.Errorf("ack of the heartbeat %+v", a)
	}
}

// The leader gets an ack at once, other followers with the answer to a
// heartbeat, all of them when no leader is heard, nobody for local writes alone.
func TestAckWhenItMatters(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.acking.self = 1
	a := newApplier(h.Hub, Peer{})
	a.peer = 2
	var w ackWriter
	step := func(what string, lazy uint32, v vclock.VClock, want bool) {
		t.Helper()
		e := &instance.Effects{Lazy: lazy}
		if v != (vclock.VClock{}) {
			e.Ack = &instance.AckState{VClock: v, Term: 3}
		}
		h.Handle(e)
		if got := w.next(a); (got != nil) != want {
			t.Errorf("%s: ack %x", what, got)
		}
		if want && w.said.VClock != h.acking.said.VClock {
			t.Errorf("%s: said %s", what, w.said.VClock)
		}
	}
	w.floor = vclock.VClock{2: 1}
	step("older than our SUBSCRIBE", 0, vclock.VClock{1: 1}, false)
	step("no leader", 0, vclock.VClock{1: 1, 2: 1}, true)
	step("own rows only", 0, vclock.VClock{1: 2, 2: 1}, false)
	step("the leader", 2, vclock.VClock{1: 2, 2: 2}, true)
	step("another follower", 3, vclock.VClock{1: 2, 2: 3}, false)
	a.beat = true
	step("a heartbeat that the core did not answer yet", 3, vclock.VClock{}, false)
	step("its answer", 3, vclock.VClock{1: 2, 2: 4}, true)
	step("another follower again", 3, vclock.VClock{1: 2, 2: 5}, false)
	h.appliers = append(h.appliers, a)
	for len(a.wake) > 0 {
		<-a.wake
	}
	step("the leader is lost", 0, vclock.VClock{}, true)
	if len(a.wake) == 0 {
		t.Error("nobody was woken when the leader was lost")
	}
	h.appliers = nil
}

// A disk that fails or stalls says nothing any more: no answer to a heartbeat,
// and nothing of what it said before on a new connection or to a new leader.
func TestNoAckOfABadDisk(t *testing.T) {
	h := newTestHub(t, 1, nil)
	a := newApplier(h.Hub, Peer{})
	a.peer, a.beat = 2, true
	var w ackWriter
	says := func(what string, e *instance.Effects, want bool) {
		t.Helper()
		h.Handle(e)
		if got := w.next(a); (got != nil) != want {
			t.Errorf("%s: ack %x", what, got)
		}
	}
	says("all is well", &instance.Effects{Ack: &instance.AckState{VClock: vclock.VClock{2: 1}, Term: 3}}, true)
	a.beat = true
	says("a heartbeat", &instance.Effects{Mute: true}, false)
	says("a new leader", &instance.Effects{Mute: true, Lazy: 2}, false)
	w = ackWriter{}
	says("a new connection", &instance.Effects{Mute: true, Lazy: 2}, false)
	says("the disk answers again", &instance.Effects{Lazy: 2, Ack: &instance.AckState{VClock: vclock.VClock{2: 2}, Term: 3}}, true)
	if a.beat {
		t.Error("the heartbeat has no answer")
	}
}

// A peer that still takes connections is not reported as gone.
func TestApplierLost(t *testing.T) {
	h, s := follower(t)
	s.accept(2, vclock.VClock{}).end(io.EOF)
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamLost })
	s.accept(2, vclock.VClock{})
	if ev := wait(t, h.node, func(ev instance.Upstream) bool { return true }); ev.State != instance.UpstreamFollow {
		t.Errorf("then %+v", ev)
	}
}

// One whose process is gone is, at once: elections need not wait for silence.
func TestApplierRefused(t *testing.T) {
	h, s := follower(t)
	c := s.accept(2, vclock.VClock{})
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamFollow })
	s.srv.StopListening()
	c.end(io.EOF)
	lost := wait(t, h.node, func(ev instance.Upstream) bool { return true })
	gone := wait(t, h.node, func(ev instance.Upstream) bool { return true })
	if lost.State != instance.UpstreamLost || !reflect.DeepEqual(gone, instance.Upstream{Peer: 2, State: instance.UpstreamRefused}) {
		t.Errorf("%+v, then %+v", lost, gone)
	}
}

// A proxy that takes connections for a process that is gone changes nothing.
func TestApplierGoneBehindProxy(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	go func() { // the first connection goes through, later ones are dropped
		for n := 0; ; n++ {
			front, err := proxy.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", s.addr)
			if n > 0 || err != nil {
				front.Close()
				continue
			}
			go func() { _, _ = io.Copy(front, back); front.Close() }()
			go func() { _, _ = io.Copy(back, front); back.Close() }()
		}
	}()
	h := newTestHub(t, 1, func(c *Config) { c.Peers = []Peer{{Addr: proxy.Addr().String()}} })
	c := s.accept(2, vclock.VClock{})
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamFollow })
	c.end(io.EOF)
	wait(t, h.node, func(ev instance.Upstream) bool {
		return reflect.DeepEqual(ev, instance.Upstream{Peer: 2, State: instance.UpstreamRefused})
	})
}

// What the core cannot take ends the stream for good, visibly.
func TestApplierRefusal(t *testing.T) {
	h, s := follower(t)
	s.accept(2, vclock.VClock{})
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamFollow })
	h.Handle(&instance.Effects{Refused: []instance.Refusal{{Peer: 2, Err: xrow.Errorf(xrow.ErrSplitBrain, "two histories")}}})
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamLost })
	h.waitLog("upstream failed")
	up := h.Status()[0].Upstream
	if up.Status != StateStopped || up.Message != xrow.Errorf(xrow.ErrSplitBrain, "two histories").Message {
		t.Errorf("upstream %+v", up)
	}
}

// Nonsense in a stream ends it with Tarantool's error, and changes nothing.
func TestApplierBadStream(t *testing.T) {
	half := testRow(3, 1, 1, false, 2, 10)
	for _, test := range []struct {
		name string
		rows []*xrow.Row
		want xrow.Code
	}{
		{"unknown type", []*xrow.Row{{Type: xrow.Ping}}, xrow.ErrUnknownRequestType},
		{"a heartbeat within a transaction", []*xrow.Row{&half, beatRow(2, 1)}, xrow.ErrUnsupported},
		{"VCLOCK_SYNC going back", []*xrow.Row{beatRow(2, 2), beatRow(2, 1)}, xrow.ErrProtocol},
		{"RAFT without a term", []*xrow.Row{raftRow(xrow.Raft{State: 1})}, xrow.ErrProtocol},
		{"RAFT of a candidate for another", []*xrow.Row{raftRow(xrow.Raft{Term: 2, State: 2, Vote: 3, VClock: &vclock.VClock{}})}, xrow.ErrProtocol},
		{"RAFT with an unknown state", []*xrow.Row{raftRow(xrow.Raft{Term: 2, State: 9})}, xrow.ErrProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, s := follower(t)
			c := s.accept(2, vclock.VClock{})
			c.send(test.rows...)
			wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamLost })
			h.waitLog("upstream failed")
			if got := h.Status()[0].Upstream.Message; got == "" {
				t.Error("no message")
			}
		})
	}
}

// What follows from an error: applier_f of Tarantool (src/box/applier.cc).
func TestClassify(t *testing.T) {
	for _, test := range []struct {
		err   error
		state State
		again bool
	}{
		{io.EOF, StateDisconnected, true},
		{syscall.ECONNRESET, StateDisconnected, true},
		{xrow.Errorf(xrow.ErrConnectionToSelf), StateOff, false},
		{xrow.Errorf(xrow.ErrLoading), StateLoading, true},
		{xrow.Errorf(xrow.ErrCfg, "a", "b"), StateLoading, true},
		{xrow.Errorf(xrow.ErrAccessDenied, "Read", "universe", "", "guest"), StateLoading, true},
		{xrow.Errorf(xrow.ErrCredsMismatch), StateLoading, true},
		{xrow.Errorf(xrow.ErrNilUUID), StateDisconnected, true},
		{xrow.Errorf(xrow.ErrXlogGap, "gap"), StateLoading, true},
		{&xrow.Error{Code: xrow.ErrXlogGap, Type: "ClientError"}, StateStopped, false},
		{&xrow.Error{Code: xrow.ErrSystem, Type: "SocketError"}, StateDisconnected, true},
		{xrow.Errorf(xrow.ErrSplitBrain, "x"), StateStopped, false},
		{xrow.Errorf(xrow.ErrReadonly), StateStopped, false},
		{xrow.Errorf(xrow.ErrReplicasetUUIDMismatch, "a", "b"), StateStopped, false},
	} {
		if state, again := classify(test.err); state != test.state || again != test.again {
			t.Errorf("%v: %s, again=%v; want %s, %v", test.err, state, again, test.state, test.again)
		}
	}
}

// When nobody can be followed and somebody has dropped our rows, the owner is
// told, once.
func TestApplierMustJoin(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	told := make(chan error, 8)
	newTestHub(t, 1, func(c *Config) {
		c.Peers = []Peer{{Addr: s.addr}, {Addr: "127.0.0.1:1"}}
		c.MustJoin = func(err error) { told <- err }
	})
	for range 3 {
		s.pending().end(gapError(ErrGap))
	}
	if err := <-told; !errors.Is(err, xrow.ErrXlogGap) {
		t.Errorf("told %v", err)
	}
	s.pending().end(gapError(ErrGap))
	if len(told) > 0 {
		t.Error("told twice")
	}
}

// The log of a peer that joined while our SUBSCRIBE was on its way begins behind
// that: only what the next one is told counts.
func TestGapOfFreshMember(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	told := make(chan error, 8)
	newTestHub(t, 1, func(c *Config) {
		c.Peers = []Peer{{Addr: s.addr}}
		c.MustJoin = func(err error) { told <- err }
	})
	s.pending().end(gapError(ErrGap))
	s.pending().end(io.EOF) // what is between them does not matter
	s.pending().end(gapError(ErrGap))
	if s.pending(); len(told) > 0 {
		t.Errorf("one gap was enough: %v", <-told)
	}
}

// A leader lacks nothing that is committed, whatever a peer's log begins with. It
// looks again when it leads no more.
func TestLeaderStays(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	told := make(chan error, 8)
	h := newTestHub(t, 1, func(c *Config) {
		c.Peers = []Peer{{Addr: s.addr}}
		c.MustJoin = func(err error) { told <- err }
	})
	h.node.mu.Lock()
	h.node.info.HasAll = true
	h.node.mu.Unlock()
	for range 3 {
		s.pending().end(gapError(ErrGap))
	}
	last := s.pending()
	if len(told) > 0 {
		t.Fatalf("a leader was told %v", <-told)
	}
	h.node.mu.Lock()
	h.node.info.HasAll = false
	h.node.mu.Unlock()
	last.end(gapError(ErrGap))
	if err := <-told; !errors.Is(err, xrow.ErrXlogGap) {
		t.Errorf("told %v", err)
	}
}

// As long as one peer brings us on, or was not tried, nothing is lost.
func TestAllBehind(t *testing.T) {
	const leader, lately = 3, testDeath - 1
	gap, drop := gapError(ErrGap), func(error) {}
	tried := attempts{tried: true}
	up := func(u upstream) *applier { return &applier{upstream: u} }
	lacks := up(upstream{attempts: attempts{tried: true, gap: gap}})
	for _, test := range []struct {
		name  string
		other *applier
		off   bool          // there are no elections
		since time.Duration // of the gap; 0: for long
		want  bool
	}{
		{name: "all", other: up(upstream{attempts: tried}), want: true},
		{name: "all, now", other: up(upstream{attempts: tried}), since: lately, want: true},
		{name: "one was not tried", other: &applier{}},
		{name: "one has more", other: up(upstream{attempts: tried, peer: 2, state: StateSync, drop: drop})},
		{name: "one has no more", other: up(upstream{attempts: tried, peer: 2, state: StateFollow, drop: drop}), want: true},
		{name: "one may get more", other: up(upstream{attempts: tried, peer: 2, state: StateFollow, drop: drop}), since: lately},
		{name: "one is any master", other: up(upstream{attempts: tried, peer: 2, state: StateFollow, drop: drop}), off: true},
		{name: "one leads", other: up(upstream{attempts: tried, peer: leader, state: StateFollow, drop: drop})},
	} {
		h := &Hub{appliers: []*applier{lacks, test.other}, feed: feed{lazy: leader}}
		h.times.Store(&times{death: testDeath})
		since := cmp.Or(test.since, 2*testDeath)
		if got := h.allBehind(!test.off, since) != nil; got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if h := (&Hub{appliers: []*applier{{upstream: upstream{attempts: attempts{tried: true}}}}}); h.allBehind(true, time.Hour) != nil {
		t.Error("no gap")
	}
}

const testDeath = time.Second

// An instance of another replica set that answers all the same is left for good.
func TestApplierWrongSet(t *testing.T) {
	h, s := follower(t)
	c := s.pending()
	ok := xrow.SubscribeOK{ReplicasetUUID: goldenSet}
	c.send(&xrow.Row{Type: xrow.OK, ReplicaID: 2, Body: ok.AppendBody(nil)})
	h.waitLog(xrow.Errorf(xrow.ErrReplicasetUUIDMismatch, testSet, goldenSet).Message)
	if up := h.Status()[0].Upstream; up.Status != StateStopped {
		t.Errorf("upstream %+v", up)
	}
}

// Silence ends a connection at both ends: the applier's for want of heartbeats,
// the relay's for want of acks.
func TestSilence(t *testing.T) {
	s := newScripted(t, 2, "127.0.0.1:0")
	h := newTestHub(t, 1, func(c *Config) {
		c.Peers = []Peer{{Addr: s.addr}}
		c.DeathTimeout = 30 * time.Millisecond
	})
	s.accept(2, vclock.VClock{})
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamFollow })
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamLost })
	h.waitLog(errSilent.Error())
	h.show(2)
	p := subscribe(t, h.addr, 3, vclock.VClock{})
	p.expectType(xrow.RaftState)
	wait(t, h.node, func(ev instance.Downstream) bool { return reflect.DeepEqual(ev, instance.Downstream{Peer: 3}) })
	if _, err := p.ReadRow(); !errors.Is(err, io.EOF) {
		t.Errorf("then %v", err)
	}
}

// An instance that was expelled neither follows nor serves.
func TestExpelled(t *testing.T) {
	h, s := follower(t)
	c := s.accept(2, vclock.VClock{})
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamFollow })
	h.show(2)
	p := subscribe(t, h.addr, 3, vclock.VClock{})
	p.expectType(xrow.RaftState)
	h.Handle(&instance.Effects{Expelled: true})
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.State == instance.UpstreamLost })
	for {
		if _, err := c.ReadRow(); err != nil { // behind acks
			break
		}
	}
	if _, err := p.ReadRow(); !errors.Is(err, io.EOF) {
		t.Errorf("a relay: %v", err)
	}
	again := dial(t, h.addr)
	req := xrow.JoinRequest{InstanceUUID: testUUID(3), ServerVersion: 1}
	if err := again.WriteRow(&xrow.Row{Type: xrow.Join, Body: req.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	row, err := again.ReadRow()
	if err != nil {
		t.Fatal(err)
	}
	if e := row.AsError(); e == nil || e.Code != xrow.ErrLoading {
		t.Errorf("JOIN got %v", e)
	}
}

// A member that a peer does not know was removed while it was away, if that peer
// holds all rows of others that it holds itself; else the peer may not have heard
// of it yet.
func TestRemovedWhileAway(t *testing.T) {
	s := newTestHub(t, 2, nil)
	s.node.mu.Lock()
	s.node.info.Members = s.node.info.Members[1:]
	s.node.info.Synced = vclock.VClock{2: 5, 3: 1}
	s.node.mu.Unlock()
	h := newTestHub(t, 1, func(c *Config) { c.Peers = []Peer{{Addr: s.addr}} })
	wait(t, h.node, func(instance.Removed) bool { return true })
	h.Close() // its own applier asks no more
	h.appliers[0].stranger = 0
	for _, test := range []struct {
		name string
		ours vclock.VClock
		set  string
		want bool
	}{
		{"the same", vclock.VClock{2: 5, 3: 1}, testSet, true},
		{"less, and rows of its own", vclock.VClock{1: 9, 2: 4}, testSet, true},
		{"more of the peer", vclock.VClock{2: 6, 3: 1}, testSet, false},
		{"more of another", vclock.VClock{2: 5, 3: 2}, testSet, false},
		{"another set", vclock.VClock{2: 5}, goldenSet, false},
	} {
		h.node.mu.Lock()
		h.node.info.Synced, h.node.info.ReplicasetUUID = test.ours, test.set
		h.node.mu.Unlock()
		if got := h.appliers[0].lacksUs(t.Context()); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
	s.node.mu.Lock()
	s.node.info.Undecided = []Member{{UUID: h.cfg.UUID}}
	s.node.mu.Unlock()
	h.node.mu.Lock()
	h.node.info.Synced, h.node.info.ReplicasetUUID = vclock.VClock{2: 5, 3: 1}, testSet
	h.node.mu.Unlock()
	if h.appliers[0].lacksUs(t.Context()) {
		t.Error("it holds the row that registers us, and does not know yet that it is committed")
	}
	s.node.mu.Lock()
	s.node.info.Undecided = nil
	s.node.info.Members = append(s.node.info.Members, Member{ID: 9, UUID: h.cfg.UUID, Incarnation: 9})
	s.node.mu.Unlock()
	if h.appliers[0].lacksUs(t.Context()) {
		t.Error("it has a row of ours")
	}
	h.node.mu.Lock()
	h.node.info.Members, h.node.info.Synced, h.node.info.ReplicasetUUID = h.node.info.Members[1:], vclock.VClock{}, testSet
	h.node.mu.Unlock()
	if h.appliers[0].lacksUs(t.Context()) {
		t.Error("whoever has not its own row yet may be about to get it")
	}
}

// A former life learns from one that refuses it, and holds all rows that made it a
// member, that another has taken its place.
func TestReplacedWhileAway(t *testing.T) {
	s := newTestHub(t, 2, nil)
	s.node.mu.Lock()
	for k := range s.node.info.Members {
		s.node.info.Members[k].Incarnation = 77
	}
	s.node.info.Synced = vclock.VClock{2: 5}
	s.node.mu.Unlock()
	h := newTestHub(t, 1, func(c *Config) { c.Incarnation, c.Peers = 5, []Peer{{Addr: s.addr}} })
	wait(t, h.node, func(instance.Removed) bool { return true })
	h.Close()
	for _, test := range []struct {
		by   xrow.Code
		ours vclock.VClock
		want bool
	}{
		{xrow.ErrInstanceUUIDMismatch, vclock.VClock{2: 5}, true},
		{xrow.ErrInstanceUUIDMismatch, vclock.VClock{2: 6}, false}, // it may not have our row yet
		{xrow.ErrTooEarlySubscribe, vclock.VClock{2: 5}, false},
	} {
		h.node.mu.Lock()
		h.node.info.Synced = test.ours
		h.node.mu.Unlock()
		h.appliers[0].stranger = test.by
		if got := h.appliers[0].lacksUs(t.Context()); got != test.want {
			t.Errorf("refused by %d with %s: %t", test.by, &test.ours, got)
		}
	}
}

// Who was registered by a Tarantool, in the row of a former life, goes by the mark of
// that one.
func TestMarkOfAFormerLife(t *testing.T) {
	marked := func(i *Info) {
		for k := range i.Members {
			i.Members[k].Incarnation = 77
		}
	}
	h := newTestHub(t, 1, func(c *Config) { c.Incarnation, c.TakesMark = 5, true })
	h.node.mu.Lock()
	marked(&h.node.info)
	h.node.mu.Unlock()
	info := h.node.Info()
	if req := h.subscribeRequest(&info); req.Incarnation != 77 {
		t.Errorf("it says %d", req.Incarnation)
	}
	for _, change := range []func(){
		func() { info.ID = 3 }, // the row is of another ID
		func() { info.ID, h.cfg.TakesMark = 1, false },
	} {
		change()
		if req := h.subscribeRequest(&info); req.Incarnation != 5 {
			t.Errorf("it says %d", req.Incarnation)
		}
	}
}
