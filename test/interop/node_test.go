package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// node is one process of either kind.
type node struct {
	cluster.Process
	r     *rig
	index int
	name  string
	addr  string
	dir   string // its own directory
	peer  peer   // the Tarantool that runs; none for ours
	set   settings
	uuid  string // once it was asked

	command func() (*exec.Cmd, error) // what Start runs

	mu   sync.Mutex
	conn *tarantool.Connection
}

// settings of a node with elections off; they may be changed between starts.
type settings struct {
	from       []*node // whom it replicates from
	first      bool    // boots the replica set, and makes the users
	ro         bool
	anon       bool
	skip       bool // replication_skip_conflict
	password   string
	login      string
	extra      string   // more of the YAML's section replication, or of box.cfg
	env        []string // ours only
	keepNoLogs bool     // checkpoints drop the log at once
}

// isOurs: a Tarragon.
func (n *node) isOurs() bool { return n.peer.path == "" }

// Credentials of the replication user.
const (
	replicator         = "replicator"
	replicatorPassword = "replicator-password"
)

// uri is how this node connects to another.
func (n *node) uri(to *node) string {
	login, password := n.set.login, n.set.password
	if login == "" {
		login = replicator
	}
	if password == "" {
		password = replicatorPassword
	}
	return fmt.Sprintf("%s:%s@%s", login, password, n.r.mesh.Peer(n.index, to.index, to.addr))
}

func (n *node) sources() (uris []string) {
	for _, p := range n.set.from {
		uris = append(uris, n.uri(p))
	}
	return uris
}

// lua is the script of a Tarantool with elections off.
func (n *node) lua() string {
	var b strings.Builder
	fmt.Fprintf(&b, "box.cfg{\n\tlisten = '%s',\n\twork_dir = '%s',\n\tpid_file = 'pid',\n\treplication_timeout = 0.5,\n\treplication_sync_timeout = 5,\n\twal_mode = 'write',\n", n.addr, n.dir)
	if uris := n.sources(); len(uris) > 0 {
		fmt.Fprintf(&b, "\treplication = {'%s'},\n", strings.Join(uris, "', '"))
	}
	if n.set.ro || n.set.anon {
		fmt.Fprintf(&b, "\tread_only = true,\n")
	}
	if n.set.anon {
		fmt.Fprintf(&b, "\treplication_anon = true,\n")
	}
	if n.set.skip {
		fmt.Fprintf(&b, "\treplication_skip_conflict = true,\n")
	}
	if n.set.keepNoLogs {
		fmt.Fprintf(&b, "\tcheckpoint_count = 1,\n\tcheckpoint_interval = 0,\n")
	}
	fmt.Fprintf(&b, "%s}\n", n.set.extra)
	if n.set.first {
		fmt.Fprintf(&b, "for name, it in pairs({%s = {'%s', 'super'}, %s = {'%s', 'replication'}}) do\n", cluster.User, cluster.Password, replicator, replicatorPassword)
		fmt.Fprintf(&b, "\tif not box.schema.user.exists(name) then\n\t\tbox.schema.user.create(name, {password = it[1]})\n\t\tbox.schema.user.grant(name, it[2])\n\tend\nend\n")
	}
	return b.String()
}

// yaml is the configuration of a Tarragon with elections off.
func (n *node) yaml() string {
	mode := "rw"
	if n.set.ro || n.set.anon {
		mode = "ro"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "credentials:\n  users:\n    %s: {password: %s, roles: [replication]}\n    %s: {password: %s, roles: [super]}\n", replicator, replicatorPassword, cluster.User, cluster.Password)
	fmt.Fprintf(&b, "iproto:\n  advertise:\n    peer: {login: %s}\n", replicator)
	fmt.Fprintf(&b, "database:\n  mode: %s\nlog:\n  format: json\nprocess:\n  work_dir: %s\n", mode, n.dir)
	fmt.Fprintf(&b, "replication:\n  failover: off\n  timeout: 0.5\n  skip_conflict: %v\n", n.set.skip)
	if uris := n.sources(); len(uris) > 0 {
		fmt.Fprintf(&b, "  peers: ['%s']\n", strings.Join(uris, "', '"))
	}
	b.WriteString(n.set.extra)
	if n.set.keepNoLogs {
		fmt.Fprintf(&b, "snapshot:\n  count: 1\ntarragon:\n  max_log_entries: 20\n  snapshot_threshold: 200\n")
	}
	fmt.Fprintf(&b, "groups:\n  g-001:\n    replicasets:\n      r-001:\n        instances:\n          %s:\n            iproto:\n              listen: [{uri: '%s'}]\n", n.name, n.addr)
	if n.set.anon {
		b.WriteString("            replication: {anon: true}\n")
	}
	for _, from := range n.set.from { // not all of a set may be anonymous
		fmt.Fprintf(&b, "          %s:\n            iproto:\n              listen: [{uri: '%s'}]\n", from.name, from.addr)
	}
	return b.String()
}

// alone is the command of a node with elections off.
func (n *node) alone() (*exec.Cmd, error) {
	if n.isOurs() {
		path := filepath.Join(n.dir, "node.yaml")
		if err := os.WriteFile(path, []byte(n.yaml()), 0o600); err != nil {
			return nil, err
		}
		cmd := exec.Command(ours, "serve", "--config", path, "--instance", n.name)
		cmd.Env = append(os.Environ(), "TT_TARRAGON_MEMBERS=*") // each has a file of its own, which does not know who comes later
		cmd.Env = append(cmd.Env, n.set.env...)
		return cmd, nil
	}
	path := filepath.Join(n.dir, "node.lua")
	if err := os.WriteFile(path, []byte(n.lua()), 0o600); err != nil {
		return nil, err
	}
	return exec.Command(n.peer.path, path), nil
}

// start runs the process.
func (n *node) start() {
	n.r.t.Helper()
	cmd, err := n.command()
	if err == nil {
		err = n.Process.Start(cmd)
	}
	if err != nil {
		n.r.t.Fatalf("start %s: %v", n.name, err)
	}
}

// kill ends the process by SIGKILL, terminate by SIGTERM.
func (n *node) kill() { n.Process.Kill() }

func (n *node) terminate() {
	n.r.t.Helper()
	n.Signal(syscall.SIGTERM)
	n.r.happens(n.name+" ends", n.Exited())
}

// restart ends the process well and starts it again.
func (n *node) restart() {
	n.r.t.Helper()
	n.terminate()
	n.start()
}

// connection to the node, a new one if the last one is lost.
func (n *node) connection() (*tarantool.Connection, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil && n.conn.ConnectedNow() {
		return n.conn, nil
	}
	if n.conn != nil {
		_ = n.conn.Close()
		n.conn = nil
	}
	conn, err := cluster.Connect(n.r.ctx, n.addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	n.conn = conn
	return conn, nil
}

// once is what one request may take: the node may be paused or cut off.
const once = 10 * time.Second

// do sends one request.
func (n *node) do(req tarantool.Request) ([]any, error) {
	conn, err := n.connection()
	if err != nil {
		return nil, err
	}
	fut := conn.Do(req)
	select {
	case <-fut.WaitChan():
		return fut.Get()
	case <-time.After(once):
		return nil, fmt.Errorf("%s: no answer within %v", n.name, once)
	}
}

// call calls a function that both kinds have.
func (n *node) call(name string, args ...any) ([]any, error) {
	return n.do(tarantool.NewCallRequest(name).Args(list(args)))
}

// list is an array on the wire also when it is empty.
func list(args []any) []any {
	if args == nil {
		return []any{}
	}
	return args
}

// run calls a function for what it does: what Tarantool's returns may be a Lua
// object that no answer can carry.
func (n *node) run(name string, args ...any) error {
	if n.isOurs() {
		_, err := n.call(name, args...)
		return err
	}
	_, err := n.do(tarantool.NewEvalRequest(name + "(...)").Args(list(args)))
	return err
}

// must is run that must not fail.
func (n *node) must(name string, args ...any) {
	n.r.t.Helper()
	if err := n.run(name, args...); err != nil {
		n.r.t.Fatalf("%s(%v) on %s: %v", name, args, n.name, err)
	}
}

// eval runs Lua on a Tarantool.
func (n *node) eval(lua string, args ...any) []any {
	n.r.t.Helper()
	out, err := n.do(tarantool.NewEvalRequest(lua).Args(list(args)))
	if err != nil {
		n.r.t.Fatalf("on %s: %v, from %s", n.name, err, lua)
	}
	return out
}

// info is box.info.
func (n *node) info() (value, error) {
	out, err := n.call("box.info")
	if err != nil {
		return value{}, err
	}
	if len(out) == 0 {
		return value{}, errors.New("box.info is empty")
	}
	return value{out[0]}, nil
}

// close ends the connection.
func (n *node) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil {
		_ = n.conn.Close()
		n.conn = nil
	}
}

// text of the node's log.
func (n *node) text() string {
	raw, err := os.ReadFile(n.Log)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
