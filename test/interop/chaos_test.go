package interop

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// What nobody thought of: faults that a seed draws, one after the other, on any
// node of a mixed set under synchronous load, some while another is still there.
// SEED repeats a run, as far as processes can be repeated; FAULTS makes it
// longer.
func TestChaos(t *testing.T) {
	seed, faults := uint64(time.Now().UnixNano()), 8
	if s, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = s
	}
	if n, err := strconv.Atoi(os.Getenv("FAULTS")); err == nil {
		faults = n
	}
	eachMix(t, func(t *testing.T, peers []peer) {
		r := newRig(t)
		t.Logf("SEED=%d", seed)
		rnd := rand.New(rand.NewPCG(seed, 0))
		r.configured(set{}, peers...)
		r.formed()
		l := r.write(orders, r.leading)
		l.more(50)
		for range faults {
			r.fault(rnd, l)
			l.more(30)
		}
		r.same()
	})
}

// fault does something to a node, leaves it so while others write, or does not,
// and mends it.
func (r *rig) fault(rnd *rand.Rand, l *load) {
	r.t.Helper()
	n := r.nodes[rnd.IntN(len(r.nodes))]
	leads := r.leading(r.ctx) == n
	wait := rnd.IntN(3) > 0
	kind := rnd.IntN(6)
	r.t.Logf("%s, %s, leads: %v, fault %d, others write meanwhile: %v", n.name, n.kind(), leads, kind, wait)
	others := func() {
		if wait {
			l.more(20 + rnd.IntN(30))
		}
	}
	switch kind {
	case 0:
		n.kill()
		others()
		n.start()
	case 1:
		n.Pause()
		others()
		n.Resume()
	case 2:
		r.mesh.Isolate(n.index)
		others()
		r.mesh.Heal()
	case 3: // one way only, towards one other node
		r.mesh.Cut(n.index, (n.index+1)%len(r.nodes))
		others()
		r.mesh.Heal()
	case 4:
		if err := n.run("box.ctl.promote"); err != nil {
			r.t.Logf("promote: %v", err)
		}
		others()
	case 5: // all at once
		for _, o := range r.nodes {
			o.kill()
		}
		for _, o := range r.nodes {
			o.start()
		}
	}
	r.up(r.nodes...)
	r.meshed(r.nodes...)
}
