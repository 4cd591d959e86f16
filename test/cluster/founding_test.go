package cluster

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// The bootstrapper is gone before anybody has joined it, and the others begin
// another replica set. It took no write meanwhile. When it is back there is one
// set, with all that was acknowledged.
func TestTwoBootstrappers(t *testing.T) {
	for name, gone := range map[string]func(r *rig, n *cluster.Node){
		"killed":  func(_ *rig, n *cluster.Node) { n.Kill() },
		"cut off": func(r *rig, n *cluster.Node) { r.mesh.Isolate(r.index(n)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options{proxied: true})
			first := r.bootstrapper()
			before := r.setOf(first)
			r.refusesFounding(first)
			gone(r, first)
			rest := r.others(first)
			r.tracker.Close()
			for _, n := range rest {
				n.Kill()
				r.rewrite(n, wrongPassword, rightPassword)
				if err := n.Start(); err != nil {
					t.Fatal(err)
				}
			}
			r.tracker = cluster.Track([]string{rest[0].Addr, rest[1].Addr})
			r.makeSpace()
			l := r.startLoad(20)
			l.more(100)
			if name == "killed" {
				if err := first.Start(); err != nil {
					t.Fatal(err)
				}
			}
			r.mesh.Heal()
			r.until(first.Name+" gives way", func() error {
				if !strings.Contains(r.log(first), "giving way to another replica set") {
					return errors.New("it does not")
				}
				return nil
			})
			r.tracker.Add(first.Addr)
			r.caughtUp(first, l.newest())
			after := r.setOf(first)
			for _, n := range r.Nodes {
				if got := r.setOf(n); got != after || got == before {
					t.Errorf("%s is of replica set %s, %s of %s, and the first was %s", n.Name, got, first.Name, after, before)
				}
				r.until(n.Name+" follows two", func() error { return r.follows(n, 2) })
			}
			if out, exit := r.tool("xlog", "former", "list", first.DataDir()); exit != 0 || !strings.Contains(out, "gives way") {
				t.Errorf("former slots: %d, %s", exit, out)
			}
			for _, n := range r.Nodes {
				r.until(n.Name+" counts three", func() error { return r.knows(n, 3) })
			}
			lead := r.leader()
			lead.Kill() // the one that gave way counts like the others
			l.more(100)
			if err := lead.Start(); err != nil {
				t.Fatal(err)
			}
			r.caughtUp(lead.Node, l.newest())
			r.verify()
		})
	}
}

// bootstrapper runs nodes of which the first begins the replica set, having the
// smallest UUID, and the others cannot join it, since they know another password.
func (r *rig) bootstrapper() *cluster.Node {
	r.t.Helper()
	first := r.Nodes[0]
	r.rewrite(first, first.Name+":\n", first.Name+":\n            database: {instance_uuid: 00000000-0000-4000-8000-000000000001}\n")
	for _, n := range r.others(first) {
		r.rewrite(n, rightPassword, wrongPassword)
	}
	for _, n := range r.Nodes {
		if err := n.Start(); err != nil {
			r.t.Fatal(err)
		}
		r.until(n.Name+" answers", func() error {
			if !strings.Contains(r.log(n), `"listening"`) {
				return errors.New("it does not")
			}
			return nil
		})
	}
	r.tracker = cluster.Track(r.Addrs())
	r.until(first.Name+" founds a set", func() error {
		info, err := r.info(first)
		if err == nil && info["ro_reason"] != "founding" {
			err = fmt.Errorf("it is read-only because of %v", info["ro_reason"])
		}
		return err
	})
	return first
}

const rightPassword, wrongPassword = "replicator-password", "another-password"

// rewrite changes a node's own configuration file.
func (r *rig) rewrite(n *cluster.Node, old, text string) {
	r.t.Helper()
	raw, err := os.ReadFile(n.Config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(n.Config, string(raw), func(yaml string) string { return strings.ReplaceAll(yaml, old, text) })
}

// refusesFounding: a client of a set that is being founded gets READONLY, which
// pools take for a reason to look elsewhere.
func (r *rig) refusesFounding(n *cluster.Node) {
	r.t.Helper()
	_, err := r.tracker.Conn(n.Addr).Do(tarantool.NewInsertRequest("_schema").Tuple([]any{"x", 1})).Get()
	var e tarantool.Error
	if !errors.As(err, &e) || e.Code != iproto.ER_READONLY || !strings.Contains(e.Msg, "is being founded") {
		r.t.Errorf("a write at %s, which founds a set: %v", n.Name, err)
	}
}

// setOf is the UUID of a node's replica set.
func (r *rig) setOf(n *cluster.Node) (uuid string) {
	r.t.Helper()
	r.until(n.Name+" is of a replica set", func() error {
		info, err := r.info(n)
		uuid = fmt.Sprint(mapAt(info, "replicaset")["uuid"])
		return err
	})
	return uuid
}

// follows: a node follows so many others.
func (r *rig) follows(n *cluster.Node, want int) error {
	info, err := r.info(n)
	if err != nil {
		return err
	}
	all, _ := info["replication"].(map[any]any)
	got := 0
	for _, peer := range all {
		peer, _ := peer.(map[any]any)
		if up, _ := peer["upstream"].(map[any]any); up["status"] == "follow" {
			got++
		}
	}
	if got != want {
		return fmt.Errorf("it follows %d: %v", got, all)
	}
	return nil
}
