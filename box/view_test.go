package box

import (
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// dump is all that a view shows, read in slices of n.
func dump(t testing.TB, v *View, n int) (rows []string, load func(*Box) error) {
	t.Helper()
	type row struct {
		space uint32
		tuple []byte
	}
	var all []row
	var c Cursor
	for more := true; more; {
		var err error
		more, err = v.Next(&c, n, func(space uint32, tuple []byte) error {
			all = append(all, row{space, append([]byte(nil), tuple...)})
			rows = append(rows, fmt.Sprint(space, " ", tupleText(tuple)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return rows, func(b *Box) error {
		for _, r := range all {
			if err := b.Load(r.space, r.tuple); err != nil {
				return fmt.Errorf("%d %s: %w", r.space, tupleText(r.tuple), err)
			}
		}
		return b.LoadDone()
	}
}

// TestLoadOfView takes the state of one box into another: the second shows the
// same rows, answers by secondary indexes, knows users and rights, and goes on.
func TestLoadOfView(t *testing.T) {
	w := clientSpaces(t)
	w.must(insert(xrow.SpaceUser, 40, 1, "joe", "user", m{"chap-sha1": "vhvewKp0tNyweZQ+cFKAlsyphfg="}, []any{}, 0))
	w.must(insert(xrow.SpacePriv, 1, 40, "space", 512, 1))
	w.space(600, "tmp", m{"temporary": true}, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(600, 1))
	w.space(601, "loc", m{"group_id": 1}, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(601, 1))
	v := w.b.OpenView()
	if !v.IsLocal(601) || v.IsLocal(512) {
		t.Error("IsLocal")
	}
	w.prepare(func(x *Txn) error {
		_, err := x.Execute(UserAdmin, &xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: arr(77, "undecided")})
		return err
	})
	rows, load := dump(t, v, 7)
	if s := strings.Join(rows, "\n"); strings.Contains(s, "undecided") || strings.Contains(s, "600 [1]") || !strings.Contains(s, "601 [1]") {
		t.Error("the view shows what it should not, or not all")
	}
	b := New(Config{})
	if err := load(b); err != nil {
		t.Fatal(err)
	}
	again, _ := dump(t, b.OpenView(), 100)
	if strings.Join(rows, "\n") != strings.Join(again, "\n") {
		t.Error("the loaded box shows other rows")
	}
	w2 := &world{t: t, b: b}
	if got, want := w2.sel(512, 1, EQ, "b"), w.sel(512, 1, EQ, "b"); got != want {
		t.Errorf("by secondary index: %s, want %s", got, want)
	}
	if u, ok := b.UserByName("joe"); !ok || b.Schema().CheckSpace(w2.creds(u.ID), 512, PrivRead) == nil {
		t.Error("joe has no usage right and may read all the same, or is not known")
	}
	info, _ := b.Space(512)
	if before, _ := w.b.Space(512); info.Rows != before.Rows || info.Bytes != before.Bytes {
		t.Errorf("counts %d rows %d bytes, want %d, %d", info.Rows, info.Bytes, before.Rows, before.Bytes)
	}
	_, err := w2.run(insert(513, "z", 1))
	wantError(t, err, xrow.ErrTupleFound, "")
	w2.must(insert(513, "z", 9))
	v.Close()
}

// TestLocalSpaces: what was written to local and temporary spaces is seen at
// once and stays when the transaction's other rows vanish.
func TestLocalSpaces(t *testing.T) {
	w := newWorld(t)
	w.space(512, "global", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.space(513, "loc", m{"group_id": 1}, nil, pkIndex([]any{0, "unsigned"}))
	w.space(514, "tmp", m{"temporary": true}, nil, pkIndex([]any{0, "unsigned"}))
	v := w.b.OpenView()
	x := w.prepare(func(x *Txn) error {
		for _, d := range []xrow.DML{insert(512, 1), insert(513, 1), insert(514, 1)} {
			if _, err := x.Execute(UserAdmin, &d); err != nil {
				return err
			}
		}
		return nil
	})
	if rows := x.Rows(); len(rows) != 2 || !rows[0].Local || rows[0].DML.SpaceID != 513 || rows[1].Local || rows[1].DML.SpaceID != 512 {
		t.Errorf("rows %+v", rows)
	}
	if x.IsLocal() {
		t.Error("local")
	}
	if got := fmt.Sprint(w.sel(512, 0, ALL), w.sel(513, 0, ALL), w.sel(514, 0, ALL)); got != "[1][1]" {
		t.Errorf("undecided: %s", got)
	}
	w.b.Rollback(w.seq)
	if got := fmt.Sprint(w.sel(512, 0, ALL), w.sel(513, 0, ALL), w.sel(514, 0, ALL)); got != "[1][1]" {
		t.Errorf("rolled back: %s", got)
	}
	if rows, _ := dump(t, v, 10); strings.Contains(strings.Join(rows, ";"), "513 [1]") {
		t.Error("an older view sees the local row")
	}
	x = w.prepare(func(x *Txn) error {
		_, err := x.Execute(UserAdmin, &xrow.DML{Type: xrow.Delete, SpaceID: 513, Key: arr(1)})
		return err
	})
	if !x.IsLocal() || w.b.pending.Len() != 0 {
		t.Error("a local transaction waits")
	}
	if got := w.sel(513, 0, ALL); got != "" {
		t.Errorf("deleted: %s", got)
	}
	v.Close()
}

// TestTemporaryType: the definition of such a space is neither logged nor shown
// by views, and is in effect at Prepare.
func TestTemporaryType(t *testing.T) {
	w := newWorld(t)
	x := w.prepare(func(x *Txn) error {
		for _, d := range []xrow.DML{insert(xrow.SpaceSpace, 1<<30, 1, "tt", "memtx", 0, m{"type": "temporary"}, []any{}),
			insert(xrow.SpaceIndex, 1<<30, 0, "pk", "tree", m{"unique": true}, []any{[]any{0, "unsigned"}})} {
			if _, err := x.Execute(UserAdmin, &d); err != nil {
				return err
			}
		}
		return nil
	})
	if !x.IsLocal() || len(x.Rows()) != 0 || x.IsDDL() {
		t.Error("logged")
	}
	w.must(insert(1<<30, 5))
	if got := w.sel(1<<30, 0, ALL); got != "[5]" {
		t.Error(got)
	}
	if got := w.sel(281, 0, EQ, 1<<30); !strings.Contains(got, `"tt"`) {
		t.Errorf("_vspace: %s", got)
	}
	rows, _ := dump(t, w.b.OpenView(), 1000)
	if strings.Contains(strings.Join(rows, ";"), `"tt"`) {
		t.Error("a view shows the definition")
	}
}

// A view pins what was replaced, deleted and emptied while it was open, and
// nothing of what was before it.
func TestViewPins(t *testing.T) {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	do := func(d xrow.DML) {
		t.Helper()
		w.seq++
		x := w.b.Begin(w.seq)
		if _, err := x.Execute(UserAdmin, &d); err != nil {
			t.Fatal(err)
		}
		x.Prepare()
		w.b.Confirm(w.seq)
	}
	first, second := []byte{0x92, 1, 2}, []byte{0x92, 1, 3}
	do(xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: first})
	do(xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: first}) // no view is open
	pins := func(v *View, want int) {
		t.Helper()
		if got := v.Pins(); got != want {
			t.Errorf("%d bytes are pinned, want %d", got, want)
		}
	}
	const each = versionHead + 3
	v := w.b.OpenView()
	pins(v, 0)
	do(xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: []byte{0x92, 2, 2}})
	pins(v, 0)
	do(xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: second})
	pins(v, each)
	later := w.b.OpenView()
	do(xrow.DML{Type: xrow.Delete, SpaceID: 512, Key: []byte{0x91, 1}})
	pins(v, 2*each)
	pins(later, each)
	v.Close()
	v.Close()
	pins(later, each)
	later.Close()
}

// What only a view kept is freed in slices, oldest first: its end takes as long
// as any other call. What is replaced meanwhile waits for its turn.
func TestViewEndsInSlices(t *testing.T) {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	const rows = 1000
	write := func(rows int) {
		for i := range rows {
			w.seq++
			x := w.b.Begin(w.seq)
			d := replace(512, i, 1)
			if _, err := x.Execute(UserAdmin, &d); err != nil {
				t.Fatal(err)
			}
			x.Prepare()
			w.b.Confirm(w.seq)
		}
	}
	write(rows)
	one := w.b.mem.used
	v := w.b.OpenView()
	write(rows)
	write(rows)
	kept := w.b.mem.used
	v.Close()
	version := (kept - one) / (2 * rows)
	if freed := (kept - w.b.mem.used) / version; freed == 0 || freed > w.b.config.WorkAtOnce {
		t.Errorf("the end of a view freed %d versions", freed)
	}
	write(1)
	for more := true; more; {
		before := w.b.mem.used
		more = w.b.Work(100)
		if freed := (before - w.b.mem.used) / version; freed > 110 { // their sizes differ a little
			t.Errorf("a slice of 100 freed %d versions", freed)
		}
	}
	if w.b.mem.used != one {
		t.Errorf("%d bytes in use at the end, %d at the start", w.b.mem.used, one)
	}
}
