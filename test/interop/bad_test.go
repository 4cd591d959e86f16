package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// A peer with a wrong password, or as a user without the right to replicate:
// either kind of master refuses, either kind of replica says so, and gets
// nothing.
func TestLoginsThatMayNot(t *testing.T) {
	for _, c := range []struct {
		name            string
		login, password string
		says            []string // one of these: the words are those of the master's version
	}{
		{"wrong password", "", "not-this", []string{"incorrect password supplied for user 'replicator'", "supplied credentials are invalid"}},
		{"no right", "alice", "secret-of-alice", []string{"access to universe '' is denied for user 'alice'", "access to space '_cluster' is denied for user 'alice'"}},
		{"no such user", "nobody", "x", []string{"user 'nobody' is not found", "supplied credentials are invalid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachPair(t, func(t *testing.T, r *rig, master, replica *node) {
				master.must("box.schema.user.create", "alice", map[string]any{"password": "secret-of-alice"})
				replica.set.login, replica.set.password = c.login, c.password
				replica.start()
				r.says(replica, c.says...)
				rows, err := master.sel(xrow.SpaceCluster)
				if err != nil || len(rows) != 1 {
					t.Errorf("there are %d members, %v", len(rows), err)
				}
			})
		})
	}
}

// The 32nd member is refused by either kind of master, with the same error, and
// the set goes on.
func TestTooManyMembers(t *testing.T) {
	eachPair(t, func(t *testing.T, r *rig, master, replica *node) {
		for id := 2; id <= 31; id++ {
			master.must("box.space._cluster:insert", []any{id, fmt.Sprintf("00000000-0000-4000-8000-%012d", id)})
		}
		if !replica.isOurs() && !replica.peer.old() {
			replica.set.extra = "\tbootstrap_strategy = 'legacy',\n" // else it wants to see them all
		}
		replica.start()
		r.says(replica, "eplica count limit reached: 32")
		if rows, err := master.sel(xrow.SpaceCluster); err != nil || len(rows) != 31 {
			t.Errorf("there are %d members, %v", len(rows), err)
		}
		replica.kill() // a Tarantool has ended by itself
		master.must("box.space._cluster:delete", 31)
		replica.start()
		r.up(replica)
		r.follows(replica)
		r.equal()
	})
}

// A replica that comes to another replica set than its own is refused, and
// keeps what it has.
func TestForeignReplicaSet(t *testing.T) {
	eachPair(t, func(t *testing.T, r *rig, master, replica *node) {
		r.space(master, plain, nil)
		replica.start()
		r.up(replica)
		r.follows(replica)
		foreign := r.add(replica.peer, settings{first: true, env: replica.set.env})
		foreign.start()
		r.up(foreign)
		foreign.must("box.schema.space.create", "foreign")
		replica.terminate()
		replica.set.from = []*node{foreign}
		replica.start()
		r.says(replica, "mismatch", "is not registered with replica set")
		if _, err := foreign.spaceID("foreign"); err != nil {
			t.Error(err)
		}
		replica.kill()
		replica.set.from = []*node{master}
		replica.start()
		r.up(replica)
		r.follows(replica)
		r.equal(master, replica)
	})
}

// says waits until a node's log has one of some texts.
func (r *rig) says(n *node, texts ...string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s says one of %q", n.name, texts), func() error {
		log := strings.ToLower(n.text())
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(log, strings.ToLower(text)) }) {
			return fmt.Errorf("its last words are\n%s", n.Tail(3))
		}
		return nil
	})
}

// eachPair runs a test with a master that is up and a replica that is not, of
// two kinds, either way.
func eachPair(t *testing.T, test func(t *testing.T, r *rig, master, replica *node)) {
	eachPeer(t, func(t *testing.T, p peer) {
		for _, pair := range []struct {
			name            string
			master, replica peer
		}{{"we join", p, us(p)}, {"they join", us(p), p}} {
			t.Run(pair.name, func(t *testing.T) {
				r := newRig(t)
				master := r.add(pair.master, settings{first: true, env: p.profile()})
				replica := r.add(pair.replica, settings{from: []*node{master}, ro: true})
				master.start()
				r.up(master)
				test(t, r, master, replica)
			})
		}
	})
}
