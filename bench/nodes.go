package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/peer"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/internal/testcert"

	"github.com/tarantool/go-tarantool/v2"
)

// replicaset is the nodes that the benchmark itself has started.
type replicaset struct {
	*cluster.Cluster
	mesh   *cluster.Mesh // between the nodes, nil: none
	binary string
	dir    string
	ca     *testcert.CA
	keep   bool // the directory, after something went wrong
}

// startNodes starts a replica set of the shape that the flags say, and waits until
// it takes writes.
func startNodes(ctx context.Context, f *flags, mesh *cluster.Mesh) (*replicaset, error) {
	return startShape(ctx, f, f.binary, shape{nodes: f.nodes, wal: f.wal}, mesh, nil)
}

// newDir makes a directory for the data of a replica set.
func newDir(f *flags) (string, error) {
	parent := f.dir
	if parent == "" {
		parent = filepath.Dir(f.binary)
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(parent, "bench-")
}

// startShape starts a replica set of some build of ours, with more variables in
// its environment.
func startShape(ctx context.Context, f *flags, path string, s shape, mesh *cluster.Mesh, env []string) (*replicaset, error) {
	binary, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("the server: %w (make build)", err)
	}
	dir, err := newDir(f)
	if err != nil {
		return nil, err
	}
	o := cluster.Options{Binary: binary, Dir: dir, Nodes: s.nodes, WAL: s.wal, Routers: s.routers, HTTP: s.http, YAML: fmt.Sprintf("memtx:\n  memory: %d\n", peer.MemtxMemory), Env: env}
	var ca *testcert.CA
	if s.tls {
		ca = certs(dir, o.Nodes)
		o.SSL, o.SSLToo = dir, true
	}
	if mesh != nil {
		o.Peer = mesh.Peer
	}
	c, err := cluster.New(o)
	if err != nil {
		return nil, err
	}
	rs := &replicaset{Cluster: c, mesh: mesh, binary: binary, dir: dir, ca: ca, keep: f.keep}
	if mesh != nil && mesh.Err() != nil {
		return nil, mesh.Err()
	}
	if err := c.Start(); err != nil {
		rs.stop()
		return nil, err
	}
	limit, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the nodes did not start in 30s"))
	defer cancel()
	if err := rs.settle(limit); err != nil {
		err = rs.blame(err)
		rs.stop()
		return nil, err
	}
	return rs, nil
}

// blame adds where to look, and keeps it.
func (rs *replicaset) blame(err error) error {
	if err == nil {
		return nil
	}
	rs.keep = true
	for _, n := range rs.Nodes {
		if n.PID() == 0 {
			err = fmt.Errorf("%w\n%s has ended, %s; its last words:\n%s", err, n.Name, n.End(), n.Tail(5))
		}
	}
	return fmt.Errorf("%w\nlogs and data are kept in %s", err, rs.dir)
}

// stop ends all processes and removes their data.
func (rs *replicaset) stop() {
	rs.Stop()
	if rs.mesh != nil {
		rs.mesh.Close()
	}
	if !rs.keep {
		os.RemoveAll(rs.dir)
	}
}

// connect connects to all nodes, in their order.
func (rs *replicaset) connect(ctx context.Context) (all []*tarantool.Connection, err error) {
	for _, n := range rs.Nodes {
		conn, err := load.Admin(ctx, n.Addr, cluster.User, cluster.Password)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		all = append(all, conn)
	}
	return all, nil
}

func closeAll(all []*tarantool.Connection) {
	for _, c := range all {
		c.Close()
	}
}

// settle waits until all nodes answer, follow one leader that takes writes, and
// hold the same rows.
func (rs *replicaset) settle(ctx context.Context) error {
	return cluster.Until(ctx, func() error {
		conns, err := rs.connect(ctx)
		if err != nil {
			return err
		}
		defer closeAll(conns)
		var writable int
		var first string
		for i, conn := range conns {
			info, err := boxInfo(ctx, conn)
			if err != nil {
				return fmt.Errorf("%s: %w", rs.Nodes[i].Name, err)
			}
			if ro, ok := info["ro"].(bool); ok && !ro {
				writable++
			}
			election, _ := info["election"].(map[any]any)
			state := fmt.Sprintf("leader %v of term %v, vclock %s", election["leader"], election["term"], vclockText(info["vclock"]))
			if i == 0 {
				first = state
			} else if state != first {
				return fmt.Errorf("%s is at %s, %s at %s", rs.Nodes[0].Name, first, rs.Nodes[i].Name, state)
			}
		}
		if writable != 1 {
			return fmt.Errorf("%d nodes take writes", writable)
		}
		return nil
	})
}

// vclockText prints a vclock without the component of local rows.
func vclockText(v any) string {
	m, _ := v.(map[any]any)
	var parts []uint64
	for id := range uint64(32) {
		for k, lsn := range m {
			if cluster.Number(k) == id && id > 0 {
				parts = append(parts, id, cluster.Number(lsn))
			}
		}
	}
	return fmt.Sprint(parts)
}

// leader finds the node that takes writes.
func (rs *replicaset) leader(ctx context.Context) (conn *tarantool.Connection, index int, err error) {
	limit, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("no leader in 20s"))
	defer cancel()
	err = cluster.Until(limit, func() error {
		var addr string
		conn, addr, err = findLeader(limit, rs.Addrs(), cluster.User, cluster.Password)
		for i, n := range rs.Nodes {
			if n.Addr == addr {
				index = i
			}
		}
		return err
	})
	return conn, index, err
}

// plan drives one of the nodes.
func (rs *replicaset) plan(node int) load.Plan {
	return load.Plan{Addr: rs.Nodes[node].Addr, User: cluster.User, Password: cluster.Password}
}
