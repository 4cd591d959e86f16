package interop

import "testing"

// The harness itself: two real Tarantools, masters both ways, each killed under
// load, conflict, and the same at the end.
func TestHarness(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		a, b := r.add(p, settings{first: true}), r.add(p, settings{})
		b.set.from = []*node{a}
		a.start()
		r.up(a)
		r.space(a, plain, nil)
		b.start()
		r.up(b)
		r.follows(b)
		a.set.from = []*node{b}
		a.restart()
		r.up(a)
		r.follows(a, b)
		la, lb := r.writeTo(a, plain), r.writeTo(b, plain)
		la.more(300)
		lb.more(300)
		b.kill()
		la.more(300)
		b.start()
		r.up(b)
		lb.more(300)
		r.same()
		r.healthy(a)
	})
}
