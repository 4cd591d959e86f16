package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tarantool/go-tarantool/v2"
)

// Tracker follows who leads: it watches the event tarragon.leader on all nodes
// and keeps a connection to the leader.
type Tracker struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	leader  Leader
	conns   map[string]*tarantool.Connection
	changed chan struct{} // closed and replaced when leader or a connection changes
}

// Leader is who leads, by the newest word of any node.
type Leader struct {
	Addr string
	Term uint64
	Conn *tarantool.Connection // nil: not connected to it
	Lost context.Context       // done when somebody else leads
	lost context.CancelFunc
}

// Track connects to nodes and follows their leader until Close.
func Track(addrs []string) *Tracker {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Tracker{ctx: ctx, cancel: cancel, conns: map[string]*tarantool.Connection{}, changed: make(chan struct{})}
	for _, addr := range addrs {
		t.Add(addr)
	}
	return t
}

// Add follows one more node.
func (t *Tracker) Add(addr string) { t.wg.Go(func() { t.follow(t.ctx, addr) }) }

// Close ends all connections.
func (t *Tracker) Close() {
	t.cancel()
	t.wg.Wait()
}

// Leader waits until a leader is known and connected.
func (t *Tracker) Leader(ctx context.Context) (Leader, error) {
	for {
		t.mu.Lock()
		l, changed := t.leader, t.changed
		l.Conn = t.conns[l.Addr]
		t.mu.Unlock()
		if l.Conn != nil && l.Lost != nil && l.Lost.Err() == nil {
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Leader{}, errors.Join(errors.New("no leader"), context.Cause(ctx))
		}
	}
}

// Conn is the connection to a node, nil while there is none.
func (t *Tracker) Conn(addr string) *tarantool.Connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conns[addr]
}

// follow keeps one node connected and listens to what it says of the leader.
func (t *Tracker) follow(ctx context.Context, addr string) {
	for ctx.Err() == nil {
		conn, err := Connect(ctx, addr)
		if err == nil {
			t.serve(ctx, addr, conn)
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (t *Tracker) serve(ctx context.Context, addr string, conn *tarantool.Connection) {
	defer conn.Close()
	t.set(func() { t.conns[addr] = conn })
	defer t.set(func() { delete(t.conns, addr) })
	w, err := conn.NewWatcher("tarragon.leader", func(ev tarantool.WatchEvent) { t.heard(ev.Value) })
	if err != nil {
		return
	}
	defer w.Unregister()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Millisecond):
			if !conn.ConnectedNow() {
				return
			}
		}
	}
}

// heard takes a node's word: {id, uuid, name, uri, term}.
func (t *Tracker) heard(value any) {
	m, ok := value.(map[any]any)
	if !ok {
		return
	}
	uri, _ := m["uri"].(string)
	term := Number(m["term"])
	t.set(func() {
		if uri == "" || term < t.leader.Term || term == t.leader.Term && t.leader.Addr == uri {
			return
		}
		if t.leader.lost != nil {
			t.leader.lost()
		}
		lost, cancel := context.WithCancel(context.Background())
		t.leader = Leader{Addr: uri, Term: term, Lost: lost, lost: cancel}
	})
}

func (t *Tracker) set(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
	close(t.changed)
	t.changed = make(chan struct{})
}

// Number reads any integer that msgpack decodes to; 0 for anything else.
func Number(v any) uint64 {
	switch n := v.(type) {
	case int8:
		return uint64(n)
	case int16:
		return uint64(n)
	case int32:
		return uint64(n)
	case int64:
		return uint64(n)
	case uint8:
		return uint64(n)
	case uint16:
		return uint64(n)
	case uint32:
		return uint64(n)
	case uint64:
		return n
	}
	return 0
}

// Connect connects to one node as User, without reconnection.
func Connect(ctx context.Context, addr string) (*tarantool.Connection, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	dialer := tarantool.NetDialer{Address: addr, User: User, Password: Password}
	return tarantool.Connect(ctx, dialer, tarantool.Opts{Timeout: 20 * time.Second, SkipSchema: true, Concurrency: 32, Logger: quiet{}})
}

// quiet keeps the driver from writing to our standard error: answers to
// requests that were given up are no news here.
type quiet struct{}

// Report does nothing: what matters comes back as an error.
func (quiet) Report(tarantool.ConnLogKind, *tarantool.Connection, ...any) {}
