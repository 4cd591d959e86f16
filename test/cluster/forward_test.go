package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
	_ "github.com/tarantool/go-tarantool/v2/uuid" // READONLY names the leader
)

// plain are clients that each have one connection, to a node that they were told once,
// and never retry: what fails has failed.
type plain struct {
	r    *rig
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	done    int
	keys    []uint64
	failed  []string
	longest time.Duration
	more    chan struct{}
}

// plainClients lets n of them write to each node. readsOwn: each reads its row where it
// has written it.
func (r *rig) plainClients(n int, readsOwn bool, nodes ...*cluster.Node) *plain {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.ctx)
	p := &plain{r: r, stop: cancel, more: make(chan struct{}, 1)}
	r.t.Cleanup(cancel)
	for _, node := range nodes {
		for range n {
			conn, err := cluster.Connect(r.ctx, node.Addr)
			if err != nil {
				r.t.Fatal(err)
			}
			p.wg.Go(func() {
				defer conn.Close()
				for ctx.Err() == nil {
					p.write(node, conn, readsOwn)
				}
			})
		}
	}
	return p
}

func (p *plain) write(node *cluster.Node, conn *tarantool.Connection, readsOwn bool) {
	key := p.r.nextKey.Add(1)
	began := time.Now()
	_, err := conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "plain"}).Context(p.r.ctx)).Get()
	took := time.Since(began)
	said := ""
	if err != nil {
		said = fmt.Sprintf("a write at %s, after %v: %v", node.Name, took, err)
	} else if readsOwn {
		data, err := conn.Do(tarantool.NewSelectRequest(space).Index(uint32(0)).Iterator(tarantool.IterEq).Key([]any{key}).Context(p.r.ctx)).Get()
		if err != nil || len(data) != 1 {
			said = fmt.Sprintf("%s does not show row %d to who wrote it there: %v, %v", node.Name, key, data, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.longest = max(p.longest, took)
	if said != "" && p.r.ctx.Err() == nil {
		p.failed = append(p.failed, said)
	} else {
		p.keys = append(p.keys, key)
	}
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// wait lets so many more writes end.
func (p *plain) wait(n int) {
	p.r.t.Helper()
	p.mu.Lock()
	until := p.done + n
	p.mu.Unlock()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		done, failed := p.done, len(p.failed)
		p.mu.Unlock()
		if done >= until || failed > 0 {
			return
		}
		select {
		case <-p.more:
		case <-deadline:
			p.r.t.Fatal("writes do not go on")
		}
	}
}

// end stops them, and tells what has failed.
func (p *plain) end() {
	p.r.t.Helper()
	p.stop()
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.failed[:min(len(p.failed), 3)] {
		p.r.t.Error(f)
	}
	if len(p.failed) > 0 {
		p.r.t.Fatalf("%d of %d writes failed", len(p.failed), p.done)
	}
}

// written checks that each node holds each row once.
func (p *plain) written() {
	p.r.t.Helper()
	newest := slices.Max(p.keys)
	for _, n := range p.r.Nodes {
		p.r.caughtUp(n, newest)
		for i := 0; i < len(p.keys); i += 1 + len(p.keys)/50 {
			p.r.caughtUp(n, p.keys[i])
		}
	}
}

// A switchover costs clients of the old leader no write, though they go on there and
// never retry: what comes there behind it goes to the new leader.
func TestSwitchoverNoFailedWrite(t *testing.T) {
	r := start(t, options{})
	var longest time.Duration
	done := 0
	for range 10 {
		old := r.leader()
		p := r.plainClients(8, true, old.Node)
		p.wait(100)
		if out, exit := r.switchover(); exit != 0 {
			t.Fatalf("switchover: exit %d, %s", exit, out)
		}
		p.wait(200)
		p.end()
		p.written()
		longest, done = max(longest, p.longest), done+p.done
		r.leaderAfter(old.term)
	}
	t.Logf("%d writes, the longest took %v", done, longest)
}

// With forward_writes clients may be anywhere, for ever: through any number of
// switchovers each reads what it has written where it has written it, and none fails.
func TestForwardWrites(t *testing.T) {
	r := start(t, options{yaml: "tarragon: {forward_writes: true}\n"})
	p := r.plainClients(3, true, r.Nodes...)
	for range 10 {
		p.wait(100)
		old := r.leader()
		if out, exit := r.switchover(); exit != 0 {
			t.Fatalf("switchover: exit %d, %s", exit, out)
		}
		r.leaderAfter(old.term)
	}
	p.wait(100)
	p.end()
	p.written()
	t.Logf("%d writes, the longest took %v", p.done, p.longest)
}

// What is forwarded is done with the rights of the client's user, or refused with what
// to do: CALLs that change data go as well.
func TestForwardedCalls(t *testing.T) {
	r := start(t, options{yaml: "tarragon: {forward_writes: true}\n"})
	at := r.others(r.leader().Node)[0]
	conn := r.tracker.Conn(at.Addr)
	do := func(req tarantool.Request) ([]any, error) { return conn.Do(req).Get() }
	call := func(name string, args ...any) error {
		_, err := do(tarantool.NewCallRequest(name).Args(args).Context(r.ctx))
		return err
	}
	r.until("the leader knows where its members are", func() error {
		return call("box.schema.space.create", "made", map[string]any{"is_sync": true, "if_not_exists": true})
	})
	for _, step := range []struct {
		name string
		args []any
	}{
		{"box.space.made:create_index", []any{"primary", map[string]any{"parts": []any{[]any{1, "unsigned"}}}}},
		{"box.space.made:auto_increment", []any{[]any{"first"}}},
		{"box.space.made:insert", []any{[]any{7, "second"}}},
		{"box.schema.user.create", []any{"bob", map[string]any{"password": "secret"}}},
	} {
		if err := call(step.name, step.args...); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	rows, err := r.sel(at, "made")
	if err != nil || len(rows) != 2 {
		t.Fatalf("%s shows %v, %v", at.Name, rows, err)
	}
	bob, err := tarantool.Connect(r.ctx, tarantool.NetDialer{Address: at.Addr, User: "bob", Password: "secret"}, tarantool.Opts{Timeout: patience, SkipSchema: true})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	_, err = bob.Do(tarantool.NewInsertRequest("made").Tuple([]any{9}).Context(r.ctx)).Get()
	if err == nil || !strings.Contains(err.Error(), "Write access to space 'made' is denied for user 'bob'") {
		t.Errorf("bob writes: %v", err)
	}
	for _, bad := range []struct {
		args []any
		want string
	}{
		{[]any{1, "bob", int(iproto.IPROTO_INSERT), map[any]any{}}, "Missing mandatory field"},
		{[]any{1 << 40, cluster.User, int(iproto.IPROTO_INSERT), map[any]any{int(iproto.IPROTO_SPACE_ID): 512, int(iproto.IPROTO_TUPLE): []any{1}}}, "read-only instance"},
		{[]any{1, "nobody", int(iproto.IPROTO_INSERT), map[any]any{}}, "'nobody' is not found: it was dropped, or the leader does not know it yet"},
		{[]any{1, "bob", int(iproto.IPROTO_SELECT), map[any]any{}}, "takes INSERT, REPLACE"},
		{[]any{1, "bob", int(iproto.IPROTO_CALL), map[any]any{int(iproto.IPROTO_FUNCTION_NAME): "box.session.su"}}, "is for the instance that is asked"},
		{[]any{1, "bob"}, "Usage: tarragon.forward(term, user, type, body)"},
	} {
		if err := call("tarragon.forward", bad.args...); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("tarragon.forward%v: %v", bad.args, err)
		}
	}
	if _, err := bob.Do(tarantool.NewCallRequest("tarragon.forward").Args([]any{1, "admin", 2, map[any]any{}}).Context(r.ctx)).Get(); err == nil || !strings.Contains(err.Error(), "denied for user 'bob'") {
		t.Errorf("bob acts for admin: %v", err)
	}
	if err := call("box.schema.user.drop", "bob"); err != nil {
		t.Errorf("bob is dropped: %v", err)
	}
}
