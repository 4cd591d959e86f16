package interop

import (
	"fmt"
	"testing"

	"github.com/tarantool/go-iproto"
)

// masters runs three nodes of which each replicates from all others and takes
// writes: one Tarantool and two of ours, or the other way round.
func (r *rig) masters(first peer, others ...peer) (nodes []*node) {
	r.t.Helper()
	for i, p := range append([]peer{first}, others...) {
		nodes = append(nodes, r.add(p, settings{first: i == 0}))
	}
	for _, n := range nodes {
		if n.isOurs() {
			n.set.env = oldest(nodes).profile()
		}
	}
	nodes[0].start()
	r.up(nodes[0])
	for i, n := range nodes[1:] {
		known := nodes[:i+1]
		n.set.from = known
		n.start()
		r.up(n)
		r.follows(n)
		for _, k := range known {
			k.set.from = append(k.set.from[:len(k.set.from):len(k.set.from)], n)
			k.restart()
		}
		r.up(known...)
		r.follows(nodes[:i+2]...)
	}
	return nodes
}

// oldest is the Tarantool of a set of nodes.
func oldest(nodes []*node) (p peer) {
	for _, n := range nodes {
		if !n.isOurs() && (p.path == "" || n.peer.version < p.version) {
			p = n.peer
		}
	}
	return p
}

// Masters of both kinds write at the same time. Each is killed, cut off and
// restarted in turn.
func TestMasters(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		for _, set := range []struct {
			name  string
			peers []peer
		}{
			{"one Tarantool", []peer{p, us(p), us(p)}},
			{"two Tarantools", []peer{us(p), p, p}},
		} {
			t.Run(set.name, func(t *testing.T) {
				r := newRig(t)
				nodes := r.masters(set.peers[0], set.peers[1:]...)
				r.space(nodes[0], plain, nil)
				var loads []*load
				for _, n := range nodes {
					r.arrives(plain, n)
					loads = append(loads, r.writeTo(n, plain))
				}
				more := func(n int) {
					for _, l := range loads {
						l.more(n)
					}
				}
				more(100)
				for i, n := range nodes {
					n.kill()
					loads[(i+1)%len(loads)].more(100)
					n.start()
					r.up(n)
					more(50)
				}
				for i, n := range nodes {
					r.mesh.Isolate(n.index)
					more(100)
					r.mesh.Heal()
					r.follows(n, nodes[(i+1)%len(nodes)])
				}
				more(50)
				r.same()
				for _, n := range nodes {
					if !n.isOurs() {
						r.healthy(n)
					}
				}
			})
		}
	})
}

// Two masters insert one key while they are cut off from each other: each stops
// at the other's row, and says so. With replication_skip_conflict both go on,
// each with its own row.
func TestConflict(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		nodes := r.masters(p, us(p))
		r.space(nodes[0], plain, nil)
		r.arrives(plain, nodes[1])
		for range 2 { // the first time it stops, the second time it goes on
			skip := nodes[0].set.skip
			key := 1
			if skip {
				key = 2
			}
			r.mesh.Isolate(0)
			for i, n := range nodes {
				n.must("box.space.plain:insert", []any{key, fmt.Sprintf("of %d", i)})
				n.must("box.space.plain:insert", []any{key*100 + i, "behind the conflict"})
			}
			r.mesh.Heal()
			if !skip {
				for i, n := range nodes {
					r.upstream(n, nodes[1-i], "stopped", "Duplicate key exists in unique index")
					if err := n.missing(plain, key*100+1-i); err != nil {
						t.Error(err)
					}
					n.set.skip = true
				}
				for _, n := range nodes {
					n.restart()
				}
				r.up(nodes...)
			}
			r.follows(nodes...)
			for i, n := range nodes {
				r.until(n.name+" has what came behind", func() error { return n.holds(plain, key*100+1-i, "behind the conflict") })
				if err := n.holds(plain, key, fmt.Sprintf("of %d", i)); err != nil {
					t.Errorf("its own row: %v", err)
				}
			}
			nodes[0].must("box.space.plain:replace", []any{key, "agreed"})
			r.until("the replace arrives", func() error { return nodes[1].holds(plain, key, "agreed") })
		}
		r.same()
		if err := nodes[1].run("box.space.plain:insert", []any{1, "once more"}); code(err) != iproto.ER_TUPLE_FOUND {
			t.Errorf("a client's own conflict: %v", err)
		}
		r.healthy(nodes[0])
	})
}

// arrives waits until a node can read and write a space.
func (r *rig) arrives(space string, n *node) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s has the space %s", n.name, space), func() error { return n.missing(space, 0) })
}

// holds says nil if a node has a row.
func (n *node) holds(space string, key int, text string) error {
	out, err := n.call("box.space."+space+":get", key)
	if err != nil {
		return err
	}
	if len(out) == 0 || (value{out[0]}).at(2).text() != text {
		return fmt.Errorf("%s has %v for key %d of %s, wanted is %q", n.name, out, key, space, text)
	}
	return nil
}

// missing says nil if it has none of that key.
func (n *node) missing(space string, key int) error {
	out, err := n.call("box.space."+space+":get", key)
	if err == nil && len(out) > 0 && out[0] != nil {
		err = fmt.Errorf("%s has %v for key %d of %s", n.name, out, key, space)
	}
	return err
}

// With elections off, either kind is promoted by hand and gives the queue back:
// then all are masters again.
func TestDemoteAmongMasters(t *testing.T) {
	if modern.path == "" {
		t.Skip("TARANTOOL names no Tarantool 3")
	}
	r := newRig(t)
	nodes := r.masters(modern, us(modern), us(modern))
	r.space(nodes[0], plain, nil)
	r.space(nodes[0], orders, map[string]any{"is_sync": true})
	key := 0
	everybody := func() {
		for _, n := range nodes {
			key++
			r.until(n.name+" takes writes", func() error { return n.run("box.space."+plain+":replace", []any{key, n.name}) })
		}
	}
	for _, n := range []*node{nodes[1], nodes[0], nodes[2]} {
		r.until(n.name+" has the space", func() error { _, err := n.spaceID(orders); return err })
		everybody()
		r.equal() // an asynchronous row that comes behind a PROMOTE is a split brain
		r.until(n.name+" is promoted", func() error { return n.run("box.ctl.promote") })
		key++
		r.until(n.name+" takes a synchronous write", func() error { return n.run("box.space."+orders+":replace", []any{key, n.name}) })
		r.equal()
		n.must("box.ctl.demote")
		n.must("box.ctl.demote")
		r.until("nobody owns the queue", func() error {
			for _, o := range nodes {
				info, err := o.info()
				if err != nil {
					return err
				}
				if owner := info.at("synchro", "queue", "owner").num(); owner != 0 {
					return fmt.Errorf("%s says %d", o.name, owner)
				}
			}
			return nil
		})
	}
	everybody()
	nodes[1].restart()
	r.up(nodes[1])
	everybody()
	r.follows(nodes...)
	r.same()
}
