package interop

import (
	"testing"
)

// Two nodes of both kinds with elections off are cut off from each other, and
// the one that does not own the queue is promoted by hand.
//
// A Tarantool is promoted alone: both take writes, and when they meet again each
// stops with a split brain, says so, and has its own rows and none of the
// other's. One of ours refuses, whatever the synchro quorum is: there is no split
// brain.
func TestSplitBrainByTwoPromotes(t *testing.T) {
	eachOrder(t, func(t *testing.T, r *rig) {
		nodes := r.nodes
		r.lead(nodes[0])
		r.space(nodes[0], orders, map[string]any{"is_sync": true})
		nodes[0].must("box.space.orders:insert", []any{1, "before"})
		r.until("the row arrives", func() error { return nodes[1].holds(orders, 1, "before") })
		r.mesh.Isolate(0)
		if nodes[1].isOurs() {
			r.refusesToLeadAlone(nodes[1], nodes[0])
			return
		}
		nodes[0].must("box.space.orders:insert", []any{100, "of one side"})
		r.lead(nodes[1])
		nodes[1].must("box.space.orders:insert", []any{101, "of one side"})
		r.mesh.Heal()
		r.upstream(nodes[0], nodes[1], "stopped", splitBrain)
		r.upstream(nodes[1], nodes[0], "stopped", splitBrain)
		for i, n := range nodes {
			if err := n.holds(orders, 100+i, "of one side"); err != nil {
				t.Error(err)
			}
			if err := n.missing(orders, 101-i); err != nil {
				t.Error(err)
			}
		}
	})
}

// splitBrain is in the message of a stopped upstream.
const splitBrain = "Split-Brain discovered"

// refusesToLeadAlone: a promotion without a quorum fails, and when the two meet
// again they go on.
func (r *rig) refusesToLeadAlone(n, owner *node) {
	r.t.Helper()
	owner.must("box.space.orders:insert", []any{100, "of the owner"})
	if err := n.run("box.ctl.promote"); err == nil {
		r.t.Fatalf("%s was promoted alone", n.name)
	}
	r.mesh.Heal()
	r.follows(r.nodes...)
	r.lead(owner) // the attempt has raised the term
	owner.must("box.space.orders:insert", []any{101, "after"})
	r.equal()
}

// An old owner of the queue, which was cut off, wrote asynchronously in its old
// term: who knows the newer term stops with a split brain.
func TestSplitBrainByAnAsynchronousRow(t *testing.T) {
	eachOrder(t, func(t *testing.T, r *rig) {
		nodes := r.nodes
		r.lead(nodes[0])
		r.space(nodes[0], orders, map[string]any{"is_sync": true})
		r.space(nodes[0], plain, nil)
		r.arrives(plain, nodes[1])
		old, now := nodes[0], nodes[1]
		if now.isOurs() { // it would not be promoted alone
			r.lead(now)
			old, now = now, old
		}
		r.mesh.Isolate(0)
		r.lead(now)
		old.must("box.space.plain:insert", []any{1, "of an old term"})
		r.mesh.Heal()
		r.upstream(now, old, "stopped", splitBrain)
		if err := now.missing(plain, 1); err != nil {
			t.Error(err)
		}
	})
}

// eachOrder runs a test with elections off and either kind as the first, which
// boots.
func eachOrder(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	if modern.path == "" {
		t.Skip("TARANTOOL names no Tarantool 3")
	}
	for name, peers := range map[string][]peer{"Tarantool first": {modern, us(modern)}, "Tarragon first": {us(modern), modern}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.masters(peers[0], peers[1])
			for _, n := range r.nodes {
				n.set.extra = quorumOfOne(n)
				n.restart()
			}
			r.up(r.nodes...)
			r.follows(r.nodes...)
			r.watch()
			test(t, r)
		})
	}
}

// quorumOfOne lets each decide alone, which is how one provokes a split brain.
func quorumOfOne(n *node) string {
	if n.isOurs() {
		return "  synchro_quorum: 1\n"
	}
	return "\treplication_synchro_quorum = 1,\n"
}
