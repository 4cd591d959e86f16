package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Login of the user that tests and the demo work as.
const (
	User     = "demo"
	Password = "demo-password"
)

// Options say what to start.
type Options struct {
	Binary string   // the tarragon executable; required
	Dir    string   // where configuration, data and logs go; required
	Nodes  int      // 3
	YAML   string   // more options of the global scope, indented as YAML
	WAL    string   // wal.mode; fsync
	Env    []string // added to ours
	// Peer gives the address under which node from reaches node to: for a proxy
	// in between, see Mesh. It is asked once for each pair, a node and itself
	// included. nil: the node's own address.
	Peer func(from, to int, addr string) string
}

// Cluster is a replica set of processes.
type Cluster struct {
	Nodes  []*Node
	Config string // path of the YAML file; each node has its own if there is a Peer
	opts   Options
}

// Node is one of its processes.
type Node struct {
	Name   string
	Addr   string // host:port
	Log    string // path of the process's log
	Config string // path of the YAML file that it is started with
	c      *Cluster

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
	end  string        // how the last one that has ended did
}

// New writes the configuration. Nothing runs yet.
func New(o Options) (*Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.WAL == "" {
		o.WAL = "fsync"
	}
	c := &Cluster{opts: o, Config: filepath.Join(o.Dir, "cluster.yaml")}
	for range o.Nodes {
		if _, err := c.addNode(); err != nil {
			return nil, err
		}
	}
	return c, c.write()
}

// addNode makes up a node.
func (c *Cluster) addNode() (*Node, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("i-%03d", len(c.Nodes)+1)
	n := &Node{Name: name, Addr: addr, Log: filepath.Join(c.opts.Dir, name+".log"), Config: c.Config, c: c}
	c.Nodes = append(c.Nodes, n)
	return n, nil
}

// Add writes a further node into the configuration. Nodes that run learn of it
// when they are started again. Not for a cluster with Peer.
func (c *Cluster) Add() (*Node, error) {
	n, err := c.addNode()
	if err != nil {
		return nil, err
	}
	return n, c.write()
}

// write writes the configuration files.
func (c *Cluster) write() error {
	if c.opts.Peer == nil {
		return os.WriteFile(c.Config, []byte(c.yaml(0)), 0o600)
	}
	for i, n := range c.Nodes {
		n.Config = filepath.Join(c.opts.Dir, n.Name+".yaml")
		if err := os.WriteFile(n.Config, []byte(c.yaml(i)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// yaml is the configuration as node from sees the others.
func (c *Cluster) yaml(from int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "credentials:\n  users:\n    replicator: {password: replicator-password, roles: [replication]}\n    %s: {password: %s, roles: [super]}\n", User, Password)
	fmt.Fprintf(&b, "iproto:\n  advertise:\n    peer: {login: replicator}\nreplication:\n  failover: election\nwal:\n  mode: %s\nlog:\n  format: json\n", c.opts.WAL)
	fmt.Fprintf(&b, "process:\n  work_dir: %s\n%s", c.opts.Dir, c.opts.YAML)
	b.WriteString("groups:\n  g-001:\n    replicasets:\n      r-001:\n        instances:\n")
	for i, n := range c.Nodes {
		fmt.Fprintf(&b, "          %s:\n            iproto:\n              listen: [{uri: '%s'}]\n", n.Name, n.Addr)
		if c.opts.Peer != nil {
			fmt.Fprintf(&b, "              advertise: {client: '%s', peer: {uri: '%s', login: replicator}}\n", n.Addr, c.opts.Peer(from, i, n.Addr))
		}
	}
	return b.String()
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Start starts all nodes.
func (c *Cluster) Start() error {
	for _, n := range c.Nodes {
		if err := n.Start(); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends all processes, by SIGTERM first and by SIGKILL for those that stay.
func (c *Cluster) Stop() {
	for _, n := range c.Nodes {
		n.Signal(syscall.SIGCONT)
		n.Signal(syscall.SIGTERM)
	}
	limit := time.After(10 * time.Second)
	for _, n := range c.Nodes {
		n.mu.Lock()
		done := n.done
		n.mu.Unlock()
		if done == nil {
			continue
		}
		select {
		case <-done:
		case <-limit:
			n.Kill()
		}
	}
}

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() []string {
	var out []string
	for _, n := range c.Nodes {
		out = append(out, n.Addr)
	}
	return out
}

// DataDir is where a node has its data.
func (n *Node) DataDir() string { return filepath.Join(n.c.opts.Dir, "var", "lib", n.Name) }

// ByAddr finds a node.
func (c *Cluster) ByAddr(addr string) *Node {
	for _, n := range c.Nodes {
		if n.Addr == addr {
			return n
		}
	}
	return nil
}

// Start runs the node's process.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	log, err := os.OpenFile(n.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(n.c.opts.Binary, "serve", "--config", n.Config, "--instance", n.Name)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), n.c.opts.Env...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	done := make(chan struct{})
	n.cmd, n.done = cmd, done
	go func() {
		_ = cmd.Wait()
		n.mu.Lock()
		n.end = cmd.ProcessState.String()
		n.mu.Unlock()
		close(done)
	}()
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (n *Node) Kill() {
	n.Signal(syscall.SIGKILL)
	n.mu.Lock()
	done := n.done
	n.mu.Unlock()
	if done != nil {
		<-done
	}
}

// Pause stops the process with SIGSTOP, Resume lets it go on.
func (n *Node) Pause() { n.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (n *Node) Resume() { n.Signal(syscall.SIGCONT) }

// PID is the process's number, 0 if none runs.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return 0
	}
	return n.cmd.Process.Pid
}

func (n *Node) runningLocked() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process, if one runs.
func (n *Node) Signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.runningLocked() {
		_ = n.cmd.Process.Signal(s)
	}
}

// ExitCode is that of the newest process once it has ended: -1 if a signal
// ended it.
func (n *Node) ExitCode() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.ProcessState.ExitCode()
}

// Exited is closed when the process that runs now has ended.
func (n *Node) Exited() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.done
}

// End says how the last process that has ended did: by a signal or with an exit
// code.
func (n *Node) End() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.end
}

// Tail is the end of the node's log, for messages about a failure.
func (n *Node) Tail(lines int) string {
	raw, err := os.ReadFile(n.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Until calls check every few milliseconds until it says nil, and gives its
// last word when ctx ends.
func Until(ctx context.Context, check func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
