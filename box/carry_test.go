package box

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// spaceRow is a row of a snapshot.
type spaceRow struct {
	space uint32
	tuple []byte
}

// keptRows are the rows of a snapshot of Tarantool 3.8.0 with one of each thing
// that the box may have to keep without serving it. Those of a fresh database
// and of Tarantool's own collations are left out of testdata/kept-3.8.msgpack,
// which holds arrays [space id, tuple] back to back, written by
//
//	for _, sp in box.space._space:pairs() do for _, t in box.space[sp.id]:pairs() do
//	    f:write(msgpack.encode({sp.id, t})) end end
//
// (of _sequence_data: those of the snapshot file)
//
// after these definitions, all with IDs from 512 on in this order (a function
// f of space and fields made a space with the primary key 'pk' on field 1):
//
//	auto, autogen      create_index('pk', {sequence = 'seq'}), {sequence = true}
//	vinyl              engine = 'vinyl', secondary index v
//	tconstr, fconstr   constraint of the space, of a field
//	parent, child, child2  foreign_key of a field, of the space
//	default            default = 5 of field 2, default_func of field 3
//	collpk, collsk     unicode_ci in the primary key; unicode, unicode_de__phonebook_s2
//	multi, funcidx, rtree, bitset  secondary indexes mk, fi, rt, bs
//	path               {1, 'unsigned', path = 'id'}; {2, 'string', path = '[2].x', is_nullable = true}
//	types, ints        an index on each type that has one
//	desc, hash, loc    sort_order = 'desc', exclude_null; HASH; is_local
//	trigger            _func.trigger = {'box.space.trigger.before_replace'}
//	pseq               a sequence with the path 'f.a.id'
//	sqlt, sqlc, v      CREATE TABLE with CHECK, DEFAULT, REFERENCES; CREATE VIEW; CREATE TRIGGER
//
// and functions with Lua, C and SQL bodies, users, a role, grants of all kinds
// and a collation.
func keptRows(t testing.TB) (rows []spaceRow) {
	t.Helper()
	for _, d := range BootstrapRows(Profile3_8_0, testReplicaset, testInstance, "", "") {
		rows = append(rows, spaceRow{d.SpaceID, d.Tuple})
	}
	rows = append(rows, readRows(t, "kept-3.8")...)
	slices.SortStableFunc(rows, func(a, b spaceRow) int { return int(a.space) - int(b.space) })
	return rows
}

func readRows(t testing.TB, file string) (rows []spaceRow) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file + ".msgpack")
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); {
		end := mp.Skip(data, at)
		row := splitRow(data[at:end])
		rows = append(rows, spaceRow{uint32(row.uint(0)), row.raw(1)})
		at = end
	}
	return rows
}

// texts prints rows with their exact bytes, sorted.
func texts(rows []spaceRow) (all []string) {
	for _, r := range rows {
		all = append(all, fmt.Sprintf("%d %x", r.space, r.tuple))
	}
	slices.Sort(all)
	return all
}

// without leaves out spaces and everything that says so.
func without(rows []spaceRow, spaces ...uint64) (rest []spaceRow) {
	for _, r := range rows {
		id := uint64(r.space)
		switch r.space {
		case xrow.SpaceSpace, xrow.SpaceIndex:
			id = splitRow(r.tuple).uint(0)
		}
		if !slices.Contains(spaces, id) {
			rest = append(rest, r)
		}
	}
	return rest
}

func loaded(t testing.TB, c Config, rows []spaceRow) *world {
	t.Helper()
	b := New(c)
	for _, r := range rows {
		if err := b.Load(r.space, r.tuple); err != nil {
			t.Fatalf("space %d, %s: %v", r.space, tupleText(r.tuple), err)
		}
	}
	if err := b.LoadDone(); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, b: b}
}

// collpk has a primary key that cannot be applied, whatever the box is told.
const collpk = 521

func keptWorld(t testing.TB) *world {
	return loaded(t, Config{Opaque: true}, without(keptRows(t), collpk))
}

// apply runs rows of the log in one confirmed transaction.
func (w *world) apply(rows ...xrow.DML) error {
	w.seq++
	x := w.b.Begin(w.seq)
	for i := range rows {
		if err := x.Apply(&rows[i]); err != nil {
			x.Abort()
			return err
		}
	}
	x.Prepare()
	w.b.Confirm(w.seq)
	for w.b.Work(10) {
	}
	return nil
}

func (w *world) mustApply(rows ...xrow.DML) {
	w.t.Helper()
	if err := w.apply(rows...); err != nil {
		w.t.Fatal(err)
	}
}

// rows are all rows that a view shows, with their exact bytes.
func (w *world) rows() []string {
	v := w.b.OpenView()
	defer v.Close()
	var all []spaceRow
	var c Cursor
	for more := true; more; {
		more, _ = v.Next(&c, 100, func(space uint32, tuple []byte) error {
			all = append(all, spaceRow{space, bytes.Clone(tuple)})
			return nil
		})
	}
	return texts(all)
}

// TestKeptRows: a snapshot comes out as it went in, to the byte, whatever the
// order of its user spaces and of the rows in them.
func TestKeptRows(t *testing.T) {
	rows := without(keptRows(t), collpk)
	want := texts(rows)
	rng := rand.New(rand.NewSource(1))
	for range 5 {
		w := loaded(t, Config{Opaque: true}, rows)
		if got := w.rows(); !slices.Equal(got, want) {
			t.Fatalf("%d rows came out, %d went in", len(got), len(want))
		}
		for _, sp := range w.b.Spaces() {
			for _, ix := range sp.Indexes {
				if err := w.b.dict.spaces[sp.ID].index(ix.ID).validate(); err != nil {
					t.Errorf("%s.%s: %v", sp.Name, ix.Name, err)
				}
			}
		}
		first := slices.IndexFunc(rows, func(r spaceRow) bool { return r.space >= xrow.FirstUserSpace })
		rng.Shuffle(len(rows)-first, func(i, j int) { rows[first+i], rows[first+j] = rows[first+j], rows[first+i] })
	}
}

// TestNotCarried: what cannot be applied stops the row that defines it, with
// one line that names space and index.
func TestNotCarried(t *testing.T) {
	rows := keptRows(t)
	all := []uint64{collpk, 522, 523, 524, 525, 526}
	for _, c := range []struct {
		space  uint64
		opaque bool
		want   string
	}{
		{collpk, false, "Tarragon does not support collation 2 of index 'pk' of space 'collpk'"},
		{collpk, true, "Tarragon does not support collation 2 of index 'pk' of space 'collpk'"},
		{522, false, "Tarragon does not support collation 1 of index 'u' of space 'collsk'"},
		{523, false, "Tarragon does not support multikey index 'mk' of space 'multi'"},
		{524, false, "Tarragon does not support functional index 'fi' of space 'funcidx'"},
		{525, false, "Tarragon does not support RTREE index 'rt' of space 'rtree'"},
		{526, false, "Tarragon does not support BITSET index 'bs' of space 'bitset'"},
	} {
		others := slices.DeleteFunc(slices.Clone(all), func(id uint64) bool { return id == c.space })
		b := New(Config{Opaque: c.opaque})
		var err error
		for _, r := range without(rows, others...) {
			if err = b.Load(r.space, r.tuple); err != nil {
				if r.space != xrow.SpaceIndex {
					t.Errorf("a row of space %d is refused: %v", r.space, err)
				}
				break
			}
		}
		wantError(t, err, xrow.ErrUnsupported, c.want)
	}
}

// TestKeptDML applies rows of a peer to each kind of space.
func TestKeptDML(t *testing.T) {
	w := keptWorld(t)
	dec := func(s string) raw { d, _ := toDecimal([]byte(s)); return d.append(nil) }
	w.mustApply(
		// vinyl: DELETE of nothing, UPSERT whose result does not fit is left out
		ups(514, arr(1, "v"), []any{"=", 1, 5}), ups(514, arr(2, "v"), []any{"=", 1, "up"}), ups(514, arr(8, "new"), []any{"=", 1, "x"}),
		del(514, 77), upd(514, arr(3), []any{"=", 1, "upd"}), replace(514, 9, "rep"),
		// rows that break what only their author checks
		insert(515, 13, 13), insert(516, 13, 13), insert(518, 2, 99), del(517, 1), insert(520, 2, raw{0xc0}, 1), upd(520, arr(1), []any{"=", 1, raw{0xc0}}),
		replace(535, 1, "untouched"), insert(538, 7, 7), insert(537, 9, -1, "ck"),
		// spaces with indexes that are left out
		replace(522, 1, "á"), insert(523, 2, []any{m{"n": "c"}}), del(524, 1), insert(525, 3, []any{5, 6}), upd(526, arr(1), []any{"=", 1, 7}),
		// paths and types
		upd(527, arr(1), []any{"=", "[2][2].x", "w"}), insert(527, m{"id": 4}, []any{0, m{"x": "a"}}), del(527, 3),
		del(528, dec("\xfe")), insert(529, -9, 1, 1, 1, raw{0xca, 0, 0, 0, 0}, raw{0xcb, 0, 0, 0, 0, 0, 0, 0, 0}, dec("\x01"), dec("\x01"), dec("\x01"),
			raw(appendExt(nil, mp.ExtDecimal, []byte{0xfe, 0x5c})), raw{0xd4, 6, 0}, m{}, 1),
		insert(531, "z", 1), del(531, "k1", -1),
	)
	for _, c := range []struct {
		space, index, iterator uint32
		key                    []any
		want                   string
	}{
		{514, 0, ALL, nil, `[1, "v1"] [2, "up"] [3, "upd"] [8, "new"] [9, "rep"]`},
		{514, 1, GE, []any{"v"}, `[1, "v1"]`},
		{518, 0, ALL, nil, `[1, 1] [2, 99]`},
		{520, 0, ALL, nil, `[1, null, 7] [2, null, 1]`},
		{527, 1, ALL, nil, `[{"id": 2}, [0]] [{"id": 4}, [0, {"x": "a"}]] [{"id": 1}, [0, {"x": "w"}]]`},
		{527, 0, GE, []any{2}, `[{"id": 2}, [0]] [{"id": 4}, [0, {"x": "a"}]]`},
		{530, 0, ALL, nil, `[3, "c", "z"] [2, "a", null] [1, "a"]`},
		{531, 0, EQ, []any{"z", 1}, `["z", 1]`},
	} {
		if got := w.sel(c.space, c.index, c.iterator, c.key...); got != c.want {
			t.Errorf("space %d index %d: %s\nwant %s", c.space, c.index, got, c.want)
		}
	}
	if got := w.sel(528, 0, ALL); strings.Count(got, "1.50") != 1 || strings.Count(got, "[") != 1 {
		t.Error(got)
	}
}

// TestKeptForClients: reading is served; a write that would need what we do not
// do is refused by name, and one that does not need it is served.
func TestKeptForClients(t *testing.T) {
	w := keptWorld(t)
	for _, c := range []struct {
		d    xrow.DML
		what string // empty: served
	}{
		{insert(514, 20, "x"), ""},
		{del(514, 20), ""},
		{insert(515, 5, 5), "constraint 'check' of space 'tconstr'"},
		{del(515, 1), ""},
		{upd(516, arr(1), []any{"=", 1, 5}), "constraint 'fcheck' of field 2 of space 'fconstr'"},
		{insert(517, 2, 2), ""},
		{replace(517, 1, 2), "foreign key 'parent' of field 2 of space 'child'"},
		{del(517, 1), "foreign key 'parent' of field 2 of space 'child'"},
		{insert(518, 2, 1), "foreign key 'parent' of field 2 of space 'child'"},
		{insert(519, 2, 1), "foreign key 'fk' of space 'child2'"},
		{del(519, 1), ""},
		{insert(520, 3, raw{0xc0}, 1), "default of field 2 of space 'default'"},
		{insert(520, 3, 3), "default_func of field 3 of space 'default'"},
		{insert(520, 3, 3, 3), ""},
		{upd(520, arr(3), []any{"=", 1, raw{0xc0}}), ""},
		{insert(522, 5, "x"), "collation 1 of index 'u' of space 'collsk'"},
		{del(522, 1), ""},
		{insert(523, 5, []any{}), "multikey index 'mk' of space 'multi'"},
		{insert(524, 5, "x"), "functional index 'fi' of space 'funcidx'"},
		{insert(525, 5, []any{1, 1}), "RTREE index 'rt' of space 'rtree'"},
		{insert(526, 5, 5), "BITSET index 'bs' of space 'bitset'"},
		{insert(535, 5), "trigger 'trig' of space 'trigger'"},
		{del(535, 1), "trigger 'trig' of space 'trigger'"},
		{insert(537, 5, 5, "x"), "constraint 'ck' of space 'sqlt'"},
		{insert(538, 5, 1), "foreign key 'fk_unnamed_sqlc_a_1' of field 2 of space 'sqlc'"},
		{ups(xrow.SpaceTruncate, arr(517, 1), []any{"+", 1, 1}), "foreign key 'parent' of field 2 of space 'child'"},
		{insert(xrow.SpaceSpaceSequence, 530, 2, false, 0, ""), "rows in space '_space_sequence'"},
		{upd(xrow.SpaceIndex, arr(514, 1), []any{"=", 2, "w"}), "changes of indexes of engine 'vinyl'"},
		{xrow.DML{Type: xrow.InsertArrow, SpaceID: 530}, "rows of type INSERT_ARROW (space 'desc')"},
	} {
		_, err := w.run(c.d)
		if c.what == "" && err != nil {
			t.Errorf("%v %d: %v", c.d.Type, c.d.SpaceID, err)
		}
		if c.what != "" {
			wantError(t, err, xrow.ErrUnsupported, "Tarragon does not support "+c.what)
		}
	}
	_, err := w.run(insert(539, 1, 1, "x"))
	wantError(t, err, xrow.ErrViewIsRO, "View 'v' is read-only")
	for _, c := range []struct {
		q    Query
		what string
	}{
		{Query{Space: 523, Index: 1}, "multikey index 'mk' of space 'multi'"},
		{Query{SpaceName: "rtree", IndexName: "rt"}, "RTREE index 'rt' of space 'rtree'"},
	} {
		c.q.Limit = 1
		_, _, err := w.b.Select(UserAdmin, &c.q, nil)
		wantError(t, err, xrow.ErrUnsupported, "Tarragon does not support "+c.what)
	}
}

// TestCarried lists what an operator is told, and follows DDL of peers.
func TestCarried(t *testing.T) {
	w := keptWorld(t)
	var got []string
	for _, c := range w.b.Schema().Carried() {
		got = append(got, c.Space+": "+c.Feature)
	}
	for _, want := range []string{
		": function 'lua_body' (LUA)", ": function 'cfn' (C)", "vinyl: engine 'vinyl' of space 'vinyl'", "v: view 'v'",
		"sqlt: trigger 'tr' of space 'sqlt'", "multi: multikey index 'mk' of space 'multi'", "child: foreign key 'parent' of field 2 of space 'child'",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in the list", want)
		}
	}
	if len(got) != 27 {
		t.Errorf("%d things are carried:\n%s", len(got), strings.Join(got, "\n"))
	}
	w.mustApply(del(xrow.SpaceFuncIndex, 524, 1), del(xrow.SpaceIndex, 524, 1), del(xrow.SpaceIndex, 523, 1), upd(xrow.SpaceFunc, arr(71), []any{"=", 19, []any{}}))
	for _, d := range []xrow.DML{insert(524, 5, "x"), insert(523, 5), insert(535, 5)} {
		if _, err := w.run(d); err != nil {
			t.Errorf("after the feature went: %v", err)
		}
	}
	w.mustApply(insert(xrow.SpaceCkConstraint, 523, "old", false, "SQL", "a > 1", true), insert(xrow.SpaceCkConstraint, 524, "off", false, "SQL", "a > 1", false))
	_, err := w.run(insert(523, 6))
	wantError(t, err, xrow.ErrUnsupported, "Tarragon does not support constraint 'old' of space 'multi'")
	w.must(insert(524, 6, "x"))
	w.mustApply(del(xrow.SpaceCkConstraint, 523, "old"), del(523, 5), del(523, 1), del(xrow.SpaceIndex, 523, 0), del(xrow.SpaceSpace, 523))
	if next := w.b.Schema().NextIndexID(522); next != 3 {
		t.Errorf("the next index behind two unusable ones has ID %d", next)
	}
}

// TestLaterVersions: types, options and engines that nobody knows here stop the
// row that has them, unless they are carried.
func TestLaterVersions(t *testing.T) {
	space := func(engine string, flags m, format ...any) []xrow.DML {
		return []xrow.DML{insert(xrow.SpaceSpace, 600, 1, "new", engine, 0, flags, format),
			insert(xrow.SpaceIndex, 600, 0, "pk", "tree", m{"unique": true}, []any{[]any{0, "unsigned"}})}
	}
	index := func(opts m, part any) []xrow.DML {
		return append(space("memtx", m{}), insert(xrow.SpaceIndex, 600, 1, "later", "tree", opts, []any{part}))
	}
	for _, c := range []struct {
		name string
		rows []xrow.DML
		what string
	}{
		{"engine", space("memcs", m{}), "engine 'memcs' of space 'new'"},
		{"flag", space("memtx", m{"later": 1}), "option 'later' of space 'new'"},
		{"type", space("memtx", m{}, m{"name": "id", "type": "unsigned"}, m{"name": "f", "type": "later"}), "type 'later' of field 2 of space 'new'"},
		{"index option", index(m{"unique": false, "opt": 1}, []any{1, "unsigned"}), "option 'opt' of index 'later' of space 'new'"},
		{"part option", index(m{"unique": false}, m{"field": 1, "type": "unsigned", "opt": 1}), "option 'opt' of a part of index 'later' of space 'new'"},
		{"part type", index(m{"unique": false}, []any{1, "later"}), "type 'later' of a part of index 'later' of space 'new'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := loaded(t, Config{}, without(keptRows(t), collpk, 522, 523, 524, 525, 526))
			wantError(t, w.apply(c.rows...), xrow.ErrUnsupported, "Tarragon does not support "+c.what)
			w = keptWorld(t)
			w.mustApply(append(c.rows, insert(600, 1, 2, 3))...)
			if got := w.sel(600, 0, ALL); got != "[1, 2, 3]" {
				t.Error(got)
			}
			_, err := w.run(insert(600, 2, 2))
			wantError(t, err, xrow.ErrUnsupported, "Tarragon does not support "+c.what)
			w.must(del(600, 1))
		})
	}
}

// TestPeersMay: what only clients are asked for.
func TestPeersMay(t *testing.T) {
	w := newWorld(t)
	w.mustApply(
		insert(xrow.SpacePriv, 1, 0, "function", 4711, 4), // an object that is not there yet
		insert(xrow.SpaceSpace, 600, 1, "s", "memtx", 0, m{}, []any{
			m{"name": "id", "type": "unsigned"},
			m{"name": "text", "type": "integer", "is_nullable": true, "default": "3 + 1"},
			m{"name": "d", "type": "decimal32", "scale": 2, "is_nullable": true}}),
		insert(xrow.SpaceIndex, 600, 0, "pk", "tree", m{"unique": true}, []any{[]any{0, "unsigned"}}))
	w.must(insert(600, 1)) // a default in SQL text is for SQL
	dec := func(scale, digits byte, more ...byte) raw {
		return appendExt(nil, mp.ExtDecimal, append([]byte{scale, digits}, more...))
	}
	w.must(insert(600, 2, raw{0xc0}, dec(2, 0x12, 0x3c)))
	w.must(insert(600, 3, raw{0xc0}, dec(3, 0x12, 0x30, 0x0c)))
	_, err := w.run(insert(600, 4, raw{0xc0}, dec(3, 0x12, 0x34, 0x5c)))
	wantError(t, err, xrow.ErrFieldIrrepresentableValue, "The value does not fit in field type")
	_, err = w.run(insert(600, 4, raw{0xc0}, dec(0, 0x12, 0x34, 0x56, 0x78, 0x0c)))
	wantError(t, err, xrow.ErrFieldIrrepresentableValue, "")
	w.mustApply(insert(xrow.SpaceSpace, 601, 1, "c", "memtx", 0, m{"constraint": m{"k": 1}}, []any{}),
		insert(xrow.SpaceIndex, 601, 0, "pk", "tree", m{"unique": true}, []any{[]any{0, "unsigned"}}))
	_, err = w.run(insert(601, 1))
	wantError(t, err, xrow.ErrUnsupported, "Tarragon does not support constraint 'k' of space 'c'")
}

// TestSequences: rows of peers move the sequence of their space, clients get
// its next value, and what did not come to be leaves no trace.
func TestSequences(t *testing.T) {
	w := keptWorld(t)
	value := func(want string, id int) {
		t.Helper()
		if got := w.sel(xrow.SpaceSequenceData, 0, EQ, id); got != want {
			t.Errorf("sequence %d: %s, want %s", id, got, want)
		}
	}
	nil1 := raw{0xc0}
	value("[1, 50]", 1) // start 10, step 3, max 100, cycle
	w.mustApply(insert(512, 60, "by a peer"))
	value("[1, 60]", 1)
	w.mustApply(insert(512, 58, "less"))
	value("[1, 60]", 1)
	if got := w.must(insert(512, nil1, "next")); got != `[63, "next"]` {
		t.Error(got)
	}
	w.must(insert(512, 98, "given"))
	if got := w.must(replace(512, nil1, "cycle")); got != `[1, "cycle"]` {
		t.Error(got)
	}
	value("[1, 1]", 1)
	x := w.b.Begin(1000)
	if _, err := x.Execute(UserAdmin, &xrow.DML{Type: xrow.Insert, SpaceID: 513, Tuple: arr(nil1, "lost")}); err != nil {
		t.Fatal(err)
	}
	if row := x.Rows(); len(row) != 1 || tupleText(row[0].DML.Tuple) != `[6, "lost"]` {
		t.Errorf("%d rows", len(row))
	}
	x.Prepare()
	w.b.Rollback(1000)
	w.seq = 1000
	value("[3, 5]", 3)
	if got := w.must(insert(536, raw("\x81\xa1a\x81\xa2id\xc0"), 1)); got != `[{"a": {"id": 2}}, 1]` {
		t.Error(got)
	}
	w.seq++
	x = w.b.Begin(w.seq)
	if err := x.Apply(&xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSequenceData, Tuple: arr(3, 6)}); err != nil || x.IsDDL() || w.b.IsDDLSpace(xrow.SpaceSequenceData) {
		t.Errorf("next() of a peer: %v, DDL %v", err, x.IsDDL())
	}
	x.Abort()
	_, err := w.run(insert(536, m{"a": m{"x": 1}}))
	wantError(t, err, xrow.ErrFieldMissing, `Tuple field [1]["a"]["id"] required by space format is missing`)
	w.mustApply(replace(xrow.SpaceSequenceData, 3, 1<<62), replace(xrow.SpaceSequence, 3, 1, "autogen_seq", 1, 1, 1<<62, 1, 0, false))
	_, err = w.run(insert(513, nil1))
	wantError(t, err, xrow.ErrSequenceOverflow, "Sequence 'autogen_seq' has overflowed")
	_, err = w.as(32, insert(512, nil1))
	wantError(t, err, xrow.ErrAccessDenied, "")
}

// A leader of Tarantool's kind gives the row of a silent member to a joiner of
// the same name, under its uuid. Clients may not change one.
func TestMemberRowChangesUUID(t *testing.T) {
	const first, second = "11111111-0000-4000-8000-000000000003", "22222222-0000-4000-8000-000000000003"
	w := keptWorld(t)
	row := func(uuid string) []byte { return msgp.AppendString([]byte{0x92, 3}, uuid) }
	w.mustApply(xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceCluster, Tuple: row(first)})
	ops := msgp.AppendString(append(msgp.AppendString([]byte{0x91, 0x93}, "="), 1), second)
	update := xrow.DML{Type: xrow.Update, SpaceID: xrow.SpaceCluster, Key: []byte{0x91, 3}, Tuple: ops}
	w.seq++
	x := w.b.Begin(w.seq)
	if _, err := x.Execute(UserAdmin, &update); err == nil || !strings.Contains(err.Error(), "updates of instance uuid") {
		t.Errorf("a client: %v", err)
	}
	x.Abort()
	w.mustApply(update)
	for _, m := range w.b.Members() {
		if m.ID == 3 && m.UUID != second {
			t.Errorf("the row has %s", m.UUID)
		}
	}
}
