package interop

import "testing"

// Spaces that we cannot index stop the join, with a line that names space and
// index, and leave nothing behind. Told to carry them we do, with every byte, and
// hand them on to a Tarantool that joins us.
func TestOpaqueSpaces(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(p, settings{first: true})
		replica := r.add(us(p), settings{from: []*node{master}, ro: true})
		master.start()
		r.up(master)
		master.fill()
		master.eval(fillMore)
		if replica.isOurs() {
			replica.start()
			r.says(replica, "of space 'places'", "of space 'sorted'", "of space 'masks'")
			replica.kill()
			replica.set.env = []string{"TT_TARRAGON_OPAQUE_SPACES=true"}
		}
		replica.start()
		r.up(replica)
		r.follows(replica)
		r.equal()
		master.change()
		master.eval(`
			for i = 1, 20, 3 do
				box.space.cold:replace{i, 'changed'}
				box.space.places:update(i, {{'=', 3, 'changed'}})
				box.space.masks:delete(i)
				box.space.sorted:upsert({i, 'Upserted'}, {{'=', 2, 'Changed'}})
			end
			box.space.places.index.where:alter{name = 'renamed'}`)
		r.equal()
		replica.restart()
		r.up(replica)
		r.equal()

		last := r.add(p, settings{from: []*node{replica, master}, ro: true})
		last.start()
		r.up(last)
		r.follows(last)
		master.change()
		r.equal()
		found := last.eval(`
			return #box.space.places.index.renamed:select({0, 0, 9, 9}, {iterator = 'le'}),
				#box.space.masks.index.bits:select(4, {iterator = 'bits_all_set'}),
				#box.space.sorted.index.by_name:select('NAME 2')`)
		want := master.eval(`
			return #box.space.places.index.renamed:select({0, 0, 9, 9}, {iterator = 'le'}),
				#box.space.masks.index.bits:select(4, {iterator = 'bits_all_set'}),
				#box.space.sorted.index.by_name:select('NAME 2')`)
		for i := range want {
			if found[i] != want[i] {
				t.Errorf("a Tarantool behind ours finds %v, its master %v", found, want)
			}
		}
		r.healthy(last)
	})
}
