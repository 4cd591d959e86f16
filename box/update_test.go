package box

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// TestIDsThatDoNotFit: an ID beyond 32 bits must not be taken for another one.
func TestIDsThatDoNotFit(t *testing.T) {
	w := errorWorld(t)
	const far = 1 << 32
	for _, d := range []xrow.DML{
		insert(xrow.SpaceUser, far+1, 1, "admin2", "user", m{}, []any{}, 0),
		insert(xrow.SpaceTruncate, far+512, 1),
		insert(xrow.SpacePriv, 1, far+40, "universe", 0, 31),
		insert(xrow.SpacePriv, 1, 40, "space", far+512, 31),
		insert(xrow.SpaceIndex, far+512, 5, "x", "tree", m{}, []any{[]any{0, "unsigned"}}),
	} {
		_, err := w.run(d)
		wantError(t, err, xrow.ErrFieldType, "")
	}
	if got := w.sel(512, 0, ALL); got != `[1, "a"]` {
		t.Error(got)
	}
}

// TestUpdateIsBounded: operations that would make gigabytes are refused.
func TestUpdateIsBounded(t *testing.T) {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(512, 1, strings.Repeat("x", 1<<19)))
	var ops []any
	for range maxOps {
		ops = append(ops, []any{":", 1, 0, 1, "y"})
	}
	_, err := w.run(upd(512, arr(1), ops...))
	wantError(t, err, xrow.ErrIllegalParams, "too many operations for update")
	_, err = w.run(ups(512, arr(1, "z"), ops...))
	wantError(t, err, xrow.ErrIllegalParams, "too many operations for update")
	_, err = w.run(upd(512, arr(1), append(ops, ops[0])...))
	wantError(t, err, xrow.ErrIllegalParams, "too many operations for update")
	_, err = w.run(upd(512, arr(1), []any{"=", 1 << 30, 1}))
	wantError(t, err, xrow.ErrMemtxMaxTupleSize, "")
}

// TestUpsertNamesFields: a field that no tuple of the space can have is a
// mistake of the request, whether the tuple is there or not: what went into the
// log in spite of it would stop every Tarantool that follows.
func TestUpsertNamesFields(t *testing.T) {
	w := newWorld(t)
	w.space(512, "up", nil, []any{m{"name": "id", "type": "unsigned"}, m{"name": "balance", "type": "any"}}, pkIndex([]any{0, "unsigned"}))
	w.must(insert(512, 1, 10))
	for _, c := range []struct {
		path    any
		code    xrow.Code
		message string
	}{
		{"balanse", xrow.ErrNoSuchFieldName, "Field 'balanse' was not found in the tuple"},
		{"balanse[1].x", xrow.ErrNoSuchFieldName, "Field 'balanse[1].x' was not found in the tuple"},
		{"", xrow.ErrNoSuchFieldName, "Field '' was not found in the tuple"},
		{"[*]", xrow.ErrNoSuchFieldName, "Field '[*]' was not found in the tuple"},
		{"[", xrow.ErrUpdateField, "Field '[' UPDATE error: invalid JSON in position 1"},
		{"[]", xrow.ErrUpdateField, "Field '[]' UPDATE error: invalid JSON in position 2"},
		{"[0]", xrow.ErrUpdateField, "Field '[0]' UPDATE error: invalid JSON in position 2"},
		{"[1", xrow.ErrUpdateField, "Field '[1' UPDATE error: invalid JSON in position 3"},
		{"[''].a", xrow.ErrUpdateField, "Field '[''].a' UPDATE error: invalid JSON in position 3"},
		{"['абв", xrow.ErrUpdateField, "Field '['абв' UPDATE error: invalid JSON in position 6"},
		{".", xrow.ErrUpdateField, "Field '.' UPDATE error: invalid JSON in position 2"},
		{"2", xrow.ErrUpdateField, "Field '2' UPDATE error: invalid JSON in position 1"},
		{1 << 31, xrow.ErrUpdateArgType, ""},
	} {
		for _, op := range []string{"+", "=", "!"} {
			for key := range 2 { // the tuple is there, or not
				_, err := w.run(ups(512, arr(1+key, 1), []any{"=", 1, 11}, []any{op, c.path, 5}))
				wantError(t, err, c.code, c.message)
			}
			_, err := w.run(upd(512, arr(1), []any{op, c.path, 5}))
			wantError(t, err, c.code, c.message)
		}
	}
	// What depends on the tuple is left out, and the rest is done.
	w.must(ups(512, arr(1, 1), []any{"+", "[5]", 5}, []any{"+", "balance.x", 5}, []any{"=", "[2][", 5}, []any{"+", "balance", 5}))
	if got := w.sel(512, 0, ALL); got != `[1, 15]` {
		t.Error(got)
	}
}

// TestUpdateMovesKey: a key that is taken is a duplicate, as it is for INSERT.
func TestUpdateMovesKey(t *testing.T) {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(512, 1, "a"))
	w.must(insert(512, 2, "b"))
	_, err := w.run(upd(512, arr(1), []any{"=", 0, 2}))
	wantError(t, err, xrow.ErrTupleFound, `Duplicate key exists in unique index "pk" in space "t" with old tuple - [2, "b"] and new tuple - [2, "a"]`)
	_, err = w.run(upd(512, arr(1), []any{"=", 0, 3}))
	wantError(t, err, xrow.ErrCantUpdatePrimaryKey, "")
	w.must(ups(512, arr(1), []any{"=", 0, 2})) // is left out
	if got := w.sel(512, 0, ALL); got != `[1, "a"] [2, "b"]` {
		t.Error(got)
	}
}
