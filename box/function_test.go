package box

import (
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// goRow is a row of _func of language GO; set changes fields of it.
func goRow(id int, name string, set map[int]any) []any {
	row := function(id, 1, name, 0)
	row[4], row[14] = "GO", []any{}
	for i, v := range set {
		row[i] = v
	}
	return row
}

// A client's row of language GO says no more than a name, a version and who may run it.
// A row of the log is kept as it is.
func TestGoFunctionRow(t *testing.T) {
	for _, c := range []struct {
		set  map[int]any
		want string
	}{
		{map[int]any{5: "function() end"}, "Failed to create function 'f': a function of language GO has no body: its code is in the program"},
		{map[int]any{15: m{"version": -1}}, "Failed to create function 'f': opts.version must be an unsigned number of 32 bits"},
		{map[int]any{15: m{"version": "1"}}, "Failed to create function 'f': opts.version must be an unsigned number of 32 bits"},
		{map[int]any{15: m{"version": 1 << 32}}, "Failed to create function 'f': opts.version must be an unsigned number of 32 bits"},
		{map[int]any{19: []any{"box.space.s.on_replace"}}, "Failed to create function 'f': a function of language GO is no trigger by its row"},
		{map[int]any{2: strings.Repeat("f", 256)}, ""},
	} {
		w := newWorld(t)
		_, err := w.as(UserAdmin, insert(xrow.SpaceFunc, goRow(70, "f", c.set)...))
		wantError(t, err, xrow.ErrCreateFunction, c.want)
		w.mustApply(insert(xrow.SpaceFunc, goRow(70, "f", c.set)...))
	}
}

// What a row asks for is found by its name, and told apart from what is only kept.
func TestProcedures(t *testing.T) {
	w := newWorld(t)
	w.must(insert(xrow.SpaceFunc, goRow(70, "f", map[int]any{3: 1, 15: m{"version": 3, "takes_raw_args": true}})...))
	w.must(insert(xrow.SpaceFunc, function(71, 1, "l", 0)...))
	f := Function{ID: 70, Owner: 1, Name: "f", Language: "GO", Setuid: true, Version: 3}
	l := Function{ID: 71, Owner: 1, Name: "l", Language: "LUA"}
	for _, want := range []Function{f, l} {
		if got, ok := w.b.Function(want.Name); !ok || got != want || !got.MayBeGo() || got.IsGo() != (want == f) {
			t.Errorf("%+v, %t; want %+v", got, ok, want)
		}
	}
	if got := w.b.Schema().Procedures(); !slices.Equal(got, []Function{f}) {
		t.Errorf("procedures %+v", got)
	}
	if got := w.b.Schema().Carried(); len(got) != 1 || got[0].Function != l {
		t.Errorf("carried %+v", got)
	}
	w.must(upd(xrow.SpaceFunc, arr(71), []any{"=", 5, "function() end"}))
	if got, _ := w.b.Function("l"); got.MayBeGo() {
		t.Error("a body in Lua is that of a procedure")
	}
	w.must(del(xrow.SpaceFunc, 70))
	if got := w.b.Schema().Procedures(); len(got) != 0 {
		t.Errorf("procedures %+v behind the drop", got)
	}
}

// A transaction names the procedures that it makes or changes, not all there are.
func TestNamedProcedures(t *testing.T) {
	w := newWorld(t)
	w.must(insert(xrow.SpaceFunc, goRow(70, "f", nil)...))
	for _, c := range []struct {
		name string
		do   xrow.DML
		want []string
	}{
		{"another function", insert(xrow.SpaceFunc, function(71, 1, "l", 0)...), nil},
		{"a space", insert(xrow.SpaceSpace, 600, 1, "s", "memtx", 0, m{}, []any{}), nil},
		{"a new one", insert(xrow.SpaceFunc, goRow(72, "g", nil)...), []string{"g"}},
		{"another version", upd(xrow.SpaceFunc, arr(70), []any{"=", 15, m{"version": 2}}), []string{"f"}},
		{"a language", upd(xrow.SpaceFunc, arr(71), []any{"=", 4, "GO"}), []string{"l"}},
		{"a drop", del(xrow.SpaceFunc, 70), nil},
	} {
		tx := w.prepare(func(x *Txn) error {
			_, err := x.Execute(UserAdmin, &c.do)
			return err
		})
		var got []string
		for _, f := range tx.NamedProcedures() {
			got = append(got, f.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s names %v, want %v", c.name, got, c.want)
		}
		w.b.Confirm(w.seq)
	}
}
