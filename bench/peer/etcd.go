package peer

import (
	"context"
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/cluster"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Etcd is an etcd cluster. A row is a key of eight bytes with its value.
type Etcd struct {
	Version string // "3.4.23"
	binary  string
	nodes   []*node
	leader  string // address of its clients
}

// FindEtcd looks for the program and asks for its version.
func FindEtcd() (*Etcd, error) {
	path, err := find("etcd", "it is Debian's package etcd-server (apt-get install etcd-server)")
	if err != nil {
		return nil, err
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	words := strings.Fields(string(out)) // etcd Version: 3.4.23
	if len(words) < 3 {
		return nil, fmt.Errorf("etcd: strange version %q", out)
	}
	return &Etcd{Version: words[2], binary: path}, nil
}

// Start starts a new cluster and finds its leader.
func (e *Etcd) Start(ctx context.Context, o Options) error {
	if o.WAL != "fsync" {
		return errWAL
	}
	e.nodes = nil
	var peers, members []string
	for i := range o.Nodes {
		n, err := newNode(&o, "etcd", i)
		if err != nil {
			return err
		}
		peer, err := cluster.FreeAddr()
		if err != nil {
			return err
		}
		e.nodes, peers = append(e.nodes, n), append(peers, "http://"+peer)
		members = append(members, n.name+"=http://"+peer)
	}
	for i, n := range e.nodes {
		client := "http://" + n.addr
		cmd := exec.Command(e.binary, "--name", n.name, "--data-dir", n.dir, "--logger", "zap", "--log-level", "warn",
			"--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new",
			"--quota-backend-bytes", "8589934592")
		if err := n.Process.Start(cmd); err != nil {
			return fmt.Errorf("start %s: %w", n.name, err)
		}
	}
	return e.nodes[0].until(ctx, e.findLeader)
}

func (e *Etcd) findLeader(ctx context.Context) error {
	for _, n := range e.nodes {
		c, err := dialEtcd(ctx, n.addr)
		if err != nil {
			return err
		}
		ask, cancel := context.WithTimeout(ctx, time.Second)
		status, err := c.Status(ask, n.addr)
		cancel()
		c.Close()
		if err != nil {
			return err
		}
		if status.Leader == status.Header.MemberId {
			e.leader = n.addr
			return nil
		}
	}
	return fmt.Errorf("none of %d members leads", len(e.nodes))
}

func dialEtcd(ctx context.Context, addr string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Context: ctx, Endpoints: []string{"http://" + addr}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
}

// How says the settings that a reader of results wants to know.
func (e *Etcd) How(o Options) string {
	return fmt.Sprintf("%d members, all writes to the disks of %d, by clientv3", o.Nodes, o.quorum())
}

// Connect makes a connection to the leader.
func (e *Etcd) Connect(ctx context.Context) (load.Client, error) {
	c, err := dialEtcd(ctx, e.leader)
	if err != nil {
		return nil, err
	}
	return &etcdClient{c}, nil
}

// Prepare fills the cluster with the keys 1..keys.
func (e *Etcd) Prepare(ctx context.Context, keys uint64, value []byte) error {
	return fillClients(ctx, e.Connect, keys, value)
}

// Processes of the members.
func (e *Etcd) Processes() []*cluster.Process { return processes(e.nodes) }

// Blame adds the last words of processes that have ended.
func (e *Etcd) Blame(err error) error { return blame(err, e.nodes) }

// Stop ends all processes.
func (e *Etcd) Stop() { stop(e.nodes) }

type etcdClient struct{ c *clientv3.Client }

func etcdKey(key uint64) string { return string(binary.BigEndian.AppendUint64(nil, key)) }

// Put writes one key.
func (c *etcdClient) Put(ctx context.Context, key uint64, value []byte) error {
	_, err := c.c.Put(ctx, etcdKey(key), string(value))
	return err
}

// Get reads one key, with the quorum's word that it is the newest.
func (c *etcdClient) Get(ctx context.Context, key uint64) (bool, error) {
	r, err := c.c.Get(ctx, etcdKey(key))
	return err == nil && len(r.Kvs) > 0, err
}

// Close closes the connection.
func (c *etcdClient) Close() error { return c.c.Close() }
