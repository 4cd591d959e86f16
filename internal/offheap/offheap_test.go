package offheap

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// Pieces have the length asked for, and are nobody else's, whatever was given back
// before them; and what was given back is used again.
func TestPieces(t *testing.T) {
	p := New()
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 4096, 4097, 50176, 64 << 10, regionSize, regionSize + 1}
	var held [][]byte
	for i := range 3000 {
		if len(held) > 40 || rng.IntN(3) == 0 && len(held) > 0 {
			k := rng.IntN(len(held))
			for _, c := range held[k] {
				if c != byte(len(held[k])) {
					t.Fatalf("step %d: somebody else wrote into a piece", i)
				}
			}
			p.Give(held[k])
			held = append(held[:k], held[k+1:]...)
			continue
		}
		n := sizes[rng.IntN(5)]
		if i%500 == 499 {
			n = sizes[5+i/500%2]
		}
		b := p.Take(n)
		if len(b) != n {
			t.Fatalf("step %d: %d bytes for %d", i, len(b), n)
		}
		for k := range b {
			b[k] = byte(n)
		}
		held = append(held, b)
	}
	if runtime.GOOS == "linux" && len(p.regions) > 6 {
		t.Errorf("%d regions for at most 41 pieces", len(p.regions))
	}
}

// Whoever gives back much leaves it to the system, and a bounded part stays at hand;
// all of it can be had again.
func TestColdPieces(t *testing.T) {
	p := New()
	const n, most = 64 << 10, warmMost / (64 << 10)
	var all [][]byte
	for range most + 100 {
		all = append(all, p.Take(n))
	}
	had := len(p.regions)
	for _, b := range all {
		b[0] = 1
		p.Give(b)
	}
	if f := p.free[n]; runtime.GOOS == "linux" && (len(f.warm) != most || len(f.cold) != 100 || p.warm != warmMost) {
		t.Errorf("%d pieces keep their memory, %d do not", len(f.warm), len(f.cold))
	}
	for range all {
		p.Take(n)
	}
	if p.warm != 0 || len(p.regions) != had {
		t.Errorf("%d bytes are left, %d regions of %d", p.warm, len(p.regions), had)
	}
}

// What is not of here is left alone: it is of Go's heap.
func TestForeign(t *testing.T) {
	p := New()
	p.Give(make([]byte, 64<<10))
	p.Give(make([]byte, 100))
	if len(p.free) != 0 {
		t.Errorf("%v was taken", p.free)
	}
}
