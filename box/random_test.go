package box

import (
	"fmt"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// random is what Random queries find by a seed, as text.
func (w *world) random(space uint32, seed uint32) string {
	w.t.Helper()
	out, n, err := w.b.Select(UserAdmin, &Query{Space: space, Iterator: ALL, Key: arr(), Limit: 1, Random: true, Seed: seed}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return tuplesText(w.t, out, n)
}

// TestRandom: seeds reach every tuple that a reader sees and no other one, the
// same seed the same one; an empty index has none. In a slice of one row a time
// what is not visible is passed over.
func TestRandom(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	if got := w.random(512, 5); got != "" {
		t.Errorf("an empty space has %s", got)
	}
	const rows = 5000 // two levels of inner nodes
	for i := range rows {
		w.must(insert(512, i))
	}
	w.prepare(func(x *Txn) error { // undecided: neither seen nor gone
		for i := range 100 {
			gone, made := del(512, i*7), insert(512, rows+i)
			if _, err := x.Execute(UserAdmin, &gone); err != nil {
				return err
			}
			if _, err := x.Execute(UserAdmin, &made); err != nil {
				return err
			}
		}
		return nil
	})
	found := map[string]bool{}
	for seed := uint32(0); seed < 64*64*64; seed++ {
		found[w.random(512, seed)] = true
	}
	if len(found) != rows && (len(found) != rows+1 || !found[""]) { // none: behind the last one
		t.Errorf("%d of %d tuples are found", len(found), rows)
	}
	for i := range rows {
		if !found[fmt.Sprintf("[%d]", i)] {
			t.Fatalf("%d is not found", i)
		}
	}
	for _, seed := range []uint32{0, 1, 1 << 20, 1<<32 - 1} {
		if a, b := w.random(512, seed), w.random(512, seed); a != b {
			t.Errorf("seed %d: %s and %s", seed, a, b)
		}
	}
	_, _, err := w.b.Select(UserAdmin, &Query{Space: 281, Iterator: ALL, Key: arr(), Limit: 1, Random: true}, nil)
	if want := xrow.Errorf(xrow.ErrUnsupportedIndexFeature, "primary", "TREE", "_vspace", "sysview", "random()"); err == nil || err.Error() != want.Error() {
		t.Errorf("a view: %v", err)
	}
}
