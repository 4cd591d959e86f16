package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// Tarantool is a replica set with elections, which guests may do all with.
type Tarantool struct {
	Version string // "3.8.0"
	binary  string
	nodes   []*node
}

// FindTarantool looks for the program and asks for its version. path is that of
// the program; empty: the one in PATH.
func FindTarantool(path string) (t *Tarantool, err error) {
	if path == "" {
		if path, err = find("tarantool", "name it by TARANTOOL=/path/to/tarantool"); err != nil {
			return nil, err
		}
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("tarantool: %w", err)
	}
	return &Tarantool{Version: version(string(out)), binary: path}, nil
}

// version takes "3.8.0" out of "Tarantool 3.8.0-0-g1234567".
func version(out string) string {
	words := strings.Fields(out)
	if len(words) < 2 {
		return "unknown"
	}
	number, _, _ := strings.Cut(words[1], "-")
	return number
}

// Start starts a new replica set. The first node leads.
func (t *Tarantool) Start(ctx context.Context, o Options) error {
	t.nodes = nil
	for i := range o.Nodes {
		n, err := newNode(&o, "tarantool", i)
		if err != nil {
			return err
		}
		t.nodes = append(t.nodes, n)
	}
	for i, n := range t.nodes {
		if err := os.WriteFile(filepath.Join(n.dir, "init.lua"), []byte(t.script(i, o)), 0o600); err != nil {
			return err
		}
		if err := t.run(ctx, n); err != nil {
			return err
		}
	}
	if o.Nodes == 1 {
		return t.nodes[0].eval(ctx, "box.ctl.promote()") // else nobody may write to synchronous spaces
	}
	for i, n := range t.nodes {
		mode := "voter"
		if i == 0 {
			mode = "candidate"
		}
		if err := n.eval(ctx, fmt.Sprintf("box.cfg{replication = {%s}, election_mode = '%s'}", uris(t.nodes), mode)); err != nil {
			return err
		}
	}
	return t.nodes[0].until(ctx, func(ctx context.Context) error {
		return t.nodes[0].eval(ctx, fmt.Sprintf("assert(not box.info.ro and box.info.synchro.queue.owner == box.info.id and #box.info.replication == %d)", o.Nodes))
	})
}

// script is what a node runs. The first one boots alone, each further one joins
// those before it, and all learn of all once everybody is there.
func (t *Tarantool) script(i int, o Options) string {
	var more string
	if i > 0 {
		more = fmt.Sprintf(", replication = {%s}, read_only = true", uris(t.nodes[:i]))
	}
	return fmt.Sprintf(`box.cfg{
	listen = '%s', work_dir = '%s', log_level = 'warn',
	memtx_memory = %d, memtx_use_mvcc_engine = %t, wal_mode = '%s', net_msg_max = %d,
	replication_synchro_quorum = %d, replication_timeout = 1, checkpoint_interval = 0%s
}
if not box.info.ro then box.schema.user.grant('guest', 'super', nil, nil, {if_not_exists = true}) end
`, t.nodes[i].addr, t.nodes[i].dir, MemtxMemory, o.MVCC, o.WAL, NetMsgMax, o.quorum(), more)
}

// Options that are the same for Tarantool and for ours.
const (
	MemtxMemory = 8 << 30
	// NetMsgMax is how many requests may be in progress: more than any line has in
	// flight, so that none of the two has to wait for a default.
	NetMsgMax = 20_000
)

// How says the settings that a reader of results wants to know.
func (t *Tarantool) How(o Options) string {
	manager := "no transaction manager"
	if o.MVCC {
		manager = "with the transaction manager"
	}
	return fmt.Sprintf("wal_mode %s, replication_synchro_quorum %d, net_msg_max %d, one network thread, %s", o.WAL, o.quorum(), NetMsgMax, manager)
}

// uris lists nodes as Lua does.
func uris(nodes []*node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, "'"+n.addr+"'")
	}
	return strings.Join(all, ", ")
}

// run starts a node's process and waits until it answers.
func (t *Tarantool) run(ctx context.Context, n *node) error {
	if err := t.launch(n); err != nil {
		return err
	}
	return n.until(ctx, func(ctx context.Context) error {
		return n.eval(ctx, "assert(box.info.status == 'running')")
	})
}

// launch starts the process of a node, which must have ended.
func (t *Tarantool) launch(n *node) error {
	cmd := exec.Command(t.binary, filepath.Join(n.dir, "init.lua"))
	if err := n.Process.Start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	return nil
}

// Restart starts the process of the first node again; it is not waited for.
func (t *Tarantool) Restart() error { return t.launch(t.nodes[0]) }

func (n *node) eval(ctx context.Context, text string) error {
	conn, err := load.Admin(ctx, n.addr, "", "")
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Do(tarantool.NewEvalRequest(text).Args([]any{}).Context(ctx)).Get()
	return err
}

// Addrs of the nodes.
func (t *Tarantool) Addrs() (all []string) {
	for _, n := range t.nodes {
		all = append(all, n.addr)
	}
	return all
}

// Processes of the nodes.
func (t *Tarantool) Processes() []*cluster.Process { return processes(t.nodes) }

// Blame adds the last words of processes that have ended.
func (t *Tarantool) Blame(err error) error { return blame(err, t.nodes) }

func blame(err error, nodes []*node) error {
	if err == nil {
		return nil
	}
	for _, n := range nodes {
		if n.PID() == 0 {
			err = errors.Join(err, fmt.Errorf("%s has ended, %s; its last words:\n%s", n.name, n.End(), n.Tail(5)))
		}
	}
	return err
}

// Stop ends all processes.
func (t *Tarantool) Stop() { stop(t.nodes) }

func stop(nodes []*node) {
	for _, n := range nodes {
		n.Signal(syscall.SIGCONT)
		n.Kill()
	}
}
