package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// probeEvery is how often each node is asked to write, and so how fine times
// to the next commit are.
const probeEvery = 2 * time.Millisecond

// probe asks all nodes to write one row after the other, whoever leads, and
// sees when one of them says that it is committed.
type probe struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	space  uint32

	mu      sync.Mutex
	acked   []uint64      // keys; read without the lock after stop
	since   time.Time     // of the writes that nextCommit looks for
	first   time.Time     // when the first of them was acknowledged; zero: none was
	changed chan struct{} // closed and replaced at each commit
}

// lastKey numbers the rows of all probes.
var lastKey atomic.Uint64

func startProbe(ctx context.Context, rs *replicaset, space uint32) *probe {
	ctx, cancel := context.WithCancel(ctx)
	p := &probe{cancel: cancel, space: space, changed: make(chan struct{})}
	for _, n := range rs.Nodes {
		p.wg.Go(func() { p.ask(ctx, n.Addr) })
	}
	return p
}

func (p *probe) stop() {
	p.cancel()
	p.wg.Wait()
}

// ask works on one node, and connects to it again whenever it comes back.
func (p *probe) ask(ctx context.Context, addr string) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var conn *tarantool.Connection
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if conn == nil || !conn.ConnectedNow() {
			if conn != nil {
				conn.Close()
			}
			var err error
			if conn, err = load.Admin(ctx, addr, cluster.User, cluster.Password); err != nil {
				conn = nil
				continue
			}
		}
		p.write(ctx, conn)
	}
}

func (p *probe) write(ctx context.Context, conn *tarantool.Connection) {
	key := lastKey.Add(1)
	sent := time.Now()
	_, err := conn.Do(tarantool.NewReplaceRequest(p.space).Tuple([]any{key, "probe"}).Context(ctx)).Get()
	if err != nil {
		return
	}
	done := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = append(p.acked, key)
	if p.first.IsZero() && sent.After(p.since) {
		p.first = done
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// commits waits for n commits from now on.
func (p *probe) commits(ctx context.Context, n int) error {
	p.mu.Lock()
	want := len(p.acked) + n
	p.mu.Unlock()
	return p.until(ctx, func() bool { return len(p.acked) >= want })
}

// nextCommit waits for the first commit of a write that is sent from now on,
// and returns when it came. Answers to what was sent before may still be on
// their way from a leader that is gone: they do not count.
func (p *probe) nextCommit(ctx context.Context) (at time.Time, err error) {
	p.mu.Lock()
	p.since, p.first = time.Now(), time.Time{}
	p.mu.Unlock()
	err = p.until(ctx, func() bool {
		at = p.first
		return !at.IsZero()
	})
	return at, err
}

// until waits until seen, which is called under the lock after each commit.
func (p *probe) until(ctx context.Context, seen func() bool) error {
	for {
		p.mu.Lock()
		yes, n, changed := seen(), len(p.acked), p.changed
		p.mu.Unlock()
		if yes {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no further commit after %d: %w", n, context.Cause(ctx))
		}
	}
}

// missing counts the keys that the leader does not hold.
func (rs *replicaset) missing(ctx context.Context, space uint32, keys []uint64) (n int, err error) {
	conn, _, err := rs.leader(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return countMissing(ctx, conn, space, keys)
}
