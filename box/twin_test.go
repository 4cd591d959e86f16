package box

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"pgregory.net/rapid"
)

// twinRow is [id, name or nil, num]: primary key id, unique nullable name,
// num not unique.
type twinRow struct {
	id, num int
	name    string // empty: nil
}

func (r twinRow) tuple() []byte {
	if r.name == "" {
		return arr(r.id, nil, r.num)
	}
	return arr(r.id, r.name, r.num)
}

type twinState map[int]twinRow

func (s twinState) ordered(index uint32) []twinRow {
	rows := slices.Collect(maps.Values(s))
	slices.SortFunc(rows, func(a, b twinRow) int {
		switch index {
		case 1:
			return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
		case 2:
			return cmp.Or(-cmp.Compare(a.num, b.num), cmp.Compare(a.id, b.id)) // descending
		}
		return cmp.Compare(a.id, b.id)
	})
	return rows
}

func rowsText(rows []twinRow) string {
	var all []string
	for _, r := range rows {
		all = append(all, tupleText(r.tuple()))
	}
	return strings.Join(all, " ")
}

// twin is the slow obvious box: whole states, copied.
type twin struct {
	w         *world
	confirmed twinState
	shown     uint64
	decided   uint64
	pending   []twinTxn
	views     []twinView
	indexed   bool // there is a row of index 2, which may be left out
}

type twinTxn struct {
	seq   uint64
	after twinState
	x     *Txn
}

type twinView struct {
	v     *View
	state twinState
}

func (tw *twin) newest() twinState {
	if n := len(tw.pending); n > 0 {
		return tw.pending[n-1].after
	}
	return tw.confirmed
}

// readers is what default readers must see.
func (tw *twin) readers() twinState {
	s := tw.confirmed
	for _, p := range tw.pending {
		if p.seq <= tw.shown {
			s = p.after
		}
	}
	return s
}

// put is INSERT or REPLACE; false: refused.
func (s twinState) put(r twinRow, insert bool) bool {
	if _, found := s[r.id]; found && insert {
		return false
	}
	for _, o := range s {
		if o.id != r.id && r.name != "" && o.name == r.name {
			return false
		}
	}
	s[r.id] = r
	return true
}

func drawRow(t *rapid.T) twinRow {
	return twinRow{id: rapid.IntRange(0, 12).Draw(t, "id"), num: rapid.IntRange(-2, 3).Draw(t, "num"),
		name: rapid.SampledFrom([]string{"", "", "a", "b", "c", "longer than a hint", "longer than a hint 2"}).Draw(t, "name")}
}

// twinOp is a statement: on every state it gives an outcome.
type twinOp struct {
	op string
	r  twinRow
}

// outcome: whether it was refused, and whether there was something to do.
type outcome struct{ ok, found bool }

// on runs the statement on a state.
func (o twinOp) on(s twinState) (out outcome) {
	r := o.r
	old, found := s[r.id]
	switch o.op {
	case "insert", "replace":
		return outcome{s.put(r, o.op == "insert"), true}
	case "delete":
		delete(s, r.id)
	case "delete by name":
		found = false
		for _, other := range s.ordered(0) {
			if other.name == cmp.Or(r.name, "z") {
				delete(s, other.id)
				found = true
			}
		}
	case "update":
		if found {
			return outcome{s.put(twinRow{r.id, old.num + 1, r.name}, false), true}
		}
	case "upsert":
		if !found {
			return outcome{s.put(r, true), true}
		}
		old.num--
		s[r.id] = old
		return outcome{true, true}
	}
	return outcome{true, found}
}

func (o twinOp) dml() (d xrow.DML) {
	r := o.r
	switch o.op {
	case "insert", "replace":
		d = xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: r.tuple()}
		if o.op == "insert" {
			d.Type = xrow.Insert
		}
	case "delete":
		d = del(512, r.id)
	case "delete by name":
		d = del(512, cmp.Or(r.name, "z"))
		d.IndexID = 1
	case "update":
		d = upd(512, arr(r.id), []any{"=", 1, raw(mp.First((&walker{b: r.tuple()}).field(1)))}, []any{"+", 2, 1})
	case "upsert":
		d = ups(512, r.tuple(), []any{"-", 2, 1}, []any{"+", 1, 1})
	}
	return d
}

// statement runs one on both sides.
func (tw *twin) statement(t *rapid.T, x *Txn, s twinState) (o twinOp, out outcome) {
	o = twinOp{r: drawRow(t), op: rapid.SampledFrom([]string{"insert", "replace", "replace", "delete", "delete by name", "update", "upsert"}).Draw(t, "op")}
	out = o.on(s)
	d := o.dml()
	result, err := x.Execute(UserAdmin, &d)
	if (err == nil) != out.ok || err != nil && !errors.Is(err, xrow.ErrTupleFound) {
		t.Fatalf("%v %s %s: %v, twin says %v", d.Type, tupleText(cmpBytes(d.Key)), tupleText(cmpBytes(d.Tuple)), err, out.ok)
	}
	if err == nil && d.Type != xrow.Upsert && (result != nil) != out.found {
		t.Fatalf("%v %s: result %v, twin says %v", d.Type, tupleText(cmpBytes(d.Key)), result != nil, out.found)
	}
	return o, out
}

// standsOn checks the word of a transaction on what its outcomes depend on: with
// all that is decided and the transactions up to that one, and with any number
// of those behind it, they are the same.
func (tw *twin) standsOn(t *rapid.T, x *Txn, ops []twinOp, outs []outcome) {
	on := x.Undecided()
	check := func(after string, s twinState) {
		s = maps.Clone(s)
		for i, o := range ops {
			if got := o.on(s); got != outs[i] {
				t.Fatalf("%+v gives %+v after %s, and %+v here, which stands on %d", o, got, after, outs[i], on)
			}
		}
	}
	if on == 0 {
		check("what readers see", tw.readers())
	} else if !slices.ContainsFunc(tw.pending, func(p twinTxn) bool { return p.seq == on }) || on <= tw.shown {
		t.Fatalf("stands on %d, which is decided", on)
	}
	for _, p := range tw.pending {
		if p.seq >= max(on, tw.shown+1) {
			check(fmt.Sprint("transaction ", p.seq), p.after)
		}
	}
}

func cmpBytes(b []byte) []byte {
	if b == nil {
		return arr()
	}
	return b
}

// begin runs a transaction; with ddl it also changes the space.
func (tw *twin) begin(t *rapid.T) {
	tw.w.seq++
	x := tw.w.b.Begin(tw.w.seq)
	s := maps.Clone(tw.newest())
	ddl := len(tw.pending) == 0 && rapid.IntRange(0, 9).Draw(t, "ddl") == 0
	if ddl {
		tw.ddl(t, x, s)
	}
	var ops []twinOp
	var outs []outcome
	for range rapid.IntRange(1, 4).Draw(t, "statements") {
		o, out := tw.statement(t, x, s)
		ops, outs = append(ops, o), append(outs, out)
		if !ddl {
			tw.standsOn(t, x, ops, outs)
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "abort") == 0 {
		x.Abort()
		_, tw.indexed = tw.w.b.head.IndexName(512, 2)
		return
	}
	x.Prepare()
	tw.pending = append(tw.pending, twinTxn{tw.w.seq, s, x})
}

func (tw *twin) ddl(t *rapid.T, x *Txn, s twinState) {
	var d xrow.DML
	switch {
	case rapid.Bool().Draw(t, "truncate"):
		d = ups(xrow.SpaceTruncate, arr(512, 1), []any{"+", 1, 1})
		clear(s)
	case tw.indexed:
		d = del(xrow.SpaceIndex, 512, 2)
		tw.indexed = false
	default:
		d = insert(xrow.SpaceIndex, 512, 2, "num", "tree", m{"unique": false}, []any{m{"field": 2, "type": "integer", "sort_order": "desc"}})
		tw.indexed = true
	}
	if _, err := x.Execute(UserAdmin, &d); err != nil {
		t.Fatal(err)
	}
	if !x.IsDDL() {
		t.Fatal("not seen as DDL")
	}
}

func (tw *twin) confirm(seq uint64) {
	tw.w.b.Confirm(seq)
	tw.decided = max(tw.decided, seq)
	for len(tw.pending) > 0 && tw.pending[0].seq <= seq {
		tw.confirmed = tw.pending[0].after
		tw.pending = tw.pending[1:]
	}
}

func (tw *twin) rollback(seq uint64) {
	tw.w.b.Rollback(seq)
	for len(tw.pending) > 0 && tw.pending[len(tw.pending)-1].seq >= seq {
		tw.pending = tw.pending[:len(tw.pending)-1]
	}
	_, tw.indexed = tw.w.b.head.IndexName(512, 2)
}

// compare looks at everything through every index.
func (tw *twin) compare(t *rapid.T) {
	b := tw.w.b
	for index := range uint32(3) {
		if !isBuilt(b.dict, index) {
			continue
		}
		tw.compareScan(t, "readers", index, ALL, tw.readers(), b.Select)
	}
	if info, _ := b.Space(512); info.Rows != len(tw.readers()) {
		t.Fatalf("len is %d, readers see %d", info.Rows, len(tw.readers()))
	}
	tw.w.seq++
	x := b.Begin(tw.w.seq)
	for index := range uint32(3) {
		if !isBuilt(b.head, index) {
			continue
		}
		tw.compareScan(t, "writers", index, ALL, tw.newest(), x.Query)
		tw.compareScan(t, "writers", index, LE, tw.newest(), x.Query)
	}
	x.Abort()
	for _, v := range tw.views {
		var c Cursor
		var got []string
		for more := true; more; {
			var err error
			more, err = v.v.Next(&c, 1+len(tw.views)*2, func(space uint32, tuple []byte) error {
				if space == 512 {
					got = append(got, tupleText(tuple))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if want := rowsText(v.state.ordered(0)); strings.Join(got, " ") != want {
			t.Fatalf("view sees %v, want %s", got, want)
		}
	}
	for _, ix := range b.head.spaces[512].indexes {
		if err := ix.validate(); err != nil {
			t.Fatal(err)
		}
	}
}

// isBuilt tells whether clients may read by an index.
func isBuilt(s *Schema, index uint32) bool {
	_, err := s.spaces[512].needIndex(index)
	return err == nil
}

// leaveOut leaves index 2 out, or does not any more.
func (tw *twin) leaveOut(t *rapid.T) {
	var out [][2]uint32
	if rapid.Bool().Draw(t, "leave out") {
		out = [][2]uint32{{512, 2}}
	}
	b := tw.w.b
	b.LeaveOut(out)
	if b.Misaligned() && b.Settled() {
		tw.w.seq++
		b.AlignIndexes(tw.w.seq)
		if b.Misaligned() {
			t.Fatal("indexes are not as they are to be")
		}
		if isBuilt(b.dict, 2) && out != nil {
			t.Fatal("an index that is left out is built")
		}
	}
}

type selector func(Credentials, *Query, []byte) ([]byte, int, error)

func (tw *twin) compareScan(t *rapid.T, who string, index, iterator uint32, s twinState, sel selector) {
	q := Query{Space: 512, Index: index, Iterator: iterator, Key: arr(), Limit: 1 << 30, MaxRows: 3, MaxBytes: len(s) % 3 * 10, FetchPosition: index == 1}
	var out []byte
	var total int
	for q.More = true; q.More; {
		var n int
		var err error
		if out, n, err = sel(UserAdmin, &q, out); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	rows := s.ordered(index)
	if iterator == LE {
		slices.Reverse(rows)
	}
	if got, want := tuplesText(tw.w.t, out, total), rowsText(rows); got != want {
		t.Fatalf("%s by index %d iterator %d\nsee  %s\nwant %s", who, index, iterator, got, want)
	}
}

// validate checks the invariants of a tree.
func (ix *index) validate() error {
	var prev ref
	n := 0
	for at := ix.first(); at.leaf != 0; at = ix.next(at) {
		r := ix.refAt(at)
		if prev != 0 {
			p := ix.tupleProbe(ix.mem.tuple(r))
			if ix.compare(prev, &p) >= 0 {
				return fmt.Errorf("index %s: out of order", ix.name)
			}
		}
		prev = r
		n++
	}
	count, _, err := ix.validateNode(ix.tree.root, ix.tree.height)
	if err == nil && count != n {
		err = fmt.Errorf("index %s: %d entries below the root, %d in the chain", ix.name, count, n)
	}
	return err
}

// validateNode counts the entries and returns the first one.
func (ix *index) validateNode(id uint32, height int) (n int, first ref, err error) {
	if height == 0 {
		l := ix.pool.leaf(id)
		if l.n == 0 && ix.tree.height > 0 {
			return 0, 0, fmt.Errorf("index %s: empty leaf", ix.name)
		}
		return int(l.n), l.refs[0], nil
	}
	x := ix.pool.inner(id)
	for i, kid := range x.kids[:x.n] {
		k, min, err := ix.validateNode(kid, height-1)
		if err != nil {
			return 0, 0, err
		}
		n += k
		if i == 0 {
			first = min
		} else if x.refs[i] != min {
			return 0, 0, fmt.Errorf("index %s: separator %d leads to %d, minimum is %d", ix.name, i, x.refs[i], min)
		}
	}
	return n, first, nil
}

func newTwin(t testing.TB) *twin {
	w := newWorld(t)
	w.b.config.WorkAtOnce = 1 // so that there is always something left
	w.space(512, "twin", nil, nil, pkIndex([]any{0, "unsigned"}),
		[]any{1, "name", "tree", m{"unique": true}, []any{m{"field": 1, "type": "string", "is_nullable": true}}},
		[]any{2, "num", "tree", m{"unique": false}, []any{m{"field": 2, "type": "integer", "sort_order": "desc"}}})
	return &twin{w: w, confirmed: twinState{}, indexed: true}
}

// TestTwin compares the box with whole copied states, through undecided,
// confirmed and vanished transactions, views, truncation, index builds, and an index that is
// left out and formed again.
func TestTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tw := newTwin(testingT{r: t})
		for range rapid.IntRange(5, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 14).Draw(t, "step") {
			case 0, 1:
				if n := len(tw.pending); n > 0 {
					tw.confirm(tw.pending[rapid.IntRange(0, n-1).Draw(t, "up to")].seq)
				}
			case 2:
				if n := len(tw.pending); n > 0 {
					tw.rollback(tw.pending[rapid.IntRange(0, n-1).Draw(t, "from")].seq)
				}
			case 3:
				tw.views = append(tw.views, twinView{tw.w.b.OpenView(), tw.confirmed})
			case 4:
				if n := len(tw.views); n > 0 {
					i := rapid.IntRange(0, n-1).Draw(t, "view")
					tw.views[i].v.Close()
					tw.views = slices.Delete(tw.views, i, i+1)
				}
			case 5:
				if n := len(tw.pending); n > 0 && !slices.ContainsFunc(tw.pending, func(p twinTxn) bool { return p.x.IsDDL() }) {
					tw.shown = max(tw.shown, tw.pending[rapid.IntRange(0, n-1).Draw(t, "show")].seq)
					tw.w.b.Show(tw.shown)
				}
			case 6:
				tw.w.b.Work(3)
			case 7:
				tw.leaveOut(t)
			case 8, 9:
				if _, err := tw.w.b.Form(rapid.IntRange(1, 12).Draw(t, "form")); err != nil {
					t.Fatal(err)
				}
			default:
				tw.begin(t)
			}
			tw.compare(t)
		}
		tw.finish(t)
	})
}

// finish decides all, deletes all and looks for leaks.
func (tw *twin) finish(t *rapid.T) {
	tw.confirm(tw.w.seq)
	for _, v := range tw.views {
		v.v.Close()
	}
	tw.views = nil
	for more := true; more; {
		more, _ = tw.w.b.Form(1)
	}
	tw.compare(t)
	for _, r := range tw.confirmed.ordered(0) {
		tw.w.must(del(512, r.id))
	}
	for tw.w.b.Work(1000) {
	}
	b := tw.w.b
	system := 0
	for _, sp := range b.dict.Spaces() {
		if sp.ID != 512 {
			system += sp.Rows
		} else if sp.Rows != 0 || sp.Bytes != 0 {
			t.Fatalf("space counts %d rows, %d bytes", sp.Rows, sp.Bytes)
		}
	}
	live := 0
	for p := range b.mem.meta {
		live += int(b.mem.meta[p].live)
	}
	if live != system {
		t.Fatalf("%d versions live, %d rows in system spaces", live, system)
	}
	nodes := 0
	for _, sp := range b.dict.spaces {
		for _, ix := range sp.indexes {
			for id := ix.edge(false); id != 0; id = b.nodes.leaf(id).next {
				nodes++
			}
		}
	}
	if used := int(b.nodes.nLeaves) - len(b.nodes.freeLeaves); used != nodes {
		t.Fatalf("%d leaves in use, %d in trees", used, nodes)
	}
}

// testingT lets helpers for testing.TB run inside a rapid check.
type testingT struct {
	testing.TB
	r *rapid.T
}

func (t testingT) Helper()                        {}
func (t testingT) Fatal(args ...any)              { t.r.Fatal(args...) }
func (t testingT) Fatalf(format string, a ...any) { t.r.Fatalf(format, a...) }
