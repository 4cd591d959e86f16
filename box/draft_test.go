package box

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"pgregory.net/rapid"
)

// draftStep is a request of a draft and what it was answered.
type draftStep struct {
	op    twinOp
	out   outcome
	query *Query // in place of op
	rows  string
}

// on runs the request on a state.
func (st *draftStep) on(s twinState) draftStep {
	if st.query != nil {
		return draftStep{query: st.query, rows: s.page(st.query)}
	}
	return draftStep{op: st.op, out: st.op.on(s)}
}

// page is what a query by an index, from a key on, sees.
func (s twinState) page(q *Query) string {
	rows := s.ordered(q.Index)
	if q.Iterator == LE || q.Iterator == REQ {
		slices.Reverse(rows)
	}
	rows = slices.DeleteFunc(rows, func(r twinRow) bool { return !draftWants(q, r) })
	if n := int(q.Limit); len(rows) > n {
		rows = rows[:n]
	}
	return rowsText(rows)
}

// draftWants tells whether a row belongs to the answer: keys are by ID, or of index 2.
func draftWants(q *Query, r twinRow) bool {
	if len(q.Key) == 1 {
		return true
	}
	k, _ := int64Of(q.Key[1:])
	v := int64(r.id)
	if q.Index == 2 {
		v, k = -int64(r.num), -k // descending
	}
	switch q.Iterator {
	case EQ, REQ:
		return v == k
	case GE:
		return v >= k
	case GT:
		return v > k
	}
	return v <= k
}

// twinDraft is a draft, and what it was answered.
type twinDraft struct {
	d      *Draft
	level  Isolation
	steps  []draftStep
	since  int  // transactions that were prepared before it began
	beside bool // some of them were undecided
}

// draftTwin is a twin with drafts.
type draftTwin struct {
	*twin
	drafts []*twinDraft
	line   []twinTxn // all that was prepared and not rolled back
	count  int       // how many were ever prepared or rolled back
}

// at is the state that a bound shows.
func (tw *draftTwin) at(bound uint64) twinState {
	s := twinState{}
	for _, p := range tw.line {
		if p.seq <= bound {
			s = p.after
		}
	}
	return maps.Clone(s)
}

// check runs all requests of a draft on a state: each must be answered as it was.
func (tw *draftTwin) check(t *rapid.T, td *twinDraft, s twinState, where string) twinState {
	for i := range td.steps {
		st := &td.steps[i]
		if got := st.on(s); got.out != st.out || got.rows != st.rows {
			t.Fatalf("request %d, %+v, was answered %+v %s; %s it is %+v %s", i, st.op, st.out, st.rows, where, got.out, got.rows)
		}
	}
	return s
}

func isConflict(err error) bool { return errors.Is(err, xrow.ErrTransactionConflict) }

// request is one of a draft.
func (tw *draftTwin) request(t *rapid.T, td *twinDraft) {
	reads := rapid.Bool().Draw(t, "reads")
	if err := td.d.Forward(!reads); err != nil {
		tw.failed(t, td, err)
		return
	}
	s := tw.check(t, td, tw.at(td.d.bound), "at its bound")
	st := draftStep{op: twinOp{r: drawRow(t), op: rapid.SampledFrom([]string{"insert", "replace", "replace", "delete", "delete by name", "update", "upsert"}).Draw(t, "op")}}
	if reads {
		st = draftStep{query: tw.draftQuery(t)}
	}
	want := st.on(s)
	if reads {
		want.rows = tw.read(t, td, want.query)
	} else {
		m := st.op.dml()
		result, err := td.d.Execute(UserAdmin, &m)
		if err != nil && !errors.Is(err, xrow.ErrTupleFound) {
			t.Fatal(err)
		}
		got := outcome{err == nil, result != nil || err != nil || m.Type == xrow.Upsert || st.op.op == "insert" || st.op.op == "replace"}
		if got.ok != want.out.ok || m.Type != xrow.Upsert && got.ok && got.found != want.out.found {
			t.Fatalf("%+v gives %+v (%v), want %+v", st.op, got, err, want.out)
		}
	}
	if again := st.on(tw.check(t, td, tw.at(td.d.bound), "at its bound")); again.rows != want.rows {
		t.Fatalf("query %+v by a draft at %d\nsees %s\nwant %s", *st.query, td.d.bound, want.rows, again.rows)
	}
	td.steps = append(td.steps, want)
}

func (tw *draftTwin) draftQuery(t *rapid.T) *Query {
	q := &Query{Space: 512, Index: rapid.SampledFrom([]uint32{0, 0, 2}).Draw(t, "index"), Key: arr(), Limit: uint32(rapid.IntRange(1, 9).Draw(t, "limit"))}
	if !tw.indexed || tw.w.b.dict.spaces[512].index(2) == nil {
		q.Index = 0
	}
	q.Iterator = rapid.SampledFrom([]uint32{EQ, REQ, GE, GT, LE}).Draw(t, "iterator")
	if rapid.IntRange(0, 3).Draw(t, "keyed") > 0 {
		if q.Index == 0 {
			q.Key = arr(rapid.IntRange(0, 12).Draw(t, "key"))
		} else {
			q.Key = arr(rapid.IntRange(-2, 3).Draw(t, "key"))
		}
	}
	return q
}

// read reads in slices.
func (tw *draftTwin) read(t *rapid.T, td *twinDraft, of *Query) string {
	q := *of
	q.MaxRows, q.MaxBytes = rapid.IntRange(0, 3).Draw(t, "rows"), rapid.IntRange(0, 2).Draw(t, "bytes")*20
	var out []byte
	total := 0
	for q.More = true; q.More; {
		var n int
		var err error
		if out, n, err = td.d.Query(UserAdmin, &q, out); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return tuplesText(tw.w.t, out, total)
}

// failed: there must have been a reason.
func (tw *draftTwin) failed(t *rapid.T, td *twinDraft, err error) {
	if !isConflict(err) {
		t.Fatal(err)
	}
	if td.since == tw.count && !td.beside {
		t.Fatal("a conflict with nobody")
	}
}

func (tw *draftTwin) commit(t *rapid.T, td *twinDraft) {
	writes, bound, failed := td.d.Writes(), td.d.bound, td.d.failed
	tw.w.seq++
	x := tw.w.b.Begin(tw.w.seq)
	if err := td.d.Commit(x); err != nil {
		x.Abort()
		tw.failed(t, td, err)
		return
	}
	if failed != nil {
		t.Fatal("a draft that failed commits")
	}
	if !writes {
		tw.check(t, td, tw.at(bound), "at its bound")
		x.Prepare()
		return
	}
	s := tw.check(t, td, maps.Clone(tw.newest()), "at its COMMIT")
	x.Prepare()
	tw.prepared(twinTxn{tw.w.seq, s, x})
	tw.pending = append(tw.pending, tw.line[len(tw.line)-1])
}

func (tw *draftTwin) prepared(p twinTxn) {
	tw.line = append(tw.line, p)
	tw.count++
}

// autocommit is a transaction of another client.
func (tw *draftTwin) autocommit(t *rapid.T) {
	n := len(tw.pending)
	if tw.begin(t); len(tw.pending) > n {
		tw.prepared(tw.pending[n])
	}
}

// TestDrafts runs open transactions beside others, against whole states: each answer is
// that of the state at the draft's bound with its own changes, and what commits would
// have been answered the same, had it run alone at its COMMIT.
func TestDrafts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tw := &draftTwin{twin: newTwin(testingT{r: t})}
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			tw.step(t)
		}
		for _, td := range tw.drafts {
			td.d.Free()
		}
		tw.confirm(tw.w.seq)
		for tw.w.b.Work(10) {
		}
		tw.compare(t)
		if n := tw.w.b.pins.open.Len(); n > 0 || len(tw.w.b.drafts.open) > 0 || tw.w.b.garbage.versions.waits() {
			t.Fatalf("%d pins, %d drafts are left", n, len(tw.w.b.drafts.open))
		}
	})
}

func (tw *draftTwin) step(t *rapid.T) {
	what := rapid.IntRange(0, 19).Draw(t, "what")
	if len(tw.drafts) > 0 && what < 12 {
		i := rapid.IntRange(0, len(tw.drafts)-1).Draw(t, "draft")
		td := tw.drafts[i]
		switch {
		case what < 9:
			tw.request(t, td)
			return
		case what > 9:
			tw.commit(t, td)
		}
		td.d.Free() // others are made of it
		tw.drafts = slices.Delete(tw.drafts, i, i+1)
		return
	}
	switch {
	case what < 14 && len(tw.drafts) < 4:
		level := Isolation(rapid.IntRange(0, 4).Draw(t, "level"))
		tw.drafts = append(tw.drafts, &twinDraft{d: tw.w.b.NewDraft(level), level: level, since: tw.count, beside: len(tw.pending) > 0})
	case what < 17:
		tw.autocommit(t)
	case what < 19 && len(tw.pending) > 0:
		tw.confirm(tw.pending[rapid.IntRange(0, len(tw.pending)-1).Draw(t, "confirmed")].seq)
	case len(tw.pending) > 0 && tw.pending[0].seq > tw.shown:
		seq := tw.pending[rapid.IntRange(0, len(tw.pending)-1).Draw(t, "void")].seq
		tw.rollback(seq)
		tw.line = slices.DeleteFunc(tw.line, func(p twinTxn) bool { return p.seq >= seq })
		tw.count++
	}
}

// Values of a sequence are drawn for good: open transactions get different ones, and
// others go on behind them.
func TestDraftSequence(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.mustApply(insert(xrow.SpaceSequence, 1, 1, "q", 1, 1, 100, 1, 0, false), insert(xrow.SpaceSpaceSequence, 512, 1, false, 0, ""))
	next := func(d *Draft) string {
		if err := d.Forward(true); err != nil {
			t.Fatal(err)
		}
		m := insert(512, nil)
		got, err := d.Execute(UserAdmin, &m)
		if err != nil {
			t.Fatal(err)
		}
		return tupleText(got)
	}
	auto := func() string {
		got, err := w.run(insert(512, nil))
		if err != nil {
			t.Fatal(err)
		}
		return tupleText(got)
	}
	a, b := w.b.NewDraft(0), w.b.NewDraft(0)
	got := []string{auto(), next(a), next(b), next(a)}
	w.do(a.Commit) // moves the sequence to 4
	got = append(got, next(b), auto())
	b.Close()
	got = append(got, auto())
	if want := []string{"[1]", "[2]", "[3]", "[4]", "[5]", "[6]", "[7]"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if rows := w.sel(512, 0, ALL); rows != "[1] [2] [4] [6] [7]" {
		t.Errorf("rows %s", rows)
	}
}

// A value that is given passes the sequence, in an open transaction as well: the next one
// lies behind it.
func TestDraftPassesSequence(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "integer"}))
	for _, test := range []struct {
		step   int
		values []any
		want   []string
	}{
		{1, []any{1, nil, 50, nil, 7, nil}, []string{"[1]", "[2]", "[50]", "[51]", "[7]", "[52]"}},
		{-1, []any{-1, nil, -50, nil, 7, nil}, []string{"[-1]", "[-2]", "[-50]", "[-51]", "[7]", "[-52]"}},
	} {
		w.mustApply(xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSequence, Tuple: arr(1, 1, "q", test.step, -100, 100, test.step, 0, false)},
			xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSpaceSequence, Tuple: arr(512, 1, false, 0, "")})
		w.mustApply(xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceSequenceData, Key: arr(1)})
		d := w.b.NewDraft(0)
		if err := d.Forward(true); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range test.values {
			m := insert(512, v)
			tuple, err := d.Execute(UserAdmin, &m)
			if err != nil {
				t.Fatalf("step %d, %v: %v", test.step, v, err)
			}
			got = append(got, tupleText(tuple))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("step %d: got %v, want %v", test.step, got, test.want)
		}
		d.Close()
		w.mustApply(xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceSpaceSequence, Key: arr(512)})
	}
}

// One that stays open keeps nothing of those that come and go behind it.
func TestDraftsComeAndGo(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	stays := w.b.NewDraft(0)
	if err := stays.Forward(false); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		d := w.b.NewDraft(0)
		if err := d.Forward(false); err != nil {
			t.Fatal(err)
		}
		w.must(insert(512, i))
		if err := d.Forward(false); err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	if n := w.b.pins.open.Len(); n != 1 {
		t.Errorf("%d pins for one draft", n)
	}
}

// A right that is gone is gone, wherever the draft stands.
func TestDraftHasLostRights(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(512, 1))
	for _, test := range []struct {
		name string
		gone xrow.DML
		code xrow.Code
	}{
		{"revoked", del(xrow.SpacePriv, 32, "space", 512), xrow.ErrAccessDenied},
		{"dropped", del(xrow.SpaceUser, 32), xrow.ErrNoSuchUser},
	} {
		w.must(xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceUser, Tuple: arr(32, 1, "poor", "user", m{}, []any{}, 0)})
		w.must(insert(xrow.SpacePriv, 1, 32, "space", 512, int(PrivRead|PrivWrite)))
		w.must(xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpacePriv, Tuple: arr(1, 32, "universe", 0, int(PrivUsage|PrivSession))})
		poor := w.creds(32)
		d := w.b.NewDraft(0)
		read := func() error {
			if err := d.Forward(false); err != nil {
				t.Fatal(err)
			}
			_, _, err := d.Query(poor, &Query{Space: 512, Key: arr(), Iterator: ALL, Limit: 9}, nil)
			return err
		}
		if err := read(); err != nil {
			t.Fatal(err)
		}
		w.must(upd(512, arr(1), []any{"=", 1, test.name})) // it stays at its bound
		if test.name == "dropped" {
			w.must(del(xrow.SpacePriv, 32, "space", 512))
			w.must(del(xrow.SpacePriv, 32, "universe", 0))
		}
		w.must(test.gone)
		var e *xrow.Error
		if err := read(); !errors.As(err, &e) || e.Code != test.code {
			t.Errorf("%s: reads: %v", test.name, err)
		}
		m := insert(512, 2)
		if _, err := d.Execute(poor, &m); !errors.As(err, &e) || e.Code != test.code {
			t.Errorf("%s: writes: %v", test.name, err)
		}
		d.Close()
	}
}

// A draft that has read very much holds a Step up for a moment only: what was changed
// meanwhile in another space costs nothing, and of too much it is not found out.
func TestDraftThatReadMuch(t *testing.T) {
	w := newWorld(t)
	w.space(512, "read", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.space(513, "other", nil, nil, pkIndex([]any{0, "unsigned"}))
	const rows = 1 << 10
	for i := range rows {
		w.must(insert(512, i))
	}
	run := func(times int, between xrow.DML) error {
		d := w.b.NewDraft(0)
		defer d.Close()
		if err := d.Forward(false); err != nil {
			t.Fatal(err)
		}
		for range times {
			q := Query{Space: 512, Key: arr(rows), Iterator: LT, Limit: 1, Offset: rows}
			if _, _, err := d.Query(UserAdmin, &q, nil); err != nil {
				t.Fatal(err)
			}
		}
		m := insert(513, 1<<30)
		if _, err := d.Execute(UserAdmin, &m); err != nil {
			t.Fatal(err)
		}
		w.must(between)
		w.seq++
		x := w.b.Begin(w.seq)
		defer x.Abort()
		return d.Commit(x)
	}
	const much = stillMost/rows + 1
	if err := run(much, insert(513, 1)); err != nil {
		t.Errorf("nothing was changed where it has read: %v", err)
	}
	if err := run(much/2, insert(512, rows)); err != nil {
		t.Errorf("behind what it has read: %v", err)
	}
	for _, change := range []xrow.DML{del(512, 1), insert(512, 1), upd(512, arr(1), []any{"=", 1, 1})} {
		if err := run(1, change); !isConflict(err) {
			t.Errorf("%v of what it has read: %v", change.Type, err)
		}
	}
	if err := run(much, insert(512, rows+1)); !isConflict(err) {
		t.Errorf("it was found out of too much: %v", err)
	}
}

// What a draft has put there itself without a look is so whatever others do: who writes
// last wins.
func TestDraftOwnIsItsOwn(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	for i, own := range []xrow.DML{upd(512, arr(1), []any{"=", 1, 2}), del(512, 1), upd(512, arr(1), []any{"=", 1, 1})} {
		w.must(xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: arr(1, 0)})
		d := w.b.NewDraft(0)
		for _, m := range []xrow.DML{{Type: xrow.Replace, SpaceID: 512, Tuple: arr(1, 1)}, own} {
			if err := d.Forward(true); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Execute(UserAdmin, &m); err != nil {
				t.Fatal(err)
			}
		}
		w.must(del(512, 1))
		if err := d.Forward(true); err != nil {
			t.Errorf("case %d: %v", i, err)
		}
		w.do(d.Commit)
		if got := w.sel(512, 0, ALL); got != []string{"[1, 2]", "", "[1, 1]"}[i] {
			t.Errorf("case %d: %s", i, got)
		}
	}
}

// Before Forward it sees nothing.
func TestDraftReadsBehindForward(t *testing.T) {
	w := newWorld(t)
	d := w.b.NewDraft(0)
	q := Query{Space: 281, Key: arr(), Iterator: ALL, Limit: 1}
	if _, _, err := d.Query(UserAdmin, &q, nil); !errors.Is(err, xrow.ErrIllegalParams) {
		t.Error(err)
	}
}

// What a draft does not do it says, and goes on.
func TestDraftRefuses(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.space(513, "v", nil, nil, pkIndex([]any{0, "unsigned"}))
	d := w.b.NewDraft(0)
	if err := d.Forward(true); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		m    xrow.DML
		want xrow.Code
	}{
		{insert(xrow.SpaceSpace, 600, 1, "x", "memtx", 0, m{}, []any{}), xrow.ErrMultistatementTransaction},
		{insert(999, 1), xrow.ErrNoSuchSpace},
		{insert(512, "a"), xrow.ErrFieldType},
		{insert(281, 1), xrow.ErrViewIsRO},
	} {
		var e *xrow.Error
		if _, err := d.Execute(UserAdmin, &test.m); !errors.As(err, &e) || e.Code != test.want {
			t.Errorf("%v %d: %v", test.m.Type, test.m.SpaceID, err)
		}
	}
	m := insert(512, 1)
	if _, err := d.Execute(UserAdmin, &m); err != nil {
		t.Error(err)
	}
	guest := insert(512, 2)
	if _, err := d.Execute(UserGuest, &guest); !errors.Is(err, xrow.ErrAccessDenied) {
		t.Errorf("guest: %v", err)
	}
	w.do(func(x *Txn) error { // of another space: nothing to it
		_, err := x.Execute(UserAdmin, &xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceIndex, Key: arr(513, 0)})
		return err
	})
	if err := d.Forward(true); err != nil {
		t.Error(err)
	}
	w.do(func(x *Txn) error {
		_, err := x.Execute(UserAdmin, &xrow.DML{Type: xrow.Update, SpaceID: xrow.SpaceSpace, Key: arr(512), Tuple: arr([]any{"=", 2, "t"})})
		return err
	})
	if err := d.Forward(false); !isConflict(err) {
		t.Errorf("after a change of its space: %v", err)
	}
	if w.b.pins.open.Len() > 0 {
		t.Error("it still pins versions")
	}
}

// Versions that an open transaction may read stay, and are told.
func TestDraftKeeps(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(512, 1, "old"))
	d := w.b.NewDraft(0)
	read := func() string {
		q := Query{Space: 512, Key: arr(), Iterator: ALL, Limit: 9}
		if err := d.Forward(false); err != nil {
			t.Fatal(err)
		}
		out, n, err := d.Query(UserAdmin, &q, nil)
		if err != nil {
			t.Fatal(err)
		}
		return tuplesText(t, out, n)
	}
	read()
	if d.Keeps() != 0 {
		t.Errorf("keeps %d", d.Keeps())
	}
	for i := range 5 {
		w.must(upd(512, arr(1), []any{"=", 1, i}))
	}
	if got := read(); got != `[1, "old"]` || d.Keeps() < 5*versionHead {
		t.Errorf("sees %s, keeps %d", got, d.Keeps())
	}
	d.Close()
	for w.b.Work(10) {
	}
	if w.b.garbage.versions.waits() {
		t.Error("versions wait for nobody")
	}
}
