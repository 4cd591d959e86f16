package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
)

// patience is how long anything may take on a busy machine. All of it takes
// far less on an idle one.
const patience = 40 * time.Second

// rig is a replica set in a directory of its own.
type rig struct {
	t     *testing.T
	ctx   context.Context
	dir   string
	mesh  *cluster.Mesh // between all nodes
	nodes []*node
	loads []*load
	views views // of a set with elections

	rounds int // of changes, see node.change
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("runs real processes for seconds")
	}
	t.Parallel()
	dir, err := os.MkdirTemp("", "tarragon-interop-")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx, dir: dir, mesh: cluster.NewMesh()}
	t.Cleanup(r.end)
	return r
}

// end kills what still runs. What a failed test leaves can be looked at.
func (r *rig) end() {
	for _, n := range r.nodes {
		n.close()
		n.Signal(syscall.SIGCONT)
		n.kill()
		for _, bad := range []string{"DATA RACE", "panic:", "fatal error:", "Assertion failed", "Segmentation fault"} {
			if strings.Contains(n.text(), bad) {
				r.t.Errorf("the log of %s says %q", n.name, bad)
			}
		}
	}
	r.mesh.Close()
	if !r.t.Failed() {
		if err := os.RemoveAll(r.dir); err != nil {
			r.t.Error(err)
		}
		return
	}
	for _, n := range r.nodes {
		r.t.Logf("the last words of %s, %s:\n%s", n.name, n.kind(), n.Tail(30))
	}
	r.t.Logf("all is kept in %s", r.dir)
}

// add makes up a node; nothing runs yet.
func (r *rig) add(p peer, set settings) *node {
	r.t.Helper()
	addr, err := cluster.FreeAddr()
	if err != nil {
		r.t.Fatal(err)
	}
	n := &node{r: r, index: len(r.nodes), name: fmt.Sprintf("i-%03d", len(r.nodes)+1), addr: addr, peer: p, set: set}
	n.command = n.alone
	n.dir = filepath.Join(r.dir, n.name)
	if err := os.Mkdir(n.dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	n.Log = filepath.Join(r.dir, n.name+".log")
	r.nodes = append(r.nodes, n)
	return n
}

// kind of a node, for messages.
func (n *node) kind() string {
	if n.isOurs() {
		return "Tarragon"
	}
	return "Tarantool " + n.peer.version
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

// happens waits for a channel to be closed.
func (r *rig) happens(what string, c <-chan struct{}) {
	r.t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		r.t.Fatalf("%s: not within %v", what, patience)
	}
}

// up waits until nodes answer and have left all states of a start.
func (r *rig) up(nodes ...*node) {
	r.t.Helper()
	for _, n := range nodes {
		r.until(n.name+" runs", func() error {
			select {
			case <-n.Exited():
				r.t.Fatalf("%s has ended, %s", n.name, n.End())
			default:
			}
			info, err := n.info()
			if err == nil && info.at("status").text() != "running" {
				err = fmt.Errorf("status is %q", info.at("status").text())
			}
			return err
		})
	}
}

// follows waits until a node follows all that it replicates from.
func (r *rig) follows(nodes ...*node) {
	r.t.Helper()
	for _, n := range nodes {
		for _, from := range n.set.from {
			r.upstream(n, from, "follow", "")
		}
	}
}

// upstream waits until a node says that its upstream has a status, with a text
// in its message.
func (r *rig) upstream(n, from *node, status, text string) {
	r.t.Helper()
	uuid := r.uuid(from)
	r.until(fmt.Sprintf("%s from %s: %s", n.name, from.name, status), func() error {
		info, err := n.info()
		if err != nil {
			return err
		}
		for _, m := range info.at("replication").each() {
			if m.at("uuid").text() != uuid {
				continue
			}
			up := m.at("upstream")
			if up.at("status").text() == status && strings.Contains(up.at("message").text(), text) {
				return nil
			}
			return fmt.Errorf("it is %v", up.any)
		}
		return fmt.Errorf("it knows no %s: %v", uuid, info.at("replication").any)
	})
}

// uuid of a node, which must be up.
func (r *rig) uuid(n *node) (uuid string) {
	r.t.Helper()
	if n.uuid != "" {
		return n.uuid
	}
	r.until(n.name+" says its uuid", func() error {
		info, err := n.info()
		n.uuid = info.at("uuid").text()
		return err
	})
	return n.uuid
}

// id is the replica ID of a node.
func (r *rig) id(n *node) (id uint64) {
	r.t.Helper()
	r.until(n.name+" says its id", func() error {
		info, err := n.info()
		id = info.at("id").num()
		return err
	})
	return id
}

// space makes a space with a primary index, by way of one node.
func (r *rig) space(n *node, name string, options map[string]any, parts ...any) {
	r.t.Helper()
	if len(parts) == 0 {
		parts = []any{[]any{1, "unsigned"}}
	}
	n.must("box.schema.space.create", name, options)
	n.must("box.space."+name+":create_index", "primary", map[string]any{"parts": parts})
}
