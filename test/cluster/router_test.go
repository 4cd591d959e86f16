package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// startRouter runs a router in front of the replica set.
func (r *rig) startRouter(args ...string) (rw, ro string, p *cluster.Process) {
	r.t.Helper()
	rw, err := cluster.FreeAddr()
	if err == nil {
		ro, err = cluster.FreeAddr()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	p = &cluster.Process{Log: filepath.Join(r.dir, "router.log")}
	args = append([]string{"router", "--config", r.Config, "--rw", rw, "--ro", ro, "--log-level", "debug"}, args...)
	if err := p.Start(exec.Command(binary, args...)); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		p.Kill()
		if r.t.Failed() {
			r.t.Logf("the last words of the router:\n%s", p.Tail(40))
		}
	})
	return rw, ro, p
}

// connectRouter connects as any client of Tarantool would, without code for failovers.
func (r *rig) connectRouter(addr string) (conn *tarantool.Connection) {
	r.t.Helper()
	r.until("the router answers at "+addr, func() (err error) {
		ctx, cancel := context.WithTimeout(r.ctx, patience)
		defer cancel()
		conn, err = tarantool.Connect(ctx, tarantool.NetDialer{Address: addr, User: cluster.User, Password: cluster.Password},
			tarantool.Opts{Timeout: patience})
		return err
	})
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// plainLoad is clients that insert numbered rows, add 1 to counters that they share, and read, without code for
// failovers: of a router, or of what hides them else.
type plainLoad struct {
	r    *rig
	to   func() tarantool.Doer // for another client
	stop chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	rows  []uint64 // that were acknowledged
	added uint64   // to all counters
	reads int
}

const (
	plainClients = 8
	counters     = 3
	firstCounter = 1 << 40 // keys of rows are below it
)

// startPlainLoad makes the counters, and starts clients.
func (r *rig) startPlainLoad(to func() tarantool.Doer) *plainLoad {
	r.t.Helper()
	l := &plainLoad{r: r, to: to, stop: make(chan struct{})}
	conn := to()
	for i := range counters {
		if _, err := conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{firstCounter + uint64(i), "counter", 0})).Get(); err != nil {
			r.t.Fatal(err)
		}
	}
	for i := range plainClients {
		conn, other := to(), to()
		l.wg.Go(func() { l.writes(conn, uint64(i+1)<<20) })
		l.wg.Go(func() { l.readsAll(other) })
	}
	return l
}

func (l *plainLoad) ended() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *plainLoad) writes(conn tarantool.Doer, from uint64) {
	for key := from; !l.ended(); key++ {
		_, err := conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "x"})).Get()
		if err != nil {
			l.r.t.Errorf("row %d: %v", key, err)
			continue
		}
		l.mu.Lock()
		l.rows = append(l.rows, key)
		l.mu.Unlock()
		_, err = conn.Do(tarantool.NewUpdateRequest(space).Index(0).Key([]any{firstCounter + key%counters}).Operations(tarantool.NewOperations().Add(2, 1))).Get()
		if err != nil {
			l.r.t.Errorf("a counter: %v", err)
			continue
		}
		l.mu.Lock()
		l.added++
		l.mu.Unlock()
	}
}

func (l *plainLoad) readsAll(conn tarantool.Doer) {
	for !l.ended() {
		_, err := conn.Do(tarantool.NewSelectRequest(space).Index(0).Limit(1).Iterator(tarantool.IterAll)).Get()
		if err != nil {
			l.r.t.Errorf("read: %v", err)
		}
		l.mu.Lock()
		l.reads++
		l.mu.Unlock()
	}
}

// more waits for n more acknowledged writes.
func (l *plainLoad) more(n int) {
	l.r.t.Helper()
	count := func() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.rows) }
	from := count()
	l.r.until(fmt.Sprintf("%d more writes", n), func() error {
		if have := count(); have < from+n {
			return fmt.Errorf("%d of them", have-from)
		}
		return nil
	})
}

// verify stops the clients: each row is there, and the counters are what was acknowledged.
func (l *plainLoad) verify() {
	l.r.t.Helper()
	close(l.stop)
	l.wg.Wait()
	l.r.t.Logf("%d rows, %d added, %d reads", len(l.rows), l.added, l.reads)
	conn := l.to()
	get := func(key uint64) []any {
		data, err := conn.Do(tarantool.NewSelectRequest(space).Index(0).Key([]any{key}).Limit(1).Iterator(tarantool.IterEq)).Get()
		if err != nil || len(data) != 1 {
			l.r.t.Fatalf("row %d: %v, %v", key, data, err)
		}
		return data[0].([]any)
	}
	for _, key := range l.rows {
		get(key)
	}
	sum := uint64(0)
	for i := range counters {
		n, err := strconv.ParseUint(fmt.Sprint(get(firstCounter + uint64(i))[2]), 10, 64)
		if err != nil {
			l.r.t.Fatal(err)
		}
		sum += n
	}
	if sum != l.added {
		l.r.t.Errorf("the counters are at %d, and %d was added", sum, l.added)
	}
}

// Plain clients write and read through a router while leaders are killed, stopped and moved.
func TestRouterHidesFailovers(t *testing.T) {
	r := start(t, options{})
	r.raiseFeature()
	rw, _, p := r.startRouter("--hold-time", "2m")
	r.hidesFailovers(func() tarantool.Doer { return r.connectRouter(rw) })
	if n := r.openSessions(); n == 0 {
		t.Error("the router has no session")
	}
	p.Signal(syscall.SIGTERM)
	<-p.Exited()
	if n := r.openSessions(); n != 0 {
		t.Errorf("%d sessions of a router that has stopped", n)
	}
}

// openSessions is how many exactly-once sessions there are, as the leader knows them.
func (r *rig) openSessions() int {
	r.t.Helper()
	info, err := r.info(r.leader().Node)
	if err != nil {
		r.t.Fatal(err)
	}
	own, _ := info["tarragon"].(map[any]any)
	sessions, _ := own["sessions"].(map[any]any)
	n, err := strconv.Atoi(fmt.Sprint(sessions["open"]))
	if err != nil {
		r.t.Fatalf("%v: %v", sessions, err)
	}
	return n
}

// hidesFailovers has leaders killed, stopped and moved under clients without code for that: no request of theirs
// fails, and each is done once. Who was stopped wakes with what was on its way to it.
func (r *rig) hidesFailovers(to func() tarantool.Doer) {
	r.t.Helper()
	l := r.startPlainLoad(to)
	l.more(50)
	old := r.leader()
	killed := old.Node
	killed.Kill()
	r.leaderAfter(old.term)
	l.more(50)
	if err := killed.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.until("it is back", func() error { return r.knows(killed, len(r.Nodes)) })
	l.more(50)
	old = r.leader()
	old.Pause()
	r.leaderAfter(old.term)
	l.more(50)
	old.Resume()
	r.readOnly(old.Node)
	l.more(50)
	old = r.leader()
	if out, exit := r.switchoverBy(r.Config); exit != 0 {
		r.t.Error(out)
	}
	r.leaderAfter(old.term)
	l.more(50)
	l.verify()
}

// The router in an instance serves whoever leads, and no write fails while leadership moves on
// purpose: what the old leader refuses waits for the new one.
func TestRouterInAnInstance(t *testing.T) {
	r := newRig(t, options{})
	rw, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	first := r.Nodes[0]
	r.editOf(first, func(yaml string) string {
		head := "          " + first.Name + ":\n"
		return strings.Replace(yaml, head, head+"            tarragon: {router: {rw: '"+rw+"'}}\n", 1)
	})
	r.run()
	conn := r.connectRouter(rw)
	key := uint64(0)
	write := func() {
		t.Helper()
		key++
		if _, err := conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "x"})).Get(); err != nil {
			t.Fatalf("row %d: %v", key, err)
		}
	}
	for range 3 {
		old := r.leader()
		write()
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for n := uint64(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := conn.Do(tarantool.NewReplaceRequest(space).Tuple([]any{1_000_000 + n%100, "y"})).Get(); err != nil {
					t.Errorf("while leadership moves: %v", err)
				}
			}
		}()
		if out, exit := r.switchoverBy(r.Config); exit != 0 {
			t.Error(out)
		}
		r.leaderAfter(old.term)
		close(stop)
		<-done
		write()
	}
	if out, _ := r.tool("status", "--config", r.Config); !strings.Contains(out, "router at "+first.Name+":\n  rw leads to "+r.leader().Name+" (") || !strings.Contains(out, " 3 failovers, ") {
		t.Errorf("status: %s", out)
	}
}
