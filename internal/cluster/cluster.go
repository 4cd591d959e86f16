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
	Binary string // the tarragon executable; required
	Dir    string // where configuration, data and logs go; required
	Nodes  int    // 3
	YAML   string // more options of the global scope, indented as YAML
	WAL    string // wal.mode; fsync
	// Failover is replication.failover; election.
	Failover string
	Env      []string // added to ours
	Keep     bool     // its processes go on when ours ends
	// Filters makes an anonymous replica for each name of a filter.
	Filters []string
	// SSL is a directory with ca.crt, and for each node NAME.crt and NAME.key: they speak TLS, and
	// show these to each other. Empty: without TLS.
	SSL string
	// SSLToo leaves all as without SSL, but for a second address of each node, Node.SSL.
	SSLToo  bool
	Files   int  // how many files each node may open; 0: as many as we
	Routers bool // each node has a router in it, at Node.Router
	HTTP    bool // each node answers scrapes and health checks at Node.HTTP
	// Peer gives the address under which node from reaches node to: for a proxy
	// in between, see Mesh. It is asked once for each pair, a node and itself
	// included. nil: the node's own address.
	Peer func(from, to int, addr string) string
}

// Cluster is a replica set of processes.
type Cluster struct {
	Nodes   []*Node
	Readers []*Node // in the order of Options.Filters
	Config  string  // path of the YAML file; each node has its own if there is a Peer
	opts    Options
}

// Node is one of its processes.
type Node struct {
	Name   string
	Addr   string // host:port
	SSL    string // host:port of its listener with TLS, with Options.SSLToo; empty: there is none
	Router string // host:port of the port rw of the router in it; empty: there is none
	HTTP   string // host:port of metrics and health checks; empty: there is none
	Config string // path of the YAML file that it is started with
	Binary string // what it is started with instead of Options.Binary; empty: that
	Process
	c    *Cluster
	work string // process.work_dir
}

// New writes the configuration. Nothing runs yet.
func New(o Options) (*Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.WAL == "" {
		o.WAL = "fsync"
	}
	if o.Failover == "" {
		o.Failover = "election"
	}
	c := &Cluster{opts: o, Config: filepath.Join(o.Dir, "cluster.yaml")}
	for range o.Nodes {
		if _, err := c.addNode(); err != nil {
			return nil, err
		}
	}
	for _, filter := range o.Filters {
		n, err := c.newNode("r-" + filter)
		if err != nil {
			return nil, err
		}
		c.Readers = append(c.Readers, n)
	}
	return c, c.write()
}

// addNode makes up a node.
func (c *Cluster) addNode() (*Node, error) {
	n, err := c.newNode(fmt.Sprintf("i-%03d", len(c.Nodes)+1))
	if err == nil {
		c.Nodes = append(c.Nodes, n)
	}
	return n, err
}

func (c *Cluster) newNode(name string) (*Node, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	router := ""
	if c.opts.Routers {
		if router, err = FreeAddr(); err != nil {
			return nil, err
		}
	}
	ssl := ""
	if c.opts.SSLToo {
		if ssl, err = FreeAddr(); err != nil {
			return nil, err
		}
	}
	http := ""
	if c.opts.HTTP {
		if http, err = FreeAddr(); err != nil {
			return nil, err
		}
	}
	return &Node{Name: name, Addr: addr, SSL: ssl, Router: router, HTTP: http, Process: Process{Log: filepath.Join(c.opts.Dir, name+".log"), Outlives: c.opts.Keep}, Config: c.Config, c: c, work: c.opts.Dir}, nil
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

// Twin makes a further process of a node's name, with an address and an empty
// directory of its own: the replacement of one that may still run. It is not
// among Nodes.
func (c *Cluster) Twin(n *Node) (*Node, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(n.Config)
	if err != nil {
		return nil, err
	}
	name := n.Name + "-twin"
	t := &Node{Name: n.Name, Addr: addr, Process: Process{Log: filepath.Join(c.opts.Dir, name+".log")},
		Config: filepath.Join(c.opts.Dir, name+".yaml"), c: c, work: filepath.Join(c.opts.Dir, name)}
	if err := os.Mkdir(t.work, 0o700); err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(string(raw), n.Addr, addr)
	text = strings.Replace(text, "work_dir: "+c.opts.Dir+"\n", "work_dir: "+t.work+"\n", 1)
	return t, os.WriteFile(t.Config, []byte(text), 0o600)
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
	fmt.Fprintf(&b, "iproto:\n  advertise:\n    peer: {login: replicator}\n")
	params := ""
	if dir := c.opts.SSL; dir != "" {
		fmt.Fprintf(&b, "  ssl: {ca_file: '%s/ca.crt', ssl_cert: '%s/{{ instance_name }}.crt', ssl_key: '%s/{{ instance_name }}.key'}\n", dir, dir, dir)
		if !c.opts.SSLToo {
			params = ", params: {transport: ssl}"
		}
	}
	fmt.Fprintf(&b, "replication:\n  failover: %s\nwal:\n  mode: %s\nlog:\n  format: json\n", c.opts.Failover, c.opts.WAL)
	fmt.Fprintf(&b, "process:\n  work_dir: %s\n%s", c.opts.Dir, c.opts.YAML)
	b.WriteString("groups:\n  g-001:\n    replicasets:\n      r-001:\n        instances:\n")
	for i, n := range c.Nodes {
		fmt.Fprintf(&b, "          %s:\n            iproto:\n              listen: [{uri: '%s'%s}%s]\n", n.Name, n.Addr, params, n.second())
		if c.opts.Peer != nil {
			fmt.Fprintf(&b, "              advertise: {client: '%s', peer: {uri: '%s', login: replicator}}\n", n.Addr, c.opts.Peer(from, i, n.Addr))
		}
		var own []string
		if n.Router != "" {
			own = append(own, fmt.Sprintf("router: {rw: '%s'}", n.Router))
		}
		if n.HTTP != "" {
			own = append(own, fmt.Sprintf("http_listen: '%s'", n.HTTP))
		}
		if len(own) > 0 {
			fmt.Fprintf(&b, "            tarragon: {%s}\n", strings.Join(own, ", "))
		}
	}
	for i, n := range c.Readers {
		fmt.Fprintf(&b, "          %s: {replication: {anon: true, election_mode: 'off'}, tarragon: {filter: %s}, iproto: {listen: [{uri: '%s'}]}}\n", n.Name, c.opts.Filters[i], n.Addr)
	}
	return b.String()
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
	all := slices.Concat(c.Nodes, c.Readers)
	for _, n := range all {
		n.Signal(syscall.SIGCONT)
		n.Signal(syscall.SIGTERM)
	}
	limit := time.After(10 * time.Second)
	for _, n := range all {
		done := n.Exited()
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
func (n *Node) DataDir() string { return filepath.Join(n.work, "var", "lib", n.Name) }

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
	cmd := exec.Command(cmp.Or(n.Binary, n.c.opts.Binary), "serve", "--config", n.Config, "--instance", n.Name)
	if n.c.opts.Files > 0 {
		cmd = exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, n.c.opts.Files), "sh"}, cmd.Args...)...)
	}
	cmd.Env = append(os.Environ(), n.c.opts.Env...)
	if err := n.Process.Start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	return nil
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

// second is its further listener.
func (n *Node) second() string {
	if n.SSL == "" {
		return ""
	}
	return fmt.Sprintf(", {uri: '%s', params: {transport: ssl}}", n.SSL)
}
