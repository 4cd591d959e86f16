package box

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

func (w *world) putOwn(tuple []byte) (rows []LogRow, err error) {
	w.seq++
	x := w.b.Begin(w.seq)
	if err := x.PutOwn(&OwnSet, tuple); err != nil {
		x.Abort()
		return nil, err
	}
	for _, r := range x.Rows() {
		r.DML.Tuple = bytes.Clone(r.DML.Tuple)
		rows = append(rows, r)
	}
	if !x.IsSync() || !x.IsDDL() {
		w.t.Error("a row of an own space is not synchronous, or no barrier")
	}
	x.Prepare()
	w.b.Confirm(w.seq)
	return rows, nil
}

// value is what readers see of the row x of the own space.
func (w *world) ownRow() string {
	tuple := w.b.Own(&OwnSet, "x")
	if tuple == nil {
		return ""
	}
	return tupleText(tuple)
}

// The space is made with its first row, by rows that are like those of any space, under
// the next free ID. A box that is loaded or that gets these rows finds it by its name.
func TestOwnSpace(t *testing.T) {
	w := newWorld(t)
	w.space(600, "mine", nil, nil, pkIndex([]any{0, "unsigned"}))
	rows, err := w.putOwn(arr("x", 1))
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for i := range rows {
		d := &rows[i].DML
		text = append(text, tupleText(d.Tuple))
	}
	want := []string{`["tarragon.space._tarragon_set", 601]`,
		`[601, 1, "_tarragon_set", "memtx", 0, {"is_sync": true}, [{"name": "name", "type": "string"}, {"name": "value", "type": "any"}]]`,
		`[601, 0, "primary", "tree", {"unique": true}, [[0, "string"]]]`, `["x", 1]`}
	if got := strings.Join(text, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("it is made by\n%s", got)
	}
	if rows, err := w.putOwn(arr("x", 2)); err != nil || len(rows) != 1 || w.ownRow() != `["x", 2]` {
		t.Errorf("the next row: %v, %d rows, %s", err, len(rows), w.ownRow())
	}

	peer := newWorld(t)
	var all []xrow.DML
	for i := range rows {
		all = append(all, rows[i].DML)
	}
	if err := peer.apply(all...); err != nil || peer.ownRow() != `["x", 1]` {
		t.Errorf("at a peer: %v, %s", err, peer.ownRow())
	}

	loaded := &world{t: t, b: New(Config{}), seq: w.seq}
	for _, space := range []uint32{xrow.SpaceSchema, xrow.SpaceSpace, xrow.SpaceIndex, 601} {
		w.b.each(w.b.dict.spaces[space], w.b.confirmed, func(tuple []byte) {
			if row := splitRow(tuple); space != xrow.SpaceSchema && space < 601 && row.uint(0) != 601 {
				return
			}
			if err := loaded.b.Load(space, tuple); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := loaded.b.LoadDone(); err != nil || loaded.ownRow() != `["x", 2]` || !loaded.b.IsDDLSpace(601) || loaded.b.IsDDLSpace(600) {
		t.Errorf("loaded: %v, %s", err, loaded.ownRow())
	}

	x := w.prepare(func(x *Txn) error {
		found, err := x.DeleteOwn(&OwnSet, "x")
		if !found {
			t.Error("there was no row")
		}
		return err
	})
	if w.ownRow() == "" || w.b.NewestOwn(&OwnSet, "x") != nil {
		t.Error("an undecided deletion")
	}
	w.b.Rollback(x.seq)
	if w.b.NewestOwn(&OwnSet, "x") == nil {
		t.Error("a void deletion holds")
	}
	w.do(func(x *Txn) error {
		if found, err := x.DeleteOwn(&OwnSet, "y"); found || err != nil {
			t.Errorf("what is not there is deleted: %v", err)
		}
		return nil
	})
	if void := w.prepare(func(x *Txn) error { return x.PutOwn(&OwnSet, arr("x", 3)) }); true {
		w.b.Rollback(void.seq)
	}
	if got := w.ownRow(); got != `["x", 2]` {
		t.Errorf("behind a void row it is %s", got)
	}
}

// In an older schema the greatest ID is a row.
func TestOwnSpaceInAnOlderSchema(t *testing.T) {
	w := newWorld(t)
	w.must(insert(xrow.SpaceSchema, "max_id", 700))
	if rows, err := w.putOwn(arr("x", 1)); err != nil || tupleText(rows[0].DML.Tuple) != `["max_id", 701]` {
		t.Errorf("%v, %d rows", err, len(rows))
	}
	if got, _ := w.b.Schema().LastSpaceID(); got != 701 {
		t.Errorf("max_id is %d", got)
	}
}

// A space that somebody had made under that name stays what it is, and is refused; it
// may be written, renamed and dropped, and then there is room for ours.
func TestOwnSpaceForeign(t *testing.T) {
	w := newWorld(t)
	old := func() { // an older version, or a Tarantool, let somebody make it
		if err := w.apply(insert(xrow.SpaceSpace, 512, 1, "_tarragon_set", "memtx", 0, m{"is_sync": true}, []any{}),
			insert(xrow.SpaceIndex, 512, 0, "primary", "tree", m{"unique": true}, []any{[]any{0, "string"}})); err != nil {
			t.Fatal(err)
		}
	}
	old()
	w.must(insert(512, "x", 7))
	_, err := w.putOwn(arr("x", 1))
	if e := new(xrow.Error); !errors.As(err, &e) || e.Code != xrow.ErrUnsupported || !strings.Contains(e.Message, "Space '_tarragon_set' (512) is not Tarragon's own") {
		t.Errorf("over a foreign space: %v", err)
	}
	if w.ownRow() != "" || w.b.IsDDLSpace(512) {
		t.Errorf("a foreign space is taken for ours: %s", w.ownRow())
	}
	w.must(upd(xrow.SpaceSpace, arr(512), []any{"=", 4, 0}))
	w.must(upd(xrow.SpaceSpace, arr(512), []any{"=", 2, "mine"}))
	if _, err := w.putOwn(arr("x", 1)); err != nil || w.ownRow() != `["x", 1]` {
		t.Errorf("once it is renamed: %v", err)
	}
	if got := w.sel(512, 0, 0, "x"); got != `["x", 7]` {
		t.Errorf("what was there is %s", got)
	}
}

// A Tarantool may drop ours and give its ID to another space, which is nobody's but
// the client's that made it. Ours is made anew when it is needed.
func TestOwnSpaceDroppedByATarantool(t *testing.T) {
	w := newWorld(t)
	if _, err := w.putOwn(arr("x", 1)); err != nil {
		t.Fatal(err)
	}
	if err := w.apply(del(512, "x"), del(xrow.SpaceIndex, 512, 0), del(xrow.SpaceSpace, 512)); err != nil {
		t.Fatal(err)
	}
	if w.ownRow() != "" || w.b.IsDDLSpace(512) {
		t.Error("a space that is gone")
	}
	w.space(512, "theirs", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(512, 1))
	if w.b.IsDDLSpace(512) {
		t.Error("another space of that ID is taken for ours")
	}
	if _, err := w.putOwn(arr("x", 2)); err != nil || w.ownRow() != `["x", 2]` || !w.b.IsDDLSpace(513) {
		t.Errorf("made anew: %v, %s", err, w.ownRow())
	}
}

// No client writes or defines an own space, in whatever transaction and whatever its
// rights are, nor takes such a name. It may be read, and the right to that granted.
func TestAttackOwnSpace(t *testing.T) {
	const own = 512
	ops := arr([]any{"=", 1, 9})
	for _, test := range []struct {
		name string
		d    xrow.DML
	}{
		{"insert", insert(own, "y", 1)},
		{"replace", replace(own, "x", 9)},
		{"update", xrow.DML{Type: xrow.Update, SpaceID: own, Key: arr("x"), Tuple: ops}},
		{"upsert", xrow.DML{Type: xrow.Upsert, SpaceID: own, Tuple: arr("x", 9), Ops: arr([]any{"=", 1, 9})}},
		{"delete", del(own, "x")},
		{"delete of nothing", del(own, "y")},
		{"truncate", replace(xrow.SpaceTruncate, own, 1)},
		{"rename", upd(xrow.SpaceSpace, arr(own), []any{"=", 2, "x"})},
		{"make asynchronous", upd(xrow.SpaceSpace, arr(own), []any{"=", 5, m{}})},
		{"give away", upd(xrow.SpaceSpace, arr(own), []any{"=", 1, 0})},
		{"drop", del(xrow.SpaceSpace, own)},
		{"another index", insert(xrow.SpaceIndex, own, 1, "s", "tree", m{"unique": false}, []any{[]any{1, "unsigned"}})},
		{"rename the index", upd(xrow.SpaceIndex, arr(own, 0), []any{"=", 2, "x"})},
		{"drop the index", del(xrow.SpaceIndex, own, 0)},
		{"unmark", del(xrow.SpaceSchema, "tarragon.space._tarragon_set")},
		{"mark another", replace(xrow.SpaceSchema, "tarragon.space._tarragon_set", 600)},
		{"take a name", insert(xrow.SpaceSpace, 700, 1, "_tarragon_x", "memtx", 0, m{}, []any{})},
		{"take a name of a view", insert(xrow.SpaceSpace, 700, 1, "_vtarragon_x", "memtx", 0, m{}, []any{})},
		{"rename to such a name", upd(xrow.SpaceSpace, arr(600), []any{"=", 2, "_tarragon_x"})},
	} {
		for _, seal := range []bool{false, true} {
			w := newWorld(t)
			if _, err := w.putOwn(arr("x", 1)); err != nil {
				t.Fatal(err)
			}
			w.space(600, "mine", nil, nil, pkIndex([]any{0, "unsigned"}))
			w.seq++
			x := w.b.Begin(w.seq)
			if seal {
				x.Seal()
			}
			_, err := x.Execute(UserAdmin, &test.d)
			if e := new(xrow.Error); !errors.As(err, &e) || e.Code != xrow.ErrUnsupported || len(x.Rows()) > 0 {
				t.Errorf("%s (sealed %t): %v, %d rows", test.name, seal, err, len(x.Rows()))
			}
			x.Abort()
			if w.ownRow() != `["x", 1]` {
				t.Errorf("%s: the row is %s", test.name, w.ownRow())
			}
		}
	}
	w := newWorld(t)
	if _, err := w.putOwn(arr("x", 1)); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		q := Query{Space: own, Iterator: ALL, Key: msgp.AppendArrayHeader(nil, 0), Limit: 1}
		_, _, err := w.b.Select(w.creds(UserGuest), &q, nil)
		return err
	}
	if err := read(); !errors.Is(err, xrow.ErrAccessDenied) {
		t.Errorf("guest reads: %v", err)
	}
	w.must(insert(xrow.SpacePriv, 1, UserGuest, "space", own, int(PrivRead|PrivWrite)))
	if err := read(); err != nil {
		t.Errorf("who was granted it reads: %v", err)
	}
	if _, err := w.as(UserGuest, replace(own, "x", 9)); !errors.Is(err, xrow.ErrUnsupported) {
		t.Errorf("who was granted it writes: %v", err)
	}
}
