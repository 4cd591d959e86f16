package replication

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
	"github.com/vmihailenco/msgpack/v5"
)

// member is a whole instance in this process: a loop with a core and a box, a
// log in memory, a hub and a client server.
type member struct {
	t     *testing.T
	c     *clusterTest
	id    uint32
	addr  string
	boot  *Boot
	log   *memLog
	hub   *Hub
	loop  *instance.Loop
	srv   *iproto.Server
	stop  context.CancelFunc
	done  chan struct{}
	ready chan struct{} // the hub has started

	tuples []loaded // what a JOIN brought: the checkpoint that a restart begins with
	joined *instance.State

	mu      sync.Mutex
	answers map[uint64]chan instance.Reply
	sync    uint64
}

type loaded struct {
	space uint32
	tuple []byte
}

type clusterTest struct {
	t       *testing.T
	peers   []Peer
	members []*member
	changed chan struct{} // capacity 1: something has changed somewhere
}

// Append is the journal: a goroutine answers as a disk would.
func (m *member) Append(no uint64, g *xrow.Group, _ []xrow.LostRow) {
	m.log.append(g)
	go func() { _ = m.loop.Submit(instance.Written{Group: no}) }()
}

func (m *member) Changed(e *instance.Effects) {
	for _, s := range e.Snaps {
		if !m.hub.Snapshot(s) {
			m.t.Errorf("a snapshot that nobody asked for: %+v", s)
		}
	}
	signal(m.c.changed)
}

func (m *member) Reply(replies []instance.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range replies {
		if c := m.answers[r.Sync]; c != nil {
			c <- r
			delete(m.answers, r.Sync)
		}
	}
}

// write runs a statement and waits for its answer.
func (m *member) write(d xrow.DML) *xrow.Error {
	m.mu.Lock()
	m.sync++
	sync, answer := m.sync, make(chan instance.Reply, 1)
	m.answers[sync] = answer
	m.mu.Unlock()
	if err := m.loop.Submit(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: sync, User: 1, DML: d}}}); err != nil {
		m.t.Fatal(err)
	}
	select {
	case r := <-answer:
		return r.Err
	case <-time.After(patience):
		m.t.Fatal("a write was not answered")
		return nil
	}
}

func (m *member) info() (i instance.Info) {
	m.loop.Read(func(c *instance.Core) { i = c.Info(m.loop.Now().Mono) })
	return i
}

// backend serves before the hub is there, as a server does.
func (m *member) backend() *backend {
	started := func() bool {
		select {
		case <-m.ready:
			return true
		default:
			return false
		}
	}
	return &backend{
		hub: func() *Hub {
			if started() {
				return m.hub
			}
			return nil
		},
		ballot: func(dst []byte) []byte {
			if started() {
				return m.hub.AppendBallot(dst)
			}
			return m.boot.AppendBallot(dst)
		}}
}

// begin decides and starts, as a server does.
func (m *member) begin(ctx context.Context) error {
	d, err := m.boot.Decide(ctx)
	if err != nil {
		return err
	}
	for d.Action == ActionJoin {
		if err = m.boot.JoinAny(ctx, d.Peers, func() (Sink, error) { return &memberSink{m: m}, nil }); err == nil {
			break
		}
		if !Retry(err) {
			return err
		}
		if d, err = m.boot.Decide(ctx); err != nil {
			return err
		}
	}
	if err := m.run(); err != nil {
		return err
	}
	if d.Action == ActionBootstrap {
		rows := box.BootstrapRows(box.Profile3_8_0, testSet, testUUID(m.id), "", "")
		for i := range rows {
			if rows[i].SpaceID == xrow.SpaceCluster {
				rows[i].Tuple = instance.MemberTuple(m.id, testUUID(m.id), "", uint64(m.id))
			}
		}
		_ = m.loop.Submit(instance.BootstrapRows{Rows: rows, ID: m.id})
		_ = m.loop.Submit(instance.PromoteRequest{})
	}
	return nil
}

// recover makes a core out of the checkpoint and the log.
func (m *member) recover() (*instance.Core, error) {
	b := box.New(box.Config{})
	core, err := instance.New(instance.Config{UUID: testUUID(m.id), Mode: instance.ModeCandidate, DeathTimeout: time.Second,
		ElectionTimeout: 200 * time.Millisecond, Rand: rand.New(rand.NewPCG(uint64(m.id), uint64(len(m.log.groups))))}, b)
	if err != nil {
		return nil, err
	}
	if m.joined != nil {
		for _, l := range m.tuples {
			if err := b.Load(l.space, l.tuple); err != nil {
				return nil, err
			}
		}
		if err := b.LoadDone(); err != nil {
			return nil, err
		}
		if err := core.Restore(*m.joined); err != nil {
			return nil, err
		}
	}
	for i, g := range m.log.groups {
		if err := core.Replay(uint64(i+1), g); err != nil {
			return nil, err
		}
	}
	return core, nil
}

// run starts loop and hub over what is held.
func (m *member) run() error {
	core, err := m.recover()
	if err != nil {
		return err
	}
	cfg := Config{UUID: testUUID(m.id), Incarnation: uint64(m.id), Version: 3<<16 | 8<<8, Peers: m.c.peers, Log: m.log, CanLog: true, DeathTimeout: time.Second,
		Logger: zerolog.New(zerolog.NewTestWriter(m.t)).With().Uint32("self", m.id).Logger().Level(zerolog.WarnLevel)}
	if m.hub, err = New(cfg); err != nil {
		return err
	}
	m.loop = instance.NewLoop(core, instance.LoopConfig{Journal: m, Peers: m.hub, Clients: m, Watcher: m})
	run, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() {
		defer close(m.done)
		_ = m.loop.Run(run)
	}()
	m.hub.Start(FromLoop(m.loop))
	close(m.ready)
	return nil
}

// restart comes back with what it held.
func (m *member) restart() {
	m.t.Helper()
	m.done, m.ready = make(chan struct{}), make(chan struct{})
	m.srv, _ = serve(m.t, testUUID(m.id), m.addr, m.backend())
	if err := m.run(); err != nil {
		m.t.Fatal(err)
	}
}

// kill ends the instance as a SIGKILL would: listener and connections at once.
func (m *member) kill() {
	m.srv.StopListening()
	m.hub.Close()
	m.srv.Close()
	m.stop()
	<-m.done
}

// memberSink keeps what a JOIN brings.
type memberSink struct{ m *member }

func (s *memberSink) Add(space uint32, tuple []byte) error {
	s.m.tuples = append(s.m.tuples, loaded{space, bytes.Clone(tuple)})
	return nil
}

func (s *memberSink) Abort() { s.m.tuples = nil }

func (s *memberSink) Finish(st instance.State, _ bool) error {
	st.NextGroup = 1
	s.m.log.base, s.m.joined = st.VClock, &st
	return nil
}

func newCluster(t *testing.T, n int) *clusterTest {
	c := &clusterTest{t: t, changed: make(chan struct{}, 1)}
	for i := range n {
		m := &member{t: t, c: c, id: uint32(i + 1), log: newMemLog(), done: make(chan struct{}), ready: make(chan struct{}),
			answers: make(map[uint64]chan instance.Reply)}
		m.boot = &Boot{Self: Identity{UUID: testUUID(m.id), Incarnation: uint64(m.id), Version: 1}, CanLead: true,
			RetryPause: 10 * time.Millisecond, Logger: zerolog.Nop()}
		m.srv, m.addr = serve(t, testUUID(m.id), "127.0.0.1:0", m.backend())
		c.members = append(c.members, m)
		c.peers = append(c.peers, Peer{Addr: m.addr})
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wg sync.WaitGroup
	for _, m := range c.members {
		m.boot.Peers = c.peers
		wg.Go(func() {
			if err := m.begin(ctx); err != nil {
				t.Errorf("instance %d: %v", m.id, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			select {
			case <-m.done:
			default:
				m.kill()
			}
		}
	})
	return c
}

// alive are the members that run.
func (c *clusterTest) alive() (out []*member) {
	for _, m := range c.members {
		select {
		case <-m.done:
		default:
			out = append(out, m)
		}
	}
	return out
}

// await waits until f holds; it is asked again when something changes, and on
// every heartbeat.
func (c *clusterTest) await(what string, f func() bool) {
	c.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !f() {
		select {
		case <-c.changed:
		case <-again.C:
		case <-limit.C:
			for _, m := range c.alive() {
				c.t.Logf("instance %d: %+v", m.id, m.info())
				for _, s := range m.hub.Status() {
					c.t.Logf("  peer %d: up %+v down %+v", s.ID, s.Upstream, s.Downstream)
				}
			}
			c.t.Fatalf("it never came to this: %s", what)
		}
	}
}

// leader waits for a writable member.
func (c *clusterTest) leader() (m *member) {
	c.t.Helper()
	c.await("there is a leader", func() bool {
		for _, m = range c.alive() {
			if i := m.info(); !i.RO {
				return true
			}
		}
		return false
	})
	return m
}

func tuple(t *testing.T, fields ...any) []byte {
	b, err := msgpack.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (m *member) createSpace(t *testing.T) {
	t.Helper()
	for _, d := range []xrow.DML{
		{Type: xrow.Insert, SpaceID: 280, Tuple: tuple(t, 512, 1, "test", "memtx", 0, map[string]bool{"is_sync": true}, []any{})},
		{Type: xrow.Insert, SpaceID: 288, Tuple: tuple(t, 512, 0, "pk", "tree", map[string]bool{"unique": true}, []any{[]any{0, "unsigned"}})},
	} {
		if err := m.write(d); err != nil {
			t.Fatal(err)
		}
	}
}

// holds tells whether all live members have the same vclock on disk, and how
// many tuples of the test space they show.
func (c *clusterTest) holds(n int) bool {
	first := c.alive()[0].info().Synced
	for _, m := range c.alive() {
		i := m.info()
		if i.Synced.Compare(&first) != 0 || i.QueueLen != 0 {
			return false
		}
		count := 0
		m.loop.Read(func(core *instance.Core) {
			_, count, _ = core.Box().Select(1, &box.Query{Space: 512, Limit: 1 << 30, Iterator: 2, Key: []byte{0x90}}, nil)
		})
		if count != n {
			return false
		}
	}
	return true
}

// Three instances find each other, elect, replicate, lose their leader, elect
// again, and take the killed one back.
func TestCluster(t *testing.T) {
	c := newCluster(t, 3)
	c.await("three members follow each other", func() bool {
		for _, m := range c.members {
			if len(m.info().Members) != 3 {
				return false
			}
			for _, s := range m.hub.Status() {
				if s.Upstream == nil || s.Upstream.Status != StateFollow || s.Downstream == nil {
					return false
				}
			}
		}
		return true
	})
	l := c.leader()
	l.createSpace(t)
	const rows = 200
	for k := range rows {
		if err := l.write(xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: tuple(t, k, fmt.Sprint("value ", k))}); err != nil {
			t.Fatal(err)
		}
	}
	c.await("all hold the rows", func() bool { return c.holds(rows) })
	for _, m := range c.members {
		if all := FromLoop(m.loop).Info().HasAll; all != (m == l) {
			t.Errorf("instance %d holds all that is committed: %t, while instance %d leads", m.id, all, l.id)
		}
	}

	old := l.info().Term
	killed := time.Now()
	l.kill()
	next := c.leader()
	t.Logf("instance %d leads %v after instance %d was killed", next.id, time.Since(killed), l.id)
	if next == l || next.info().Term <= old {
		t.Fatalf("instance %d leads in term %d", next.id, next.info().Term)
	}
	for k := range rows {
		if err := next.write(xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: tuple(t, rows+k)}); err != nil {
			t.Fatal(err)
		}
	}
	c.await("both hold all rows", func() bool { return c.holds(2 * rows) })

	l.restart()
	c.await("the killed one holds all rows", func() bool { return c.holds(2 * rows) })
	if now := c.leader(); now != next {
		t.Errorf("instance %d leads after instance %d came back", now.id, l.id)
	}
}
