package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

const (
	// patience is how long anything may take on a busy machine. All of it takes
	// far less on an idle one.
	patience = 30 * time.Second
	// space is the synchronous one that tests write to.
	space = "orders"
)

// rig is a replica set in a directory of its own, and a client that follows its
// leader.
type rig struct {
	*cluster.Cluster
	t       *testing.T
	ctx     context.Context
	dir     string
	tracker *cluster.Tracker
	mesh    *cluster.Mesh // nil without options.proxied
	loads   []*load
	nextKey atomic.Uint64
	byHand  map[uint64]bool // keys that a test wrote itself
}

// options of a rig.
type options struct {
	nodes   int    // 3
	proxied bool   // nodes reach each other through proxies
	yaml    string // more of the global scope
	env     []string
	files   int      // each node may open so many
	filters []string // of readers, see filtered_test.go
	agent   bool     // one says who leads, see agent_test.go
	ssl     string   // directory of certificates, see cluster.Options
	binary  string   // that nodes run; empty: the one of all tests
}

// newRig writes the configuration; nothing runs yet.
func newRig(t *testing.T, o options) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("runs real processes for seconds")
	}
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx, dir: t.TempDir(), byHand: map[uint64]bool{}}
	co := cluster.Options{Binary: cmp.Or(o.binary, binary), Dir: r.dir, Nodes: o.nodes, YAML: o.yaml, Env: o.env, Files: o.files, Filters: o.filters, SSL: o.ssl}
	if o.agent {
		co.Failover = "supervised"
	}
	if o.proxied {
		r.mesh = cluster.NewMesh()
		t.Cleanup(r.mesh.Close)
		co.Peer = r.mesh.Peer
	}
	var err error
	if r.Cluster, err = cluster.New(co); err != nil {
		t.Fatal(err)
	}
	if r.mesh != nil && r.mesh.Err() != nil {
		t.Fatal(r.mesh.Err())
	}
	t.Cleanup(r.end)
	return r
}

// start runs a replica set until all nodes are members and the space is there.
func start(t *testing.T, o options) *rig {
	t.Helper()
	r := newRig(t, o)
	r.run()
	return r
}

func (r *rig) run() {
	r.t.Helper()
	r.begin()
	r.settle()
}

// begin starts the processes.
func (r *rig) begin() {
	r.t.Helper()
	if err := r.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.tracker = cluster.Track(r.Addrs())
}

// settle waits until all are members, and makes the space.
func (r *rig) settle() {
	r.t.Helper()
	for _, n := range r.Nodes {
		r.until(n.Name+" knows all members", func() error { return r.knows(n, len(r.Nodes)) })
	}
	r.makeSpace()
}

// makeSpace makes the space that the loads write to, once writes are taken.
func (r *rig) makeSpace() {
	r.t.Helper()
	r.call("box.schema.space.create", space, map[string]any{"is_sync": true, "if_not_exists": true})
	r.call("box.space."+space+":create_index", "primary", map[string]any{"parts": []any{[]any{1, "unsigned"}}, "if_not_exists": true})
}

// end kills what still runs: a test is not about a slow goodbye.
func (r *rig) end() {
	if r.tracker != nil {
		r.tracker.Close()
	}
	for _, n := range slices.Concat(r.Nodes, r.Readers) {
		n.Kill()
		for _, bad := range []string{"DATA RACE", "panic:", "fatal error:", "limbo: ", "without the PROMOTE"} {
			if log, err := os.ReadFile(n.Log); err == nil && strings.Contains(string(log), bad) {
				r.t.Errorf("the log of %s says %q", n.Name, bad)
			}
		}
	}
	if open, err := cluster.OpenToOthers(filepath.Join(r.dir, "var")); err != nil || len(open) > 0 {
		r.t.Errorf("open to others: %v, %v", open, err)
	}
	if r.t.Failed() {
		for _, n := range slices.Concat(r.Nodes, r.Readers) {
			r.t.Logf("the last words of %s:\n%s", n.Name, n.Tail(40))
		}
	}
}

// until waits for check to say nil.
func (r *rig) until(what string, check func() error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	if err := cluster.Until(ctx, check); err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

// leading is a node that leads.
type leading struct {
	*cluster.Node
	term uint64
	conn *tarantool.Connection
}

func (r *rig) leader() leading {
	r.t.Helper()
	return r.leaderAfter(0)
}

// leaderAfter waits for the leader of a term greater than term.
func (r *rig) leaderAfter(term uint64) (l leading) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	r.until(fmt.Sprintf("a leader after term %d", term), func() error {
		now, err := r.tracker.Leader(ctx)
		if err == nil && now.Term <= term {
			err = fmt.Errorf("%s leads term %d", now.Addr, now.Term)
		}
		if err == nil {
			l = leading{r.ByAddr(now.Addr), now.Term, now.Conn}
		}
		return err
	})
	return l
}

// others are all nodes but one.
func (r *rig) others(n *cluster.Node) (out []*cluster.Node) {
	for _, o := range r.Nodes {
		if o != n {
			out = append(out, o)
		}
	}
	return out
}

func (r *rig) index(n *cluster.Node) int {
	for i, o := range r.Nodes {
		if o == n {
			return i
		}
	}
	r.t.Fatalf("%s is not of this cluster", n.Name)
	return -1
}

// call calls a function on the leader until it takes it: a failover between
// the question and the answer is no failure of the test.
func (r *rig) call(name string, args ...any) {
	r.t.Helper()
	r.until(name, func() error {
		ctx, cancel := context.WithTimeout(r.ctx, patience)
		defer cancel()
		l, err := r.tracker.Leader(ctx)
		if err != nil {
			return err
		}
		_, err = l.Conn.Do(tarantool.NewCallRequest(name).Args(append([]any{}, args...)).Context(ctx)).Get()
		return err
	})
}

// member is a row of _cluster.
type member struct {
	id      uint64
	name    string
	learner bool // it does not count yet
}

// members is _cluster as a node shows it.
func (r *rig) members(n *cluster.Node) (out []member, err error) {
	data, err := r.sel(n, "_cluster")
	for _, row := range data {
		t, _ := row.([]any)
		m := member{id: cluster.Number(t[0])}
		if len(t) > 2 {
			m.name, _ = t[2].(string)
		}
		if len(t) > 4 {
			m.learner, _ = t[4].(bool)
		}
		out = append(out, m)
	}
	return out, err
}

// knows tells whether a node knows so many members, and that all of them count.
func (r *rig) knows(n *cluster.Node, want int) error {
	all, err := r.members(n)
	for _, m := range all {
		if m.learner {
			return fmt.Errorf("%s does not count yet: %v", m.name, all)
		}
	}
	if err == nil && len(all) != want {
		err = fmt.Errorf("it knows %d members of %d: %v", len(all), want, all)
	}
	return err
}

// sel reads up to 1000 tuples of a space from a node.
func (r *rig) sel(n *cluster.Node, space string, key ...any) ([]any, error) {
	conn := r.tracker.Conn(n.Addr)
	if conn == nil {
		return nil, errors.New("not connected")
	}
	req := tarantool.NewSelectRequest(space).Index(uint32(0)).Limit(1000).Context(r.ctx)
	if len(key) > 0 {
		req = req.Key(key).Iterator(tarantool.IterEq)
	}
	return conn.Do(req).Get()
}

// caughtUp waits until a node shows a row.
func (r *rig) caughtUp(n *cluster.Node, key uint64) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s shows row %d", n.Name, key), func() error {
		data, err := r.sel(n, space, key)
		if err == nil && len(data) == 0 {
			err = errors.New("it does not")
		}
		return err
	})
}

// info is box.info of a node.
func (r *rig) info(n *cluster.Node) (map[any]any, error) {
	conn := r.tracker.Conn(n.Addr)
	if conn == nil {
		return nil, errors.New("not connected")
	}
	data, err := conn.Do(tarantool.NewCallRequest("box.info").Args([]any{}).Context(r.ctx)).Get()
	if err != nil {
		return nil, err
	}
	m, _ := data[0].(map[any]any)
	return m, nil
}

// readOnly waits until a node says that it takes no writes.
func (r *rig) readOnly(n *cluster.Node) {
	r.t.Helper()
	r.until(n.Name+" is read-only", func() error {
		info, err := r.info(n)
		if err == nil && info["ro"] != true {
			err = fmt.Errorf("ro is %v", info["ro"])
		}
		return err
	})
}

// tool runs the program's command line and gives what it printed.
func (r *rig) tool(args ...string) (out string, exit int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = r.dir
	raw, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		r.t.Fatalf("tarragon %v: %v", args, err)
	}
	return string(raw), cmd.ProcessState.ExitCode()
}

// since says nil once d has passed from a moment on.
func since(from time.Time, d time.Duration) error {
	if past := time.Since(from); past < d {
		return fmt.Errorf("only %v so far", past)
	}
	return nil
}

// oneLeader waits until all nodes name the same leader of the same term.
func (r *rig) oneLeader() {
	r.t.Helper()
	r.until("one leader", func() error {
		seen := map[string]bool{}
		for _, n := range r.Nodes {
			info, err := r.info(n)
			if err != nil {
				return err
			}
			e, _ := info["election"].(map[any]any)
			seen[fmt.Sprintf("%v leads term %v", e["leader"], e["term"])] = true
			if cluster.Number(e["leader"]) == 0 {
				return fmt.Errorf("%s knows no leader", n.Name)
			}
		}
		if len(seen) != 1 {
			return fmt.Errorf("%v", seen)
		}
		return nil
	})
}

// happens waits for a channel to be closed.
func (r *rig) happens(what string, c <-chan struct{}) {
	r.t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		r.t.Fatalf("%s: not within %v", what, patience)
	}
}

// watchShutdown is closed when the node says that it stops.
func (r *rig) watchShutdown(n *cluster.Node) <-chan struct{} {
	r.t.Helper()
	conn, err := cluster.Connect(r.ctx, n.Addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	told := make(chan struct{})
	var once sync.Once
	w, err := conn.NewWatcher("box.shutdown", func(e tarantool.WatchEvent) {
		if e.Value == true {
			once.Do(func() { close(told) })
		}
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(w.Unregister)
	return told
}

// edit changes the configuration file of all nodes.
func (r *rig) edit(f func(yaml string) string) {
	r.t.Helper()
	raw, err := os.ReadFile(r.Config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(r.Config, string(raw), f)
}

// editOf gives a node a changed configuration file of its own.
func (r *rig) editOf(n *cluster.Node, f func(yaml string) string) {
	r.t.Helper()
	raw, err := os.ReadFile(r.Config)
	if err != nil {
		r.t.Fatal(err)
	}
	path := filepath.Join(r.dir, n.Name+"-edited.yaml")
	r.write(path, string(raw), f)
	n.Config = path
}

func (r *rig) write(path, text string, f func(string) string) {
	r.t.Helper()
	changed := f(text)
	if changed == text {
		r.t.Fatalf("%s: nothing to change", path)
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		r.t.Fatal(err)
	}
}
