package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/peer"
	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
	_ "github.com/tarantool/go-tarantool/v2/uuid" // errors of READONLY have some
)

// Load beside moves of leadership: plain connections, one request at a time each, that
// never retry.
const (
	writers    = 16
	writeRate  = 5000 // a second, of all
	betweenTwo = 200 * time.Millisecond
)

// mover moves leadership between nodes, in one way.
type mover struct {
	name  string
	nodes []string // their names
	conns []*tarantool.Connection
	move  func(ctx context.Context, m *mover, from, to int) error
}

// printSwitchovers moves leadership often, under load: by switchover, by promote of another
// node and, where Tarantool is a peer, by its demote and promote.
func printSwitchovers(ctx context.Context, b *bench) error {
	fmt.Fprintf(b.out, "\nmoves of leadership under %d writes/s by %d connections that never retry\n\n", writeRate, writers)
	var rows [][]string
	var failed error
	take := func(m *moves, err error) {
		if m != nil {
			rows = append(rows, m.cells())
			b.report.Records = append(b.report.Records, m.record())
		}
		failed = errors.Join(failed, err)
	}
	for _, how := range []struct {
		name string
		move func(ctx context.Context, m *mover, from, to int) error
	}{{"switchover", switchOver}, {"promote of another", promoteOther}} {
		take(b.moveOurs(ctx, how.name, how.move))
	}
	if slices.Contains(b.f.peers, "tarantool") {
		take(b.moveTarantool(ctx))
	}
	head := []string{"move", "times", "writes", "failed", "lost", "longest wait p50", "p90", "p99", "max", "call p50"}
	return errors.Join(printTable(b.out, head, rows), failed)
}

func switchOver(ctx context.Context, m *mover, from, to int) error {
	_, err := m.conns[from].Do(tarantool.NewCallRequest("box.ctl.switchover").Args([]any{map[string]any{"to": m.nodes[to], "reason": "bench"}}).Context(ctx)).Get()
	return err
}

func promoteOther(ctx context.Context, m *mover, _, to int) error {
	return patiently(ctx, func() error {
		_, err := m.conns[to].Do(tarantool.NewCallRequest("box.ctl.promote").Context(ctx)).Get()
		return err
	})
}

func demotePromote(ctx context.Context, m *mover, from, to int) error {
	if _, err := m.conns[from].Do(tarantool.NewEvalRequest("box.ctl.demote()").Context(ctx)).Get(); err != nil {
		return err
	}
	return promoteOther(ctx, m, from, to)
}

// patiently asks again: a promotion that others interfere with is an error on both sides.
func patiently(ctx context.Context, do func() error) error {
	limit, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("no leader in 30s"))
	defer cancel()
	return cluster.Until(limit, do)
}

func (b *bench) moveOurs(ctx context.Context, name string, move func(ctx context.Context, m *mover, from, to int) error) (*moves, error) {
	rs, err := startNodes(ctx, b.f, nil)
	if err != nil {
		return nil, err
	}
	defer rs.stop()
	m := &mover{name: name, move: move}
	for _, n := range rs.Nodes {
		m.nodes = append(m.nodes, n.Name)
	}
	done, err := m.run(ctx, b.f.switchovers, rs.Addrs(), cluster.User, cluster.Password)
	return done, rs.blame(err)
}

func (b *bench) moveTarantool(ctx context.Context) (*moves, error) {
	set, err := peer.FindTarantool(b.f.tarantool)
	if err != nil {
		return nil, err
	}
	dir, err := startPeer(ctx, b.f, shape{nodes: 3, wal: b.f.wal}, set)
	if err != nil {
		return nil, err
	}
	t := newTarantoolTarget(set, dir)
	defer t.stop()
	m := &mover{name: "Tarantool " + set.Version + ": demote, promote", nodes: set.Addrs(), move: demotePromote}
	done, err := m.run(ctx, b.f.switchovers, set.Addrs(), "", "")
	return done, t.blame(err)
}

// run moves leadership so many times while writers write.
func (m *mover) run(ctx context.Context, times int, addrs []string, user, password string) (*moves, error) {
	for _, addr := range addrs {
		conn, err := load.Admin(ctx, addr, user, password)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		m.conns = append(m.conns, conn)
	}
	if user == "" { // Tarantools, of which all but one are voters
		for _, conn := range m.conns {
			if _, err := conn.Do(tarantool.NewEvalRequest("box.cfg{election_mode = 'manual'}").Context(ctx)).Get(); err != nil {
				return nil, err
			}
		}
		if err := promoteOther(ctx, m, 0, 0); err != nil {
			return nil, err
		}
	}
	lead, addr, err := findLeader(ctx, addrs, user, password)
	if err != nil {
		return nil, err
	}
	space, err := makeSpace(ctx, lead, syncSpace, true, 0)
	lead.Close()
	if err != nil {
		return nil, err
	}
	w, err := startWriters(ctx, addrs, user, password, space, slices.Index(addrs, addr))
	if err != nil {
		return nil, err
	}
	defer w.stop()
	done := &moves{name: m.name}
	for i := range times + 1 {
		time.Sleep(betweenTwo)
		if err := ctx.Err(); err != nil {
			return done, err
		}
		from := int(w.node.Load())
		to := (from + 1 + i%2) % len(addrs)
		began := time.Now()
		if err := m.move(ctx, m, from, to); err != nil {
			return done, fmt.Errorf("move %d: %w", i+1, err)
		}
		took := time.Since(began)
		w.node.Store(int32(to))
		time.Sleep(betweenTwo)
		if longest := w.longest(); i > 0 { // the first one warms up
			done.waits = append(done.waits, longest)
			done.calls = append(done.calls, took)
		}
	}
	w.stop()
	done.writes, done.failed, done.why = len(w.acked)+w.failed, w.failed, w.why
	done.lost, err = countMissing(ctx, m.conns[w.node.Load()], space, w.acked)
	return done, err
}

// moves is what moves of one kind have shown.
type moves struct {
	name                 string
	waits, calls         []time.Duration // of each move: the longest wait of a write about it, and how long the call took
	writes, failed, lost int
	why                  string // the first failure
}

func (m *moves) cells() []string {
	cells := []string{m.name, fmt.Sprint(len(m.waits)), fmt.Sprint(m.writes), fmt.Sprint(m.failed), fmt.Sprint(m.lost)}
	for _, q := range []float64{0.5, 0.9, 0.99, 1} {
		cells = append(cells, tenths(result.Quantile(nanos(m.waits), q)))
	}
	if cells = append(cells, tenths(result.Quantile(nanos(m.calls), 0.5))); m.why != "" {
		cells[3] += fmt.Sprintf(" (%.40s ...)", m.why)
	}
	return cells
}

func tenths(ns float64) string { return fmt.Sprintf("%.1fms", ns/1e6) }

func nanos(all []time.Duration) (ns []float64) {
	for _, d := range all {
		ns = append(ns, float64(d))
	}
	return ns
}

func (m *moves) record() result.Record {
	r := result.Record{Line: "moves: " + m.name, System: ours}
	for _, w := range m.waits {
		r.Samples = append(r.Samples, float64(w.Microseconds())/1000)
	}
	for _, q := range quantiles {
		r.Figures = append(r.Figures, result.Figure{Name: q.name, Unit: result.Millis, Value: result.Quantile(r.Samples, q.q)})
	}
	r.Figures = append(r.Figures, result.Figure{Name: "failed", Value: float64(m.failed)}, result.Figure{Name: "lost", Value: float64(m.lost)})
	return r
}

// writerSet writes rows of its own, each by one connection after the other, to the node
// that leads as far as its operator knows.
type writerSet struct {
	node   atomic.Int32
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	acked  []uint64 // read without the lock after stop
	failed int
	why    string
	most   time.Duration // longest wait of a write that was acknowledged since longest was asked
}

func startWriters(ctx context.Context, addrs []string, user, password string, space uint32, node int) (*writerSet, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &writerSet{cancel: cancel}
	w.node.Store(int32(node))
	for range writers {
		var conns []*tarantool.Connection
		for _, addr := range addrs {
			conn, err := load.Admin(ctx, addr, user, password)
			if err != nil {
				closeAll(conns)
				w.stop()
				return nil, err
			}
			conns = append(conns, conn)
		}
		w.wg.Go(func() {
			defer closeAll(conns)
			w.write(ctx, conns, space)
		})
	}
	return w, nil
}

func (w *writerSet) write(ctx context.Context, conns []*tarantool.Connection, space uint32) {
	tick := time.NewTicker(time.Second * writers / writeRate)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		key, began := lastKey.Add(1), time.Now()
		_, err := conns[w.node.Load()].Do(tarantool.NewReplaceRequest(space).Tuple([]any{key, "moved"})).Get()
		w.note(key, time.Since(began), err)
	}
}

func (w *writerSet) note(key uint64, took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.failed++; w.why == "" {
			w.why = err.Error()
		}
		return
	}
	w.acked = append(w.acked, key)
	w.most = max(w.most, took)
}

// longest is the longest wait since it was asked last.
func (w *writerSet) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	most := w.most
	w.most = 0
	return most
}

func (w *writerSet) stop() {
	w.cancel()
	w.wg.Wait()
}

// countMissing counts the keys that a node does not show.
func countMissing(ctx context.Context, conn *tarantool.Connection, space uint32, keys []uint64) (n int, err error) {
	for _, key := range keys {
		rows, err := conn.Do(tarantool.NewSelectRequest(space).Index(uint32(0)).Limit(1).Iterator(tarantool.IterEq).Key([]any{key}).Context(ctx)).Get()
		if err != nil {
			return n, err
		}
		if len(rows) == 0 {
			n++
		}
	}
	return n, nil
}
