package box

import (
	"strings"
	"testing"

	"tarragon/xrow"
)

// TestIDsThatDoNotFit: an ID beyond 32 bits must not be taken for another one.
func TestIDsThatDoNotFit(t *testing.T) {
	w := errorWorld(t)
	const far = 1 << 32
	for _, d := range []xrow.DML{
		insert(idUser, far+1, 1, "admin2", "user", m{}, []any{}, 0),
		insert(idTruncate, far+512, 1),
		insert(idPriv, 1, far+40, "universe", 0, 31),
		insert(idPriv, 1, 40, "space", far+512, 31),
		insert(idIndex, far+512, 5, "x", "tree", m{}, []any{[]any{0, "unsigned"}}),
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
