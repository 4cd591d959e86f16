package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// Load beside failovers that a router hides: plain connections to its port rw, one request at a time each, that never
// retry.
const (
	hiddenPart    = "hidden failovers"
	hiddenClients = 64
	hiddenRate    = 1600 // writes a second, of all
	hiddenCounts  = 8    // counters that they share
)

// hiddenKinds are the ways in which the leader is lost.
var hiddenKinds = []struct {
	name   string
	strike func(ctx context.Context, rs *replicaset, leader int) error
	repair func(rs *replicaset, leader int) error
}{
	{"SIGKILL", faults[0].strike, faults[0].repair},
	{"SIGSTOP", faults[1].strike, faults[1].repair},
	{"switchover", switchAway, func(*replicaset, int) error { return nil }},
}

// switchAway moves leadership to the next node.
func switchAway(ctx context.Context, rs *replicaset, leader int) error {
	return patiently(ctx, func() error {
		conn, err := load.Admin(ctx, rs.Nodes[leader].Addr, cluster.User, cluster.Password)
		if err != nil {
			return err
		}
		defer conn.Close()
		to := rs.Nodes[(leader+1)%len(rs.Nodes)].Name
		_, err = call(ctx, conn, "box.ctl.switchover", map[string]any{"to": to, "reason": "bench"})
		return err
	})
}

// printHidden loses the leader often, in each way, under clients of a router.
func printHidden(ctx context.Context, b *bench) error {
	fmt.Fprintf(b.out, "\nfailovers under %d writes/s by %d plain connections to a router, that never retry\n\n", hiddenRate, hiddenClients)
	rs, err := startNodes(ctx, b.f, nil)
	if err != nil {
		return err
	}
	defer rs.stop()
	h, err := startHidden(ctx, rs)
	if err != nil {
		return rs.blame(err)
	}
	defer h.end()
	var rows [][]string
	var failed error
	for _, kind := range hiddenKinds {
		h.begin()
		for i := range b.f.hidden {
			if failed = h.lose(ctx, kind.strike, kind.repair); failed != nil {
				failed = fmt.Errorf("%s %d: %w", kind.name, i+1, failed)
				break
			}
		}
		found, err := h.verify(ctx)
		failed = errors.Join(failed, err)
		rows = append(rows, found.cells(kind.name))
		b.report.Records = append(b.report.Records, found.record(kind.name))
		if failed != nil {
			break
		}
	}
	head := []string{"the leader is lost by", "times", "writes", "errors", "lost", "twice", "longest wait p50", "p90", "p99", "max"}
	return errors.Join(printTable(b.out, head, rows), rs.blame(failed))
}

// hiddenRun is a router in front of a replica set, and its clients.
type hiddenRun struct {
	rs      *replicaset
	router  cluster.Process
	rw      string
	space   uint32
	cancel  context.CancelFunc
	clients sync.WaitGroup
	calm    sync.RWMutex // clients have the shared side of it for each write

	mu    sync.Mutex
	more  *sync.Cond // somebody has written
	found hiddenFound
	done  [hiddenClients]int // writes of each that were answered
	most  time.Duration      // the longest wait since the leader was lost
	acked []uint64           // keys of rows
	added uint64             // to all counters
}

// hiddenFound is what clients saw of failovers of one kind.
type hiddenFound struct {
	waits                       []time.Duration // the longest of each failover
	writes, errors, lost, twice int
	why                         string // the first error
}

// startHidden makes the spaces, and starts a router and its clients.
func startHidden(ctx context.Context, rs *replicaset) (*hiddenRun, error) {
	h := &hiddenRun{rs: rs, router: cluster.Process{Log: filepath.Join(rs.dir, "router.log")}}
	h.more = sync.NewCond(&h.mu)
	conn, _, err := rs.leader(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := patiently(ctx, func() error { _, err := call(ctx, conn, "tarragon.feature_raise"); return err }); err != nil {
		return nil, err
	}
	if h.space, err = makeSpace(ctx, conn, syncSpace, true, 0); err != nil {
		return nil, err
	}
	for i := range uint64(hiddenCounts) {
		if _, err := conn.Do(tarantool.NewInsertRequest(h.space).Tuple([]any{i, 0}).Context(ctx)).Get(); err != nil {
			return nil, err
		}
	}
	if h.rw, err = cluster.FreeAddr(); err != nil {
		return nil, err
	}
	if err := h.router.Start(exec.Command(rs.binary, "router", "--config", rs.Config, "--rw", h.rw)); err != nil {
		return nil, err
	}
	ctx, h.cancel = context.WithCancel(ctx)
	for i := range hiddenClients {
		var client *tarantool.Connection
		err := patiently(ctx, func() (err error) {
			client, err = load.Admin(ctx, h.rw, cluster.User, cluster.Password)
			return err
		})
		if err != nil {
			h.end()
			return nil, err
		}
		h.clients.Go(func() {
			defer client.Close()
			h.write(ctx, client, i)
		})
	}
	return h, nil
}

func (h *hiddenRun) end() {
	h.cancel()
	h.clients.Wait()
	h.router.Kill()
}

// write inserts a row and adds 1 to a counter, in turns.
func (h *hiddenRun) write(ctx context.Context, conn *tarantool.Connection, who int) {
	tick := time.NewTicker(time.Second * hiddenClients / hiddenRate)
	defer tick.Stop()
	for n := uint64(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		key := uint64(who+1)<<32 | n
		var req tarantool.Request = tarantool.NewInsertRequest(h.space).Tuple([]any{key, 0})
		if n%2 == 1 {
			req = tarantool.NewUpdateRequest(h.space).Index(uint32(0)).Key([]any{n % hiddenCounts}).Operations(tarantool.NewOperations().Add(1, 1))
		}
		h.calm.RLock()
		began := time.Now()
		_, err := conn.Do(req).Get()
		h.note(who, key, n%2 == 1, time.Since(began), err)
		h.calm.RUnlock()
	}
}

func (h *hiddenRun) note(who int, key uint64, counts bool, took time.Duration, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := &h.found
	f.writes++
	switch {
	case err != nil:
		if f.errors++; f.why == "" {
			f.why = err.Error()
		}
	case counts:
		h.added++
	default:
		h.acked = append(h.acked, key)
	}
	h.done[who]++
	h.most = max(h.most, took)
	h.more.Broadcast()
}

func (h *hiddenRun) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.found = hiddenFound{}
}

// allWrite waits until each client has had so many more answers.
func (h *hiddenRun) allWrite(ctx context.Context, n int) error {
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.more.Broadcast()
	})
	defer stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	from := h.done
	for {
		waits := false
		for i := range from {
			waits = waits || h.done[i] < from[i]+n
		}
		if !waits || ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h.more.Wait()
	}
}

// lose takes the leader away while all clients write, and brings it back when each of them goes on.
func (h *hiddenRun) lose(ctx context.Context, strike func(context.Context, *replicaset, int) error, repair func(*replicaset, int) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("not over in two minutes"))
	defer cancel()
	if err := h.allWrite(ctx, 2); err != nil {
		return err
	}
	conn, leader, err := h.rs.leader(ctx)
	if err != nil {
		return err
	}
	conn.Close()
	h.mu.Lock()
	h.most = 0
	h.mu.Unlock()
	if err := strike(ctx, h.rs, leader); err != nil {
		return err
	}
	err = h.allWrite(ctx, 3) // the first may have been answered before
	h.mu.Lock()
	h.found.waits = append(h.found.waits, h.most)
	h.mu.Unlock()
	if err := errors.Join(err, repair(h.rs, leader)); err != nil {
		return err
	}
	h.calm.Lock() // the nodes come to the same rows only while nobody writes
	defer h.calm.Unlock()
	return h.rs.settle(ctx)
}

// verify looks for all rows, and compares the counters with what was added.
func (h *hiddenRun) verify(ctx context.Context) (hiddenFound, error) {
	h.calm.Lock()
	defer h.calm.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	f := &h.found
	conn, _, err := h.rs.leader(ctx)
	if err != nil {
		return *f, err
	}
	defer conn.Close()
	if f.lost, err = countMissing(ctx, conn, h.space, h.acked); err != nil {
		return *f, err
	}
	h.acked = h.acked[:0]
	rows, err := conn.Do(tarantool.NewSelectRequest(h.space).Index(uint32(0)).Limit(hiddenCounts).Iterator(tarantool.IterGe).Key([]any{0}).Context(ctx)).Get()
	if err != nil {
		return *f, err
	}
	sum := uint64(0)
	for _, row := range rows {
		n, err := strconv.ParseUint(fmt.Sprint(row.([]any)[1]), 10, 64)
		if err != nil {
			return *f, err
		}
		sum += n
	}
	if sum < h.added {
		f.lost += int(h.added - sum)
	} else {
		f.twice = int(sum - h.added)
	}
	h.added = sum
	if f.errors+f.lost+f.twice > 0 {
		err = fmt.Errorf("%d errors, %d lost, %d twice; the first error: %s", f.errors, f.lost, f.twice, f.why)
	}
	return *f, err
}

func (f *hiddenFound) cells(kind string) []string {
	cells := []string{kind, fmt.Sprint(len(f.waits)), fmt.Sprint(f.writes), fmt.Sprint(f.errors), fmt.Sprint(f.lost), fmt.Sprint(f.twice)}
	for _, q := range []float64{0.5, 0.9, 0.99, 1} {
		cells = append(cells, tenths(result.Quantile(nanos(slices.Clone(f.waits)), q)))
	}
	return cells
}

func (f *hiddenFound) record(kind string) result.Record {
	r := result.Record{Line: "hidden failovers: " + kind, System: ours}
	for _, w := range f.waits {
		r.Samples = append(r.Samples, float64(w.Microseconds())/1000)
	}
	for _, q := range quantiles {
		r.Figures = append(r.Figures, result.Figure{Name: q.name, Unit: result.Millis, Value: result.Quantile(r.Samples, q.q)})
	}
	r.Figures = append(r.Figures, result.Figure{Name: "errors", Value: float64(f.errors)}, result.Figure{Name: "lost", Value: float64(f.lost)}, result.Figure{Name: "twice", Value: float64(f.twice)})
	return r
}
