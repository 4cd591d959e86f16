package box

import (
	"fmt"
	"math"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"pgregory.net/rapid"
)

// buildWorld is a box whose changes of the schema do atOnce of their work in
// their statement.
func buildWorld(t testing.TB, atOnce int) *world {
	w := newWorld(t)
	w.b.config.BuildAtOnce = atOnce
	return w
}

// change runs a statement, then its work in slices, and tells how many there
// were. The transaction is confirmed unless something fails.
func (w *world) change(d xrow.DML, rows func() int, between func()) (slices int, err error) {
	w.t.Helper()
	w.seq++
	x := w.b.Begin(w.seq)
	if _, err := x.Execute(UserAdmin, &d); err != nil {
		x.Abort()
		return 0, err
	}
	for more := x.NeedsWork(); more; slices++ {
		between()
		if more, err = x.Build(rows()); err != nil {
			x.Abort()
			return slices, err
		}
	}
	x.Prepare()
	w.b.Confirm(w.seq)
	return slices, nil
}

// fillSpace makes space 512 with a primary key and tuples [i, name, num].
func (w *world) fillSpace(rows []twinRow) {
	w.space(512, "twin", nil, nil, pkIndex([]any{0, "unsigned"}))
	for _, r := range rows {
		w.must(replace(512, r.id, raw(mp.First((&walker{b: r.tuple()}).field(1))), r.num))
	}
}

// TestBuildInSlices: a change of the schema in slices of any size gives what it
// gives at once, errors included, and leaks nothing when it fails.
func TestBuildInSlices(t *testing.T) {
	changes := map[string]func() xrow.DML{
		"num": func() xrow.DML { return numIndex() },
		"unique num": func() xrow.DML {
			return insert(xrow.SpaceIndex, 512, 2, "num", "tree", m{"unique": true}, []any{[]any{2, "integer"}})
		},
		"unique name": func() xrow.DML { return nameIndex() },
		"no nil name": func() xrow.DML {
			return insert(xrow.SpaceIndex, 512, 1, "name", "tree", m{"unique": true}, []any{m{"field": 1, "type": "string", "exclude_null": true}})
		},
		"name not nil": func() xrow.DML {
			return insert(xrow.SpaceIndex, 512, 1, "name", "hash", m{"unique": true}, []any{[]any{1, "string"}})
		},
		"other primary key": func() xrow.DML {
			return replace(xrow.SpaceIndex, 512, 0, "pk", "tree", m{"unique": true}, []any{[]any{2, "integer"}, []any{0, "unsigned"}})
		},
		"narrow primary key": func() xrow.DML {
			return replace(xrow.SpaceIndex, 512, 0, "pk", "tree", m{"unique": true}, []any{[]any{2, "unsigned"}})
		},
		"format": func() xrow.DML {
			return replace(xrow.SpaceSpace, 512, 1, "twin", "memtx", 3, m{}, []any{m{"name": "a", "type": "unsigned"}, m{"name": "b", "type": "string"}})
		},
		"wide format": func() xrow.DML {
			return replace(xrow.SpaceSpace, 512, 1, "twin", "memtx", 0, m{}, []any{m{"name": "a", "type": "scalar"}})
		},
	}
	names := []string{"num", "unique num", "unique name", "no nil name", "name not nil", "other primary key", "narrow primary key", "format", "wide format"}
	rapid.Check(t, func(rt *rapid.T) {
		rows := make([]twinRow, rapid.IntRange(0, 30).Draw(rt, "rows"))
		for i := range rows {
			rows[i] = drawRow(rt)
			rows[i].id = i
			if rapid.Bool().Draw(rt, "own name") {
				rows[i].name = fmt.Sprint("n", i)
			}
			if rapid.IntRange(0, 2).Draw(rt, "own num") > 0 {
				rows[i].num = 1000 - i
			}
		}
		atOnce, sliced := buildWorld(testingT{r: rt}, math.MaxInt), buildWorld(testingT{r: rt}, 1)
		atOnce.fillSpace(rows)
		sliced.fillSpace(rows)
		for range rapid.IntRange(1, 3).Draw(rt, "changes") {
			name := rapid.SampledFrom(names).Draw(rt, "change")
			d := changes[name]() // one for both: a map has its own order each time
			_, want := atOnce.change(d, func() int { return 1 }, func() { rt.Fatal("work is left") })
			_, got := sliced.change(d, func() int { return rapid.IntRange(1, 9).Draw(rt, "slice") }, func() {})
			if fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("%s: in slices %v\nat once %v", name, got, want)
			}
			for _, ix := range sliced.b.head.spaces[512].indexes {
				if err := ix.validate(); err != nil {
					rt.Fatal(err)
				}
				if a, b := atOnce.sel(512, ix.id, ALL), sliced.sel(512, ix.id, ALL); a != b {
					rt.Fatalf("%s, index %d: in slices %s\nat once %s", name, ix.id, b, a)
				}
			}
		}
		sliced.noLeak()
	})
}

func numIndex() xrow.DML {
	return insert(xrow.SpaceIndex, 512, 2, "num", "tree", m{"unique": false}, []any{m{"field": 2, "type": "integer", "sort_order": "desc"}})
}

func nameIndex() xrow.DML {
	return insert(xrow.SpaceIndex, 512, 1, "name", "tree", m{"unique": true}, []any{m{"field": 1, "type": "string", "is_nullable": true}})
}

// noLeak compares the leaves in use with those in trees.
func (w *world) noLeak() {
	w.t.Helper()
	for w.b.Work(1000) {
	}
	nodes := 0
	for _, sp := range w.b.dict.spaces {
		for _, ix := range sp.indexes {
			for id := ix.edge(false); id != 0; id = w.b.nodes.leaf(id).next {
				nodes++
			}
		}
	}
	if used := int(w.b.nodes.nLeaves) - len(w.b.nodes.freeLeaves); used != nodes {
		w.t.Fatalf("%d leaves in use, %d in trees", used, nodes)
	}
}

// manyRows are n tuples whose names and numbers are all different.
func manyRows(n int) (rows []twinRow) {
	for i := range n {
		rows = append(rows, twinRow{id: i, num: n - i, name: fmt.Sprintf("n%06d", i)})
	}
	return rows
}

// TestBuildSlicesAreBounded: with n units of work a slice passes no more than
// about n tuples, and small spaces leave no work at all.
func TestBuildSlicesAreBounded(t *testing.T) {
	w := buildWorld(t, 100)
	w.fillSpace(manyRows(1000))
	n, err := w.change(numIndex(), func() int { return 100 }, func() {})
	if err != nil || n < 18 || n > 20 {
		t.Errorf("2000 units of work, 100 of them at once, took %d slices of 100: %v", n, err)
	}
	w.b.config.BuildAtOnce = 2000
	if n, err := w.change(nameIndex(), func() int { return 1 }, func() {}); n != 0 || err != nil {
		t.Errorf("%d slices, %v", n, err)
	}
}

// TestBuildIsHidden: readers see the new index at Confirm, not before; an abort
// in the middle leaves nothing behind.
func TestBuildIsHidden(t *testing.T) {
	w := buildWorld(t, 1)
	w.fillSpace(manyRows(500))
	w.seq++
	x := w.b.Begin(w.seq)
	d := numIndex()
	if _, err := x.Execute(UserAdmin, &d); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if more, err := x.Build(100); !more || err != nil {
			t.Fatalf("more %v, %v", more, err)
		}
		if _, found := w.b.ResolveIndex(512, "num"); found {
			t.Fatal("readers see an index that is being built")
		}
	}
	x.Abort()
	w.noLeak()
	between := func() {
		if _, found := w.b.ResolveIndex(512, "num"); found {
			t.Fatal("readers see an index that is being built")
		}
	}
	if n, err := w.change(numIndex(), func() int { return 300 }, between); n < 3 || err != nil {
		t.Fatalf("%d slices, %v", n, err)
	}
	if got := w.sel(512, 2, GE, 2); got != `[498, "n000498", 2] [499, "n000499", 1]` { // descending
		t.Errorf("by the new index: %s", got)
	}
}

// TestBuildWhileViewsClose: dead versions that a view kept may go between two
// slices, those behind and those before the place that was reached.
func TestBuildWhileViewsClose(t *testing.T) {
	w := buildWorld(t, 1)
	w.fillSpace(manyRows(400))
	v := w.b.OpenView()
	for i := range 400 {
		if i%4 != 3 {
			w.must(del(512, i))
		}
	}
	n := 0
	_, err := w.change(numIndex(), func() int { return 40 }, func() {
		if n++; n == 4 {
			v.Close()
		}
	})
	if err != nil || n < 5 {
		t.Fatalf("%d slices, %v", n, err)
	}
	ix := w.b.head.spaces[512].index(2)
	if err := ix.validate(); err != nil {
		t.Error(err)
	}
	if refs := ix.liveRefs(); len(refs) != 100 {
		t.Errorf("%d tuples in the index, want 100", len(refs))
	}
}

// TestBuildBehindStatements: whoever needs the result of the work gets it.
func TestBuildBehindStatements(t *testing.T) {
	w := buildWorld(t, 1)
	w.fillSpace(manyRows(50))
	w.do(func(x *Txn) error {
		d := numIndex()
		if _, err := x.Execute(UserAdmin, &d); err != nil || !x.NeedsWork() {
			t.Fatal(err)
		}
		if _, _, err := x.Query(UserAdmin, &Query{Space: xrow.SpaceIndex, Key: arr(), Limit: 10}, nil); err != nil || !x.NeedsWork() {
			t.Fatalf("a read of another space: work left %v, %v", x.NeedsWork(), err)
		}
		_, n, err := x.Query(UserAdmin, &Query{Space: 512, Index: 2, Key: arr(), Limit: 100}, nil)
		if n != 50 || x.NeedsWork() {
			t.Fatalf("%d tuples by the new index, work left %v", n, x.NeedsWork())
		}
		d = nameIndex()
		if _, err := x.Execute(UserAdmin, &d); err != nil || !x.NeedsWork() {
			t.Fatal(err)
		}
		d = insert(512, 1000, "n000007", 1)
		_, dup := x.Execute(UserAdmin, &d)
		wantError(t, dup, xrow.ErrTupleFound, `Duplicate key exists in unique index "name" in space "twin" with old tuple - [7, "n000007", 43] and new tuple - [1000, "n000007", 1]`)
		return err
	})
}

// TestBuildFailsForGood: after a failed Build everything fails but Abort.
func TestBuildFailsForGood(t *testing.T) {
	w := buildWorld(t, 1)
	rows := manyRows(50)
	rows[40].name = rows[7].name
	w.space(512, "twin", nil, nil, pkIndex([]any{0, "unsigned"}))
	for _, r := range rows {
		w.must(insert(512, r.id, r.name, r.num))
	}
	w.seq++
	x := w.b.Begin(w.seq)
	d := nameIndex()
	if _, err := x.Execute(UserAdmin, &d); err != nil {
		t.Fatal(err)
	}
	const text = `Duplicate key exists in unique index "name" in space "twin" with old tuple - [7, "n000007", 43] and new tuple - [40, "n000007", 10]`
	_, err := x.Build(1000)
	wantError(t, err, xrow.ErrTupleFound, text)
	d = insert(512, 1000, "x", 1)
	_, err = x.Execute(UserAdmin, &d)
	wantError(t, err, xrow.ErrTupleFound, text)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Prepare takes a failed change of the schema")
			}
		}()
		x.Prepare()
	}()
	x.Abort()
	w.noLeak()
	if got := w.must(insert(512, 1000, "x", 1)); got != `[1000, "x", 1]` {
		t.Error(got)
	}
}

// TestDropLooksAtNothing: what takes a definition away has no tuples to look at.
func TestDropLooksAtNothing(t *testing.T) {
	w := buildWorld(t, 1)
	w.fillSpace(manyRows(200))
	if n, err := w.change(numIndex(), func() int { return math.MaxInt }, func() {}); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	for _, d := range []xrow.DML{ups(xrow.SpaceTruncate, arr(512, 1), []any{"+", 1, 1}), replace(512, 1, "a", 1), replace(512, 2, "b", 1),
		del(xrow.SpaceIndex, 512, 2), del(xrow.SpaceIndex, 512, 0), del(xrow.SpaceTruncate, 512), del(xrow.SpaceSpace, 512)} {
		if n, err := w.change(d, func() int { return 1 }, func() {}); n != 0 || err != nil {
			t.Errorf("%v in space %d: %d slices, %v", d.Type, d.SpaceID, n, err)
		}
	}
	w.noLeak()
}

// TestViewBesideOpenTransaction: a view that is opened between two slices sees
// nothing of the transaction, in spaces that are decided by their write neither.
func TestViewBesideOpenTransaction(t *testing.T) {
	w := buildWorld(t, 1)
	w.fillSpace(manyRows(50))
	w.space(600, "own", m{"group_id": 1}, nil, pkIndex([]any{0, "unsigned"}))
	w.seq++
	x := w.b.Begin(w.seq)
	for _, d := range []xrow.DML{insert(600, 1), numIndex()} {
		if _, err := x.Execute(UserAdmin, &d); err != nil {
			t.Fatal(err)
		}
	}
	v := w.b.OpenView()
	defer v.Close()
	if _, err := v.Next(new(Cursor), math.MaxInt, func(space uint32, tuple []byte) error {
		if space == 600 {
			t.Errorf("the view has %s", tupleText(tuple))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	x.Abort()
}
