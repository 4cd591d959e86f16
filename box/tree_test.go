package box

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tinylib/msgp/msgp"
)

// TestTreeGrowsAndShrinks drives trees of several levels through splits,
// merges and removal of everything, in three orders.
func TestTreeGrowsAndShrinks(t *testing.T) {
	const n = 20000
	for name, order := range map[string]func(i int) int{
		"ascending":  func(i int) int { return i },
		"descending": func(i int) int { return n - 1 - i },
		"scattered":  func(i int) int { return i * 7919 % n },
	} {
		for _, typ := range []string{"unsigned", "string"} {
			t.Run(name+" "+typ, func(t *testing.T) {
				b := New(Config{})
				ix := &index{parts: []part{{typ: parseType(typ)}}, unique: true, pool: &b.nodes, mem: &b.mem, tree: b.newTree()}
				ix.setOrder(nil)
				key := func(k int) []byte {
					if typ == "string" {
						return msgp.AppendString([]byte{0x91}, fmt.Sprintf("a common head %06d", k))
					}
					return msgp.AppendUint64([]byte{0x91}, uint64(k))
				}
				rng := rand.New(rand.NewPCG(1, 2))
				for i := range n {
					ix.mustInsert(t, key(order(i)))
					if i%2000 == 0 {
						ix.mustBeValid(t)
					}
				}
				ix.mustBeValid(t)
				for _, k := range rng.Perm(n)[:n/2] {
					ix.mustRemove(t, key(k))
				}
				ix.mustBeValid(t)
				for at := ix.first(); at.leaf != 0; at = ix.first() {
					ix.mustRemove(t, append([]byte(nil), b.mem.tuple(ix.refAt(at))...))
				}
				if ix.tree.height != 0 {
					t.Errorf("height %d of an empty tree", ix.tree.height)
				}
				if used := int(b.nodes.nInners) - len(b.nodes.freeInners); used != 0 {
					t.Errorf("%d inner nodes leak", used)
				}
			})
		}
	}
}

func (ix *index) mustInsert(t *testing.T, tuple []byte) {
	t.Helper()
	r, err := ix.mem.newVersion(1, 0, tuple)
	if err != nil {
		t.Fatal(err)
	}
	var way path
	p := ix.tupleProbe(tuple)
	if ix.descend(&p, &way) {
		t.Fatalf("%s is there already", tupleText(tuple))
	}
	ix.insert(&way, p.hint, r)
}

func (ix *index) mustRemove(t *testing.T, tuple []byte) {
	t.Helper()
	var way path
	p := ix.tupleProbe(tuple)
	if !ix.descend(&p, &way) {
		t.Fatalf("%s is lost", tupleText(tuple))
	}
	s := way.steps[ix.tree.height]
	r := ix.pool.leaf(s.node).refs[s.slot]
	ix.remove(&way)
	ix.mem.freeVersion(r)
}

func (ix *index) mustBeValid(t *testing.T) {
	t.Helper()
	if err := ix.validate(); err != nil {
		t.Fatal(err)
	}
}

// TestSlab stores and frees versions of all sizes and finds each intact.
func TestSlab(t *testing.T) {
	a := newArena(goPages{})
	rng := rand.New(rand.NewPCG(3, 4))
	type item struct {
		r    ref
		fill byte
		n    int
	}
	var items []item
	for i := range 20000 {
		if len(items) > 0 && rng.IntN(5) < 2 {
			k := rng.IntN(len(items))
			it := items[k]
			for _, c := range a.tuple(it.r) {
				if c != it.fill {
					t.Fatalf("version of %d bytes was overwritten", it.n)
				}
			}
			if len(a.tuple(it.r)) != it.n {
				t.Fatalf("%d bytes, want %d", len(a.tuple(it.r)), it.n)
			}
			a.freeVersion(it.r)
			items[k] = items[len(items)-1]
			items = items[:len(items)-1]
			continue
		}
		n := rng.IntN(200)
		if i%50 == 0 {
			n = rng.IntN(3 * smallMax)
		}
		tuple := make([]byte, n)
		for j := range tuple {
			tuple[j] = byte(i)
		}
		r, err := a.newVersion(uint64(i), 0, tuple)
		if err != nil {
			t.Fatal(err)
		}
		if a.begin(r) != uint64(i) || a.end(r) != noEnd || a.prev(r) != 0 {
			t.Fatal("header")
		}
		items = append(items, item{r, byte(i), n})
	}
	for _, it := range items {
		a.freeVersion(it.r)
	}
	pages := 0
	for _, p := range a.pages {
		if p != nil {
			pages++
		}
	}
	if pages > 100 {
		t.Errorf("%d pages stay when all is freed", pages)
	}
	for class := range fineCount + 40 {
		if units := classUnits(class); classOf(units*unit) != class || class > 0 && classOf((classUnits(class-1)+1)*unit) != class {
			t.Errorf("class %d of %d units", class, units)
		}
	}
}
