package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

// Plain clients read and write through a router while leaders are killed. No read sees an error, and of
// the writes only those that were on their way: their outcome is unknown, and each one
// that was acknowledged is there once.
func TestRouterHidesFailovers(t *testing.T) {
	r := start(t, options{})
	rw, _, _ := r.startRouter()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	written := map[uint64]bool{}
	reads, unknown := 0, 0
	for i := range 8 {
		conn := r.connectRouter(rw)
		wg.Go(func() {
			for n := uint64(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				key := uint64(1_000_000*(i+1)) + n
				_, err := conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "x"})).Get()
				mu.Lock()
				written[key] = err == nil
				if err != nil && !isUnknown(err) {
					t.Errorf("write: %v", err)
				} else if err != nil {
					unknown++
				}
				mu.Unlock()
			}
		})
		other := r.connectRouter(rw)
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := other.Do(tarantool.NewSelectRequest(space).Limit(1).Iterator(tarantool.IterAll)).Get()
				mu.Lock()
				reads++
				mu.Unlock()
				if err != nil {
					t.Errorf("read: %v", err)
				}
			}
		})
	}
	more := func(n int) {
		t.Helper()
		count := func() int { mu.Lock(); defer mu.Unlock(); return len(written) }
		from := count()
		r.until(fmt.Sprintf("%d more writes", n), func() error {
			if have := count(); have < from+n {
				return fmt.Errorf("%d of them", have-from)
			}
			return nil
		})
	}
	more(100)
	const kills = 3
	for range kills {
		old := r.leader()
		old.Kill()
		r.leaderAfter(old.term)
		more(100)
		if err := old.Start(); err != nil {
			t.Fatal(err)
		}
		r.until("it is back", func() error { return r.knows(old.Node, len(r.Nodes)) })
	}
	close(stop)
	wg.Wait()
	t.Logf("%d writes, %d of them with an unknown outcome, %d reads", len(written), unknown, reads)
	if unknown > 8*kills {
		t.Errorf("%d unknown outcomes: at most one for each client and kill", unknown)
	}
	conn := r.connectRouter(rw)
	for key, ok := range written {
		data, err := conn.Do(tarantool.NewSelectRequest(space).Key([]any{key}).Limit(1).Iterator(tarantool.IterEq)).Get()
		if err != nil || ok && len(data) != 1 {
			t.Fatalf("row %d: %v, %v", key, data, err)
		}
	}
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
}

// isUnknown tells whether an error says that nobody knows.
func isUnknown(err error) bool {
	var e tarantool.Error
	return errors.As(err, &e) && e.Code == 295
}
