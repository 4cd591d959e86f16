package box

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// TestSessionSettings: settings are shown in the order of their names, changed
// for one session, and checked.
func TestSessionSettings(t *testing.T) {
	w := newWorld(t)
	s, other := Settings{}, Settings{}
	sel := func(s Settings, it uint32, key ...any) string {
		q := Query{Space: xrow.SpaceSessionSettings, Iterator: it, Key: arr(key...), Limit: 100}
		out, n, err := w.b.SelectSettings(UserGuest, &q, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return tuplesText(t, out, n)
	}
	update := func(name any, ops ...any) (string, error) {
		d := upd(xrow.SpaceSessionSettings, arr(name), ops...)
		res, err := w.b.UpdateSetting(UserGuest, &d, s)
		if res == nil {
			return "", err
		}
		return tupleText(res), err
	}
	if all := sel(s, ALL); strings.Count(all, "[") != 9 || !strings.HasPrefix(all, `["sql_default_engine", "memtx"] ["sql_full_column_names", false]`) {
		t.Error(all)
	}
	if got := sel(s, LE, "sql_full_metadata"); got != `["sql_full_metadata", false] ["sql_full_column_names", false] ["sql_default_engine", "memtx"]` {
		t.Error(got)
	}
	if got, err := update("sql_full_metadata", []any{"=", "value", true}); got != `["sql_full_metadata", true]` || err != nil {
		t.Error(got, err)
	}
	if got, err := update("sql_default_engine", []any{"=", 1, "vinyl"}); got != `["sql_default_engine", "vinyl"]` || err != nil {
		t.Error(got, err)
	}
	if got, err := update("nosuch", []any{"=", 1, 1}); got != "" || err != nil {
		t.Error(got, err)
	}
	for _, c := range []struct {
		name string
		op   []any
		code xrow.Code
		text string
	}{
		{"sql_full_metadata", []any{"=", 1, 5}, xrow.ErrSessionSettingInvalidValue, "Session setting sql_full_metadata expected a value of type boolean"},
		{"sql_default_engine", []any{"=", 1, true}, xrow.ErrSessionSettingInvalidValue, "Session setting sql_default_engine expected a value of type string"},
		{"sql_default_engine", []any{"=", 1, "x"}, xrow.ErrNoSuchEngine, "Space engine 'x' does not exist"},
		{"sql_full_metadata", []any{"=", 0, "x"}, xrow.ErrCantUpdatePrimaryKey, ""},
		{"sql_full_metadata", []any{"!", 2, "x"}, xrow.ErrExactFieldCount, ""},
	} {
		_, err := update(c.name, c.op)
		wantError(t, err, c.code, c.text)
	}
	if got := sel(s, EQ, "sql_full_metadata"); got != `["sql_full_metadata", true]` {
		t.Error(got)
	}
	if got := sel(other, EQ, "sql_full_metadata"); got != `["sql_full_metadata", false]` {
		t.Error(got)
	}
	for typ, what := range map[xrow.Type]string{xrow.Insert: "replace", xrow.Replace: "replace", xrow.Delete: "delete", xrow.Upsert: "upsert"} {
		_, err := w.run(xrow.DML{Type: typ, SpaceID: xrow.SpaceSessionSettings, Key: arr("a"), Tuple: arr("a", 1), Ops: arr()})
		wantError(t, err, xrow.ErrUnsupported, "_session_settings space does not support "+what+"()")
	}
}
