package box

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// bounded is a world with the least memory and a space for payload.
func bounded(t *testing.T) *world {
	w := newWorld(t)
	w.b.SetMemory(1)
	w.space(512, "big", nil, nil, pkIndex([]any{0, "unsigned"}))
	return w
}

// fill inserts rows of that size as a client until one is refused, and tells how
// many there are.
func (w *world) fill(size int) (n int, err error) {
	payload := strings.Repeat("x", size)
	for ; ; n++ {
		if _, err = w.run(insert(512, n, payload)); err != nil {
			return n, err
		}
	}
}

// TestMemoryLimit: at the limit a client's write fails with Tarantool's
// error and changes nothing; deletions, rows of peers, system spaces and what we
// write ourselves go on; behind deletions there is room again.
func TestMemoryLimit(t *testing.T) {
	for _, size := range []int{100, 1000, 10_000, 65_533, 1_000_000} {
		w := bounded(t)
		n, err := w.fill(size)
		length := len(arr(n, strings.Repeat("x", size)))
		head := 10
		if length <= 255 {
			head = 6
		}
		if want := xrow.Errorf(xrow.ErrMemoryIssue, length+head, "slab allocator", "memtx_tuple"); err == nil || err.Error() != want.Error() || !errors.Is(err, xrow.ErrMemoryIssue) {
			t.Fatalf("size %d: %v", size, err)
		}
		before := w.b.Memory()
		if n*size < 8<<20 || before.Taken > before.Limit || before.Over() || before.Limit != minMemory {
			t.Errorf("size %d: %d rows, %+v", size, n, before)
		}
		for _, d := range []xrow.DML{insert(512, n, strings.Repeat("x", size)), replace(512, 0, strings.Repeat("y", size)),
			ups(512, arr(n, strings.Repeat("x", size)))} {
			if _, err := w.run(d); !errors.Is(err, xrow.ErrMemoryIssue) {
				t.Errorf("size %d: %v: %v", size, d.Type, err)
			}
		}
		if after := w.b.Memory(); after != before {
			t.Errorf("size %d: a refused write left %+v, before it was %+v", size, after, before)
		}
		if got := w.sel(512, 0, 0, 0); got != tupleText(arr(0, strings.Repeat("x", size))) {
			t.Errorf("size %d: a refused REPLACE changed the row: %.80s", size, got)
		}

		w.must(del(512, n-1))
		w.must(insert(512, n-1, strings.Repeat("z", size)))
		if _, err := w.run(insert(512, n, strings.Repeat("x", size))); !errors.Is(err, xrow.ErrMemoryIssue) {
			t.Errorf("size %d: room for one row became room for two: %v", size, err)
		}
		extra := slabSize/size + 2
		for i := range extra {
			w.mustApply(insert(512, n+i, strings.Repeat("x", size)))
		}
		if m := w.b.Memory(); !m.Over() {
			t.Errorf("size %d: rows of a peer count: %+v", size, m)
		}
		d := insert(512, n+extra, strings.Repeat("x", size))
		w.do(func(tx *Txn) error { return tx.ExecuteInternal(&d) })
		if _, err := w.run(insert(512, n+extra+1, strings.Repeat("x", min(2*size, 1_000_000)))); !errors.Is(err, xrow.ErrMemoryIssue) {
			t.Errorf("size %d: a client beyond the limit: %v", size, err)
		}
		w.must(ups(xrow.SpaceTruncate, arr(512, 1), []any{"+", 1, 1}))
		if m := w.b.Memory(); m.Over() || m.Taken > minMemory-slabSize {
			t.Errorf("size %d: a truncated space takes %+v", size, m)
		}
		w.must(insert(512, 1, strings.Repeat("x", size)))
	}
}

// TestMemoryGrows: more memory is of use at once.
func TestMemoryGrows(t *testing.T) {
	w := bounded(t)
	n, _ := w.fill(100_000)
	w.b.SetMemory(2 * minMemory)
	more, err := w.run(insert(512, n, strings.Repeat("x", 100_000)))
	if err != nil || more == nil {
		t.Error(err)
	}
}

// TestMemoryOfIndexes: an index that does not fit is refused, and one more entry.
func TestMemoryOfIndexes(t *testing.T) {
	w := bounded(t)
	for i := range 5000 {
		w.must(insert(512, i, "x"))
	}
	taken := w.b.Memory().Taken
	for w.b.nodes.spare() > 0 || w.b.takenWith(0, 0, blockSize) == taken {
		w.b.nodes.newLeaf() // entries of other spaces
	}
	w.b.config.Memory = taken
	const want = "Failed to allocate 16384 bytes in mempool for new slab"
	d := insert(xrow.SpaceIndex, 512, 1, "second", "tree", m{"unique": false}, []any{[]any{1, "string"}})
	if _, err := w.change(d, func() int { return 100 }, func() {}); err == nil || err.Error() != want {
		t.Errorf("an index: %v", err)
	}
	refused := false
	for i := 5000; i < 6000 && !refused; i++ { // the refused index has left a few nodes
		_, err := w.run(insert(512, i, "x"))
		if refused = err != nil; refused && err.Error() != want {
			t.Error(err)
		}
	}
	if m := w.b.Memory(); m.Taken != taken || m.Over() {
		t.Errorf("%+v, it was %d", m, taken)
	}
	w.seq++
	x := w.b.Begin(w.seq)
	if err := x.Apply(&d); err != nil {
		t.Errorf("the index of a peer: %v", err)
	}
	if _, err := x.Build(math.MaxInt); err != nil {
		t.Errorf("the index of a peer: %v", err)
	}
}

// TestMemoryIsHonest: what counts is never less than what is there, follows from
// the calls alone, and goes back with what is undone and deleted.
func TestMemoryIsHonest(t *testing.T) {
	var seen [2][]Memory
	for run := range seen {
		w := newWorld(t)
		w.space(512, "big", nil, nil, pkIndex([]any{0, "unsigned"}))
		empty := w.b.Memory()
		if empty.Taken != 2*slabSize || empty.Limit != 0 {
			t.Fatalf("an empty box: %+v", empty)
		}
		rnd := rand.New(rand.NewPCG(7, 7))
		for range 3000 {
			key := rnd.IntN(400)
			size := int(math.Pow(2, 17*rnd.Float64()))
			switch rnd.IntN(6) {
			case 0:
				w.must(del(512, key))
			case 1:
				x := w.prepare(func(x *Txn) error {
					d := replace(512, key, strings.Repeat("u", size))
					_, err := x.Execute(UserAdmin, &d)
					return err
				})
				w.b.Rollback(x.seq)
			default:
				w.must(replace(512, key, strings.Repeat("x", size)))
			}
			m := w.b.Memory()
			if m.Taken < m.Pages+m.Nodes || m.Taken%slabSize != 0 {
				t.Fatalf("%+v", m)
			}
			seen[run] = append(seen[run], m)
		}
		for key := range 400 {
			w.must(del(512, key))
		}
		for order, n := range w.b.mem.orders {
			if n < 0 || order > 11 && n != 0 {
				t.Errorf("%d tuples of order %d are left", n, order)
			}
		}
		if m := w.b.Memory(); m.Tuples != empty.Tuples || w.b.mem.large != 0 {
			t.Errorf("all is deleted: %+v, before there was anything %+v", m, empty)
		}
	}
	for i := range seen[0] {
		if seen[0][i] != seen[1][i] {
			t.Fatalf("step %d: %+v and %+v", i, seen[0][i], seen[1][i])
		}
	}
}
