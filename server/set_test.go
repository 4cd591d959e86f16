package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/xlog"

	"github.com/rs/zerolog"
	"github.com/tarantool/go-tarantool/v2"
)

// patience bounds what a test waits for: a broken server, not a slow machine.
const patience = time.Minute

// replicationYAML is of a set whose leader changes when a test has it so, not when the
// machine is busy: a second of silence is a death. Who is away is looked for more often.
const replicationYAML = "replication: {failover: election, timeout: 1, reconnect_timeout: 0.3}\n"

// set is a replica set within this process.
type set struct {
	t     testing.TB
	dir   string
	file  string
	nodes []*node1
}

// node1 is one instance of it, over all its runs.
type node1 struct {
	set           *set
	name          string
	addr          string
	flags         []config.Flag
	openStore     func(xlog.Options) (*xlog.Store, error)
	giverPatience time.Duration
	copyPause     time.Duration     // Config.copyPause
	feature       uint32            // Config.feature
	files         int               // Config.fileLimit
	heap          func(bytes int64) // Config.SetHeapLimit
	beside        []string          // Config.beside
	procedures    []Procedure       // Config.Procedures
	atOnce        int               // Config.ProceduresAtOnce
	begins        func(ctx context.Context, group string) error
	anew          func() // called when the replica set's node begins to fill a slot
	log           lockedBuffer

	mu       sync.Mutex
	srv      *Server // of the present run of Run
	runs     int     // of Run
	mainRuns int     // of the replica set's node
	stop     context.CancelFunc
	done     chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newSet writes the configuration of n instances; yaml is more of the global
// scope.
func newSet(t testing.TB, n int, yaml string) *set {
	t.Helper()
	s := &set{t: t, dir: t.TempDir()}
	s.file = filepath.Join(s.dir, "cluster.yaml")
	var b strings.Builder
	b.WriteString("credentials:\n  users:\n    replicator: {password: r, roles: [replication]}\n    admin1: {password: a, roles: [super]}\n")
	b.WriteString("iproto: {advertise: {peer: {login: replicator}}}\n" + replicationYAML)
	fmt.Fprintf(&b, "process: {work_dir: %s}\n%s", s.dir, yaml)
	b.WriteString("groups:\n  g:\n    replicasets:\n      r:\n        instances:\n")
	for i := range n {
		nd := &node1{set: s, name: fmt.Sprintf("i%d", i+1), addr: freeAddr(t)}
		s.nodes = append(s.nodes, nd)
		fmt.Fprintf(&b, "          %s: {iproto: {listen: [{uri: '%s'}]}}\n", nd.name, nd.addr)
	}
	if err := os.WriteFile(s.file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, nd := range s.nodes {
			_ = nd.halt()
		}
		if t.Failed() {
			for _, nd := range s.nodes {
				t.Logf("log of %s:\n%s", nd.name, nd.log.String())
			}
		}
	})
	return s
}

func freeAddr(t testing.TB) string {
	t.Helper()
	addr, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// load is the configuration of the instance.
func (n *node1) load() *config.Instance {
	n.set.t.Helper()
	in, err := config.Load(config.Source{File: n.set.file, Instance: n.name, Flags: n.flags})
	if err != nil {
		n.set.t.Fatal(err)
	}
	return in
}

func (n *node1) start() {
	n.set.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cfg := Config{Instance: n.load(), Log: zerolog.New(&n.log).Level(zerolog.DebugLevel), Reload: n.reload, openStore: n.openStore, giverPatience: n.giverPatience, copyPause: n.copyPause, feature: n.feature, SetHeapLimit: n.heap, fileLimit: n.files, Procedures: n.procedures, ProceduresAtOnce: n.atOnce, beside: n.beside, begins: n.nodeBegins}
	cfg.opened = func(s *Server) {
		n.mu.Lock()
		n.srv = s
		n.runs++
		n.mu.Unlock()
	}
	n.mu.Lock()
	n.srv = nil // or the server that has ended would answer for this one
	n.mu.Unlock()
	n.stop, n.done = stop, make(chan error, 1)
	go func() { n.done <- Run(ctx, cfg) }()
}

func (n *node1) nodeBegins(ctx context.Context, group string) error {
	if group == "" {
		n.mu.Lock()
		n.mainRuns++
		n.mu.Unlock()
	}
	if n.anew != nil && group == "" && n.server().main().life.anew != nil {
		n.anew()
	}
	if n.begins == nil {
		return nil
	}
	return n.begins(ctx, group)
}

// halt stops the instance and tells how it ended; nil if it did not run.
func (n *node1) halt() error {
	if n.stop == nil {
		return nil
	}
	n.stop()
	return n.ended()
}

// ended waits for the end of the instance.
func (n *node1) ended() error {
	n.set.t.Helper()
	select {
	case err := <-n.done:
		n.stop = nil
		return err
	case <-time.After(patience):
		n.set.t.Fatalf("%s does not end", n.name)
	}
	return nil
}

func (n *node1) server() *Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.srv
}

// read shows f the core, if there is one and it is served.
func (n *node1) read(f func(c *instance.Core, now time.Duration)) bool {
	s := n.server()
	if s == nil {
		return false
	}
	main := s.main()
	if main.engine.Load() == nil || !main.ready.Load() {
		return false
	}
	loop := main.engine.Load().loop
	now := loop.Now().Mono
	loop.Read(func(c *instance.Core) { f(c, now) })
	return true
}

// info is the state of the core; ok: there is one, and it is served.
func (n *node1) info() (i instance.Info, ok bool) {
	ok = n.read(func(c *instance.Core, now time.Duration) { i = c.Info(now) })
	return i, ok
}

// readyInfo is info of a node that will be ready: its upstreams may fail before it is.
func (n *node1) readyInfo() (i instance.Info) {
	n.set.t.Helper()
	n.set.until(n.name+" is ready", func() (ok bool) { i, ok = n.info(); return ok })
	return i
}

// until waits for a condition.
func (s *set) until(what string, cond func() bool) {
	s.t.Helper()
	tick, limit := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatalf("never: %s", what)
		}
	}
}

// leader waits for one that takes writes.
func (s *set) leader() (leader *node1) {
	s.t.Helper()
	s.until("a leader", func() bool {
		for _, n := range s.nodes {
			if i, ok := n.info(); ok && n.stop != nil && !i.RO {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

func (s *set) startAll() {
	for _, n := range s.nodes {
		n.start()
	}
	s.until("all are voters, and know that the set is complete", func() bool {
		for _, n := range s.nodes {
			if i, ok := n.info(); !ok || bits.OnesCount32(i.Voters) != len(s.nodes) || i.Founding.Need > 0 {
				return false
			}
		}
		return true
	})
}

// level waits until all that run hold the same.
func (s *set) level() {
	s.t.Helper()
	s.until("all hold the same", func() bool {
		lead, ok := s.leader().info()
		if !ok {
			return false
		}
		for _, n := range s.nodes {
			if n.stop == nil {
				continue
			}
			if i, ok := n.info(); !ok || i.Synced.Global() != lead.Synced.Global() || i.QueueLen > 0 {
				return false
			}
		}
		return true
	})
}

// shown waits until all others that run know by acks what the instance holds. The
// leader hears that at once, a follower with the answer to a heartbeat; who stops
// before has shown it to nobody else.
func (n *node1) shown() {
	n.set.t.Helper()
	n.set.until("all know what "+n.name+" holds", func() bool {
		i, ok := n.info()
		held := i.Synced.Global()
		for _, other := range n.set.nodes {
			if other == n || other.stop == nil {
				continue
			}
			ok = other.read(func(c *instance.Core, _ time.Duration) {
				acked, _ := c.Acked(i.ID)
				ok = ok && acked.Covers(&held)
			}) && ok
		}
		return ok
	})
}

func (n *node1) dial() *tarantool.Connection { return n.dialAt(n.addr) }

// dialAt logs in at an address of the instance.
func (n *node1) dialAt(addr string) *tarantool.Connection { return n.dialAs(addr, "admin1", "a") }

func (n *node1) dialAs(addr, user, password string) *tarantool.Connection {
	n.set.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var conn *tarantool.Connection
	n.set.until("a login at "+n.name, func() (ok bool) {
		var err error
		conn, err = tarantool.Connect(ctx, tarantool.NetDialer{Address: addr, User: user, Password: password}, tarantool.Opts{Timeout: patience})
		return err == nil
	})
	return conn
}

// call calls a function at an instance.
func (n *node1) call(name string, args ...any) []any {
	n.set.t.Helper()
	conn := n.dial()
	defer conn.Close()
	out, err := conn.Do(tarantool.NewCallRequest(name).Args(append([]any{}, args...))).Get()
	if err != nil {
		n.set.t.Fatalf("%s at %s: %v", name, n.name, err)
	}
	return out
}

// makeSpace makes the synchronous space "t" at the leader.
func (s *set) makeSpace() {
	s.t.Helper()
	s.until("a space", func() bool {
		conn := s.leader().dial()
		defer conn.Close()
		create := tarantool.NewCallRequest("box.schema.space.create").Args([]any{"t", map[string]any{"is_sync": true, "if_not_exists": true}})
		index := tarantool.NewCallRequest("box.space.t:create_index").Args([]any{"pk", map[string]any{"if_not_exists": true}})
		_, err := conn.Do(create).Get()
		if err == nil {
			_, err = conn.Do(index).Get()
		}
		return err == nil
	})
}

// fill replaces rows [from, to) at the leader. On a busy machine leadership may
// move meanwhile: then at the next one.
func (s *set) fill(from, to int) {
	s.t.Helper()
	s.until("rows written", func() bool {
		conn := s.leader().dial()
		defer conn.Close()
		var futures []*tarantool.Future
		for i := from; i < to; i++ {
			futures = append(futures, conn.Do(tarantool.NewReplaceRequest("t").Tuple([]any{i, strings.Repeat("x", 100)})))
		}
		var errs []error
		for _, f := range futures {
			_, err := f.Get()
			errs = append(errs, err)
		}
		return errors.Join(errs...) == nil
	})
}

// rows counts "t" as an instance shows it.
func (n *node1) rows() int {
	n.set.t.Helper()
	conn := n.dial()
	defer conn.Close()
	out, err := conn.Do(tarantool.NewSelectRequest("t").Iterator(tarantool.IterAll).Key([]any{}).Limit(1 << 30)).Get()
	if err != nil {
		n.set.t.Fatal(err)
	}
	return len(out)
}
