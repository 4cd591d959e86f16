package box

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

// TestBefore holds the count of lower hints against a walk over them; behind the last
// entry there may be anything.
func TestBefore(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 20000 {
		var hints [leafCap]uint64
		for i := range hints {
			hints[i] = rng.Uint64()
		}
		n, most := rng.IntN(leafCap+1), uint64(1)<<rng.IntN(64)
		for i := range n {
			hints[i] = rng.Uint64() % most
		}
		slices.Sort(hints[:n])
		from := min(rng.IntN(2), n)
		hint := rng.Uint64() % most
		want := from
		for want < n && hints[want] < hint {
			want++
		}
		if got := before(&hints, from, n, hint); got != want {
			t.Fatalf("%d of %d..%d are below %d, want %d: %v", got, from, n-1, hint, want, hints[:n])
		}
	}
}

// TestEqualHints has runs of entries with one hint that go over several leaves:
// each entry is found by its tuple and by its version, in whatever order they come and go.
func TestEqualHints(t *testing.T) {
	const n, values = 6000, 20
	for _, typ := range []string{"unsigned", "string"} {
		t.Run(typ, func(t *testing.T) {
			b := New(Config{})
			ix := &index{id: 1, parts: []part{{field: 1, typ: parseType(typ)}}, pool: &b.nodes, mem: &b.mem, tree: b.newTree()}
			ix.setOrder([]part{{typ: typeUnsigned}})
			refs := make([]ref, n)
			rng := rand.New(rand.NewPCG(9, 10))
			for i, k := range rng.Perm(n) {
				tuple := msgp.AppendUint64([]byte{0x92}, uint64(k))
				if typ == "string" {
					tuple = msgp.AppendString(tuple, fmt.Sprintf("a common head %d", k%values))
				} else {
					tuple = msgp.AppendUint64(tuple, uint64(k%values))
				}
				var err error
				if refs[k], err = ix.mem.newVersion(1, 0, tuple); err != nil {
					t.Fatal(err)
				}
				ix.point(&walker{b: ix.mem.tuple(refs[k])}, refs[k])
				if i%1000 == 0 {
					ix.mustBeValid(t)
				}
			}
			ix.mustBeValid(t)
			var way path
			for k, r := range refs {
				p := ix.tupleProbe(ix.mem.tuple(r))
				if !ix.descendTo(&p, r, &way) {
					t.Fatalf("entry %d is not found by its version", k)
				}
				at := way.steps[ix.tree.height]
				if got := ix.refAt(place{at.node, at.slot}); got != r {
					t.Fatalf("entry %d: version %d, want %d", k, got, r)
				}
				if !ix.descendTo(&p, r+1, &way) || way.steps[ix.tree.height] != at {
					t.Fatalf("entry %d is not found by its tuple when another version stands for it", k)
				}
			}
			for i, k := range rng.Perm(n) {
				ix.unpoint(refs[k], 0)
				if i%1000 == 0 {
					ix.mustBeValid(t)
				}
			}
			if at := ix.first(); at.leaf != 0 || ix.tree.height != 0 {
				t.Errorf("entries are left, height %d", ix.tree.height)
			}
		})
	}
}
