package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
)

// Options of a replica set.
type Options struct {
	Dir   string // for data and logs; required, and there
	Nodes int    // 1 or more
	WAL   string // "write" or "fsync"; etcd and PostgreSQL know the second alone
	MVCC  bool   // Tarantool's transaction manager, without which no transaction has several requests
}

// quorum is how many of the nodes have to have a row.
func (o *Options) quorum() int { return o.Nodes/2 + 1 }

// patience is how long a peer may take to start.
const patience = 30 * time.Second

// errWAL: the peer writes through to the disk, always.
var errWAL = errors.New("it has no mode without fsync")

// find is the program of a peer: in PATH, or in directories that packages use.
func find(program, hint string, dirs ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, pattern := range dirs {
		found, _ := filepath.Glob(filepath.Join(pattern, program))
		if len(found) > 0 {
			return found[len(found)-1], nil // the newest version
		}
	}
	return "", fmt.Errorf("missing: %s, %s", program, hint)
}

// node is one process of a peer.
type node struct {
	cluster.Process
	name string
	addr string
	dir  string
}

// newNode makes a directory for a node, and finds a port.
func newNode(o *Options, kind string, i int) (*node, error) {
	addr, err := cluster.FreeAddr()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%d", kind, i+1)
	n := &node{name: name, addr: addr, dir: filepath.Join(o.Dir, name)}
	n.Log = filepath.Join(o.Dir, name+".log")
	return n, os.Mkdir(n.dir, 0o700)
}

// until waits for check, at most as long as a start may take, and not for a
// process that has ended.
func (n *node) until(ctx context.Context, check func(context.Context) error) error {
	limit, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s did not start in %s", n.name, patience))
	defer cancel()
	return cluster.Until(limit, func() error {
		if n.PID() == 0 {
			cancel()
			return fmt.Errorf("%s has ended", n.name)
		}
		return check(limit)
	})
}

// processes of nodes.
func processes(nodes []*node) []*cluster.Process {
	all := make([]*cluster.Process, len(nodes))
	for i, n := range nodes {
		all[i] = &n.Process
	}
	return all
}
