package interop

import (
	"context"
	"fmt"
	"testing"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// A Tarragon joins a Tarantool that has one of everything, follows it, is
// restarted and killed, and so is the other.
func TestWeJoin(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(p, settings{first: true})
		replica := r.add(us(p), settings{from: []*node{master}, ro: true})
		master.start()
		r.up(master)
		master.fill()
		replica.start()
		r.up(replica)
		r.follows(replica)
		r.equal()

		master.change()
		r.equal()
		replica.restart()
		r.up(replica)
		r.follows(replica)
		r.equal()

		l := r.writeTo(master, plain)
		l.more(200)
		replica.kill()
		l.more(200)
		master.change()
		replica.start()
		r.up(replica)
		l.more(100)
		master.kill()
		master.start()
		r.up(master)
		l.more(200)
		r.follows(replica)
		r.same()
		r.healthy(master)
	})
}

// A master that was restarted has dropped the log that its replica needs: the
// replica joins anew by itself when it comes back.
func TestWeJoinAnew(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(p, settings{first: true, keepNoLogs: true})
		replica := r.add(us(p), settings{from: []*node{master}, ro: true})
		master.start()
		r.up(master)
		master.fill()
		replica.start()
		r.up(replica)
		r.follows(replica)
		r.equal()
		id := r.id(replica)
		replica.terminate()
		master.dropLog()
		replica.start()
		r.up(replica)
		master.change() // an old one notices the gap only when it has a log again
		r.follows(replica)
		r.equal()
		if now := r.id(replica); now != id {
			t.Errorf("it has replica ID %d, and had %d", now, id)
		}
		master.change()
		r.equal()
		r.healthy(master)
	})
}

// dropLog has a Tarantool write and forget its log, also what a replica needs:
// what replicas need is forgotten by the restart of an old one, and by the
// row's deletion on a new one.
func (n *node) dropLog() {
	n.r.t.Helper()
	for range 2 {
		n.change()
		n.eval("box.snapshot()")
	}
	n.restart()
	n.r.up(n)
	n.eval(`
		box.cfg{checkpoint_count = 1}
		pcall(box.cfg, {wal_cleanup_delay = 0})
		for _, c in pairs(box.space._gc_consumers and box.space._gc_consumers:select() or {}) do box.space._gc_consumers:delete{c[1]} end`)
	for range 2 {
		n.change()
		n.eval("box.snapshot()")
	}
}

// An anonymous Tarragon reads along, and becomes a member when the option goes.
func TestWeJoinAnonymously(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(p, settings{first: true})
		replica := r.add(us(p), settings{from: []*node{master}, anon: true, ro: true})
		r.anonymous(master, replica, func(int) { master.change() }, master.fill)
		r.healthy(master)
	})
}

// anonymous is the life of an anonymous replica of either kind.
func (r *rig) anonymous(master, replica *node, change func(round int), fill func()) {
	r.t.Helper()
	members := func(want int) {
		r.t.Helper()
		rows, err := master.sel(xrow.SpaceCluster)
		if err != nil || len(rows) != want {
			r.t.Errorf("%s has %d members of %d, %v", master.name, len(rows), want, err)
		}
	}
	master.start()
	r.up(master)
	fill()
	replica.start()
	r.up(replica)
	r.follows(replica)
	change(1)
	r.equal()
	members(1)
	replica.restart()
	r.up(replica)
	r.follows(replica)
	change(2)
	r.equal()
	if id := r.id(replica); id != 0 {
		r.t.Errorf("an anonymous replica has ID %d", id)
	}
	if replica.set.anon = false; replica.isOurs() {
		replica.restart()
		r.up(replica)
	} else { // it knows no way but at run time
		replica.eval("box.cfg{replication_anon = false}")
	}
	r.follows(replica)
	if id := r.id(replica); id != 2 {
		r.t.Errorf("the registered replica has ID %d", id)
	}
	members(2)
	change(3)
	r.equal()
}

// A Tarantool joins a Tarragon, follows, is restarted and killed, and so is the
// other; its files are healthy.
func TestTheyJoin(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(us(p), settings{first: true, env: p.profile()})
		replica := r.add(p, settings{from: []*node{master}, ro: true})
		master.start()
		r.up(master)
		r.define(master)
		l := r.writeTo(master, plain)
		l.more(300)
		replica.start()
		r.up(replica)
		r.follows(replica)
		l.more(100)
		r.define(master, "early")

		replica.restart()
		r.up(replica)
		l.more(100)
		replica.kill()
		l.more(100)
		r.define(master, "late")
		replica.start()
		r.up(replica)
		l.more(100)
		master.kill()
		master.start()
		r.up(master)
		l.more(100)
		r.follows(replica)
		r.same()
		replica.eval("box.snapshot()")
		r.healthy(replica)
	})
}

// A Tarantool that was away until the log it needs is gone joins anew.
func TestTheyJoinAnew(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(us(p), settings{first: true, env: p.profile(), keepNoLogs: true})
		replica := r.add(p, settings{from: []*node{master}, ro: true})
		master.start()
		r.up(master)
		r.define(master)
		replica.start()
		r.up(replica)
		r.follows(replica)
		replica.terminate()
		at := r.ballot(master)
		l := r.writeTo(master, plain)
		l.more(3000)
		r.until("the master has dropped what the replica would begin with", func() error {
			if now := r.ballot(master); now.GCVClock[1] <= at.VClock[1] {
				return fmt.Errorf("its log begins behind %d", now.GCVClock[1])
			}
			return nil
		})
		replica.start()
		r.up(replica)
		r.follows(replica)
		l.more(50)
		r.same()
		r.healthy(replica)
	})
}

// ballot is by which a replica decides whether it has to join anew, once for each start.
func (r *rig) ballot(n *node) xrow.Ballot {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	c, err := iproto.Dial(ctx, n.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // all is read
	raw, err := c.Vote()
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := xrow.DecodeBallot(append([]byte{0x81, byte(xrow.KeyBallot)}, raw...))
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func TestTheyJoinAnonymously(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(us(p), settings{first: true, env: p.profile()})
		replica := r.add(p, settings{from: []*node{master}, anon: true, ro: true})
		names := []string{"", "first", "second", "third"}
		r.anonymous(master, replica, func(round int) { r.define(master, names[round]) }, func() { r.define(master) })
		r.healthy(replica)
	})
}

// define makes spaces on a node of any kind, and fills them: those that writers
// need, or some of other names.
func (r *rig) define(n *node, names ...string) {
	r.t.Helper()
	if len(names) == 0 {
		r.space(n, plain, nil)
		names = []string{"other"}
	}
	for _, name := range names {
		r.space(n, name, map[string]any{"format": []any{[]any{"id", "unsigned"}, []any{"name", "string"}}}, []any{1, "unsigned"}, []any{2, "string"})
		n.must("box.space."+name+":create_index", "by_name", map[string]any{"parts": []any{[]any{2, "string"}}, "unique": false})
		for i := range 30 {
			n.must("box.space."+name+":insert", []any{i, "name", nil, 2.5, map[string]any{"k": i}})
		}
		n.must("box.space."+name+":update", []any{3, "name"}, []any{[]any{"=", 4, "updated"}})
		n.must("box.space."+name+":delete", []any{4, "name"})
		n.must("box.space."+name+":upsert", []any{5, "name"}, []any{[]any{"=", 4, "upserted"}})
		n.must("box.schema.user.create", "user of "+name, map[string]any{"password": "x"})
		n.must("box.schema.user.grant", "user of "+name, "read,write", "space", name)
	}
}

// us is the node that stands where ours does: see the doc of standIn.
func us(p peer) peer {
	if standIn {
		return p
	}
	return peer{}
}

// profile is the environment of one of ours that a peer can join.
func (p peer) profile() []string {
	if p.old() {
		return []string{"TT_TARRAGON_BOOTSTRAP_PROFILE=2.10.4"}
	}
	return nil
}
