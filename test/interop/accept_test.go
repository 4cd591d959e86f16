package interop

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// TestAcceptedIsAccepted: whatever one of ours takes from a client, a Tarantool
// that follows it takes as well, and both hold the same.
func TestAcceptedIsAccepted(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(us(p), settings{first: true, env: p.profile()})
		replica := r.add(p, settings{from: []*node{master}, ro: true})
		master.start()
		r.up(master)
		r.arena(master)
		replica.start()
		r.up(replica)
		r.follows(replica)
		d := &duel{t: t, p: p, ours: r.asker(master), spaces: map[string]uint64{}, rng: seeded(t)}
		for name := range arena {
			id, err := master.spaceID(name)
			if err != nil {
				t.Fatal(err)
			}
			d.spaces[name] = id
		}
		const step = 500
		taken := 0
		for range amount(3000) / step {
			for range step {
				_, q := d.any()
				if p.version < "2.8.1" && d.onlyNew(q) {
					continue
				}
				if got := d.ours.ask(q); got.code == 0 && q.typ != xrow.Select {
					taken++
				}
			}
			r.equal() // waits for the replica, and fails where it has stopped
			r.follows(replica)
		}
		t.Logf("%d changes were taken", taken)
		r.same()
		r.healthy(replica)
	})
}

// onlyNew tells whether what a request asks for is not in a Tarantool before
// 2.8.1, so that no set with one can have it.
func (d *duel) onlyNew(q request) bool {
	c := clash{q: q}
	for _, op := range c.ops() {
		if op[0] == "=" || op[0] == "!" || op[0] == "#" || op[0] == ":" {
			return true // behind the end, or of bytes
		}
	}
	return len(c.ops()) > 1 || hasUUID(q)
}
