package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/anishathalye/porcupine"
	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
	"github.com/tarantool/go-tarantool/v2/pool"
)

// A linearizable read sees every write that was acknowledged before it, on
// followers as well, also while the leader changes.
func TestLinearizableReads(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	answers := make(chan struct{}, 10_000)
	for _, n := range r.Nodes {
		wg.Go(func() {
			for ctx.Err() == nil {
				key := l.newest()
				if conn := r.tracker.Conn(n.Addr); key != 0 && conn != nil {
					switch data, err := linearSelect(ctx, conn, key); {
					case err != nil: // no quorum, no connection: no promise
					case len(data) == 0:
						t.Errorf("%s does not show row %d, which was acknowledged before", n.Name, key)
					default:
						answers <- struct{}{}
					}
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	read := func(n int) {
		t.Helper()
		for range n {
			select {
			case <-answers:
			case <-time.After(patience):
				t.Fatal("reads get no answer")
			}
		}
	}
	read(200)
	old := r.leader()
	old.Kill()
	r.leaderAfter(old.term)
	l.more(100)
	read(200)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(old.Node, l.newest())
	read(200)
	cancel()
	wg.Wait()
	r.verify()
}

// A short history of one register, with two leaders killed, is linearizable:
// writes go to the leader, reads to any node.
func TestHistoryIsLinearizable(t *testing.T) {
	r := start(t, options{})
	h := &history{r: r, began: time.Now()}
	ctx, cancel := context.WithCancel(r.ctx)
	var wg sync.WaitGroup
	for id := range 3 {
		wg.Go(func() { h.write(ctx, id) })
		wg.Go(func() { h.read(ctx, id+3, r.Nodes[id]) })
	}
	for range 2 {
		h.more(60)
		old := r.leader()
		old.Kill()
		r.leaderAfter(old.term)
		h.more(60)
		if err := old.Start(); err != nil {
			t.Fatal(err)
		}
	}
	h.more(60)
	cancel()
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch result := porcupine.CheckOperationsTimeout(register, h.operations(), patience); result {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Log("the history was not checked to its end")
	default:
		t.Errorf("the history of %d operations is not linearizable", len(h.done))
	}
	t.Logf("%d operations, %d of them writes with an unknown outcome", len(h.done)+len(h.open), len(h.open))
}

// input is what a client asked for: a write of a value, or a read.
type input struct {
	write bool
	value uint64
}

var register = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, in, out any) (bool, any) {
		if i := in.(input); i.write {
			return true, i.value
		}
		return out.(uint64) == state.(uint64), state
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%v -> %v", in, out) },
}

// registerKey is the row that is the register.
const registerKey = 7

type history struct {
	r     *rig
	began time.Time

	mu   sync.Mutex
	next uint64
	done []porcupine.Operation
	open []porcupine.Operation // writes that may have happened, or may still
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// operations are all of them; what is open may take effect at any time.
func (h *history) operations() []porcupine.Operation {
	end := h.now()
	all := append([]porcupine.Operation(nil), h.done...)
	for _, o := range h.open {
		o.Return = end
		all = append(all, o)
	}
	return all
}

func (h *history) note(o porcupine.Operation, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known {
		h.done = append(h.done, o)
	} else {
		h.open = append(h.open, o)
	}
}

// more waits for n further operations.
func (h *history) more(n int) {
	h.r.t.Helper()
	want := -1
	h.r.until(fmt.Sprintf("%d operations", n), func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if want < 0 {
			want = len(h.done) + n
		}
		if len(h.done) < want {
			return fmt.Errorf("%d are missing", want-len(h.done))
		}
		return nil
	})
}

// write writes one value after the other. Each client has a number of its own
// for each write whose outcome it does not know: that operation never ends.
func (h *history) write(ctx context.Context, id int) {
	for ctx.Err() == nil {
		leader, err := h.r.tracker.Leader(ctx)
		if err != nil {
			return
		}
		h.mu.Lock()
		h.next++
		value := h.next
		h.mu.Unlock()
		try, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(leader.Lost, cancel)
		o := porcupine.Operation{ClientId: id, Input: input{true, value}, Output: uint64(0), Call: h.now()}
		_, err = leader.Conn.Do(tarantool.NewReplaceRequest(space).Tuple([]any{registerKey, fmt.Sprint(value)}).Context(try)).Get()
		o.Return = h.now()
		stop()
		cancel()
		if err == nil || !isRefusal(err) {
			h.note(o, err == nil)
		}
		pause(ctx, 2*time.Millisecond)
	}
}

func (h *history) read(ctx context.Context, id int, n *cluster.Node) {
	for ctx.Err() == nil {
		if conn := h.r.tracker.Conn(n.Addr); conn != nil {
			o := porcupine.Operation{ClientId: id, Input: input{}, Call: h.now()}
			data, err := linearSelect(ctx, conn, registerKey)
			o.Return = h.now()
			if err == nil {
				o.Output = registerValue(data)
				h.note(o, true)
			}
		}
		pause(ctx, 2*time.Millisecond)
	}
}

func registerValue(data []any) (v uint64) {
	if len(data) == 0 {
		return 0
	}
	row, _ := data[0].([]any)
	_, _ = fmt.Sscan(fmt.Sprint(row[1]), &v)
	return v
}

// pause keeps a client from taking a whole core.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// The driver's pool finds the new leader by itself.
func TestPoolFollowsTheLeader(t *testing.T) {
	r := start(t, options{})
	var instances []pool.Instance
	for _, n := range r.Nodes {
		instances = append(instances, pool.Instance{Name: n.Name,
			Dialer: tarantool.NetDialer{Address: n.Addr, User: cluster.User, Password: cluster.Password},
			Opts:   tarantool.Opts{SkipSchema: true, Timeout: patience, Reconnect: 50 * time.Millisecond, MaxReconnects: 1000, Logger: quiet{}}})
	}
	p, err := pool.ConnectWithOpts(r.ctx, instances, pool.Opts{CheckTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	acked := 0
	write := func(n int) {
		t.Helper()
		want := acked + n
		r.until(fmt.Sprintf("%d writes through the pool", n), func() error {
			for acked < want {
				key := r.nextKey.Add(1)
				r.byHand[key] = true
				ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
				_, err := p.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "pool"}).Context(ctx), pool.RW).Get()
				cancel()
				if err != nil {
					return err
				}
				acked++
			}
			return nil
		})
	}
	write(50)
	old := r.leader()
	old.Kill()
	write(50)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.oneLeader()
	write(50)
	r.verify()
}

// quiet keeps the pool's connections from writing to our standard error.
type quiet struct{}

// Report does nothing: what matters comes back as an error.
func (quiet) Report(tarantool.ConnLogKind, *tarantool.Connection, ...any) {}

const moreCredentials = `credentials:
  roles:
    clerk:
      privileges:
      - {permissions: [read, write], spaces: [orders]}
  users:
    alice: {password: alices-password, roles: [clerk]}
    bob:
      password: bobs-password
      privileges:
      - {permissions: [read], spaces: [orders]}
`

// Users, roles and privileges of the configuration hold on every leader.
func TestCredentials(t *testing.T) {
	r := newRig(t, options{})
	r.edit(func(yaml string) string { return strings.Replace(yaml, "credentials:\n  users:\n", moreCredentials, 1) })
	r.run()
	for round := range 2 {
		l := r.leader()
		key := r.nextKey.Add(1)
		r.byHand[key] = true
		r.until("alice writes", func() error { return r.insertAs(l, "alice", "alices-password", key) })
		r.until("bob reads", func() error { return r.readAs(l, "bob", "bobs-password", key) })
		if err := r.insertAs(l, "bob", "bobs-password", r.nextKey.Add(1)); code(err) != iproto.ER_ACCESS_DENIED {
			t.Errorf("bob writes: %v", err)
		}
		if err := r.readAs(l, "alice", "bobs-password", key); code(err) != iproto.ER_CREDS_MISMATCH {
			t.Errorf("alice with a wrong password: %v", err)
		}
		if round == 0 {
			l.Kill()
			r.leaderAfter(l.term)
			if err := l.Start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.verify()
}

func (r *rig) as(l leading, user, password string, req func(conn *tarantool.Connection) error) error {
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: l.Addr, User: user, Password: password},
		tarantool.Opts{SkipSchema: true, Timeout: patience, Logger: quiet{}})
	if err != nil {
		return err
	}
	defer conn.Close()
	return req(conn)
}

func (r *rig) insertAs(l leading, user, password string, key uint64) error {
	return r.as(l, user, password, func(conn *tarantool.Connection) error {
		_, err := conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, user}).Context(r.ctx)).Get()
		if code(err) == iproto.ER_TUPLE_FOUND {
			return nil // an earlier attempt came through
		}
		return err
	})
}

func (r *rig) readAs(l leading, user, password string, key uint64) error {
	return r.as(l, user, password, func(conn *tarantool.Connection) error {
		data, err := conn.Do(tarantool.NewSelectRequest(space).Index(uint32(0)).Key([]any{key}).Context(r.ctx)).Get()
		if err == nil && len(data) == 0 {
			err = errors.New("the row is not there")
		}
		return err
	})
}

// A node with a wrong password for its peers says so in its status.
func TestWrongReplicationPassword(t *testing.T) {
	r := start(t, options{})
	stranger := r.others(r.leader().Node)[0]
	stranger.Kill()
	r.editOf(stranger, func(yaml string) string {
		return strings.Replace(yaml, "password: replicator-password", "password: wrong", 1)
	})
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	r.until("its status says so", func() error {
		text, _ := r.tool("status", "--config", r.Config)
		if !strings.Contains(text, "Incorrect password") && !strings.Contains(text, "incorrect password") &&
			!strings.Contains(text, "User not found or supplied credentials are invalid") {
			return errors.New(text)
		}
		return nil
	})
	r.startLoad(20).more(50)
	r.verify(r.others(stranger)...)
}
