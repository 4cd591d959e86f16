package box

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// hookText is a tuple, or none, as the scripts of Tarantool print it.
func hookText(tuple []byte) string {
	if tuple == nil {
		return "nil"
	}
	return tupleText(tuple)
}

// hookWorld is a space "s" with the tuple [1, "a", 0], a unique index of field 1, and hooks.
func hookWorld(t *testing.T, h *Hooks) *world {
	w := newWorld(t)
	format := []any{m{"name": "id", "type": "unsigned"}, m{"name": "text", "type": "string"}}
	w.space(512, "s", nil, format, pkIndex([]any{0, "unsigned"}), []any{1, "sk", "tree", m{"unique": true}, []any{[]any{1, "string"}}})
	w.must(insert(512, 1, "a", 0))
	w.b.config.Hooks = map[string]*Hooks{"s": h}
	return w
}

var errMine = errors.New("mine")

// What a before_replace function returns, by name.
var hookReturns = map[string]BeforeReplace{
	"new":   func(_, new []byte, _ xrow.Type) ([]byte, error) { return new, nil },
	"old":   func(old, _ []byte, _ xrow.Type) ([]byte, error) { return old, nil },
	"nil":   func(_, _ []byte, _ xrow.Type) ([]byte, error) { return nil, nil },
	"T":     func(_, _ []byte, _ xrow.Type) ([]byte, error) { return arr(1, "T", 9), nil },
	"9":     func(_, _ []byte, _ xrow.Type) ([]byte, error) { return arr(9, "nine", 9), nil },
	"5":     func(_, _ []byte, _ xrow.Type) ([]byte, error) { return []byte{5}, nil },
	"cut":   func(_, _ []byte, _ xrow.Type) ([]byte, error) { return []byte{0x92, 1}, nil },
	"[1]":   func(_, _ []byte, _ xrow.Type) ([]byte, error) { return arr(1), nil },
	"error": func(_, _ []byte, _ xrow.Type) ([]byte, error) { return nil, errMine },
	"coded": func(_, _ []byte, _ xrow.Type) ([]byte, error) { return nil, xrow.Errorf(xrow.ErrNoSuchUser, "x") },
	"panic": func(_, _ []byte, _ xrow.Type) ([]byte, error) { panic("oops") },
}

// hookCases are what Tarantool 3.8.0 does, but for the texts of foreign errors, and for what
// is not in its power: bytes that are no tuple, and a panic.
var hookCases = []struct {
	op      xrow.DML
	returns string
	saw     string // arguments of before_replace
	on      string // those of on_replace
	left    string // the space
	err     string // code and text
}{
	{insert(512, 2, "b", 0), "new", `nil [2, "b", 0] INSERT`, `nil [2, "b", 0] INSERT`, `[1, "a", 0] [2, "b", 0]`, ""},
	{insert(512, 2, "b", 0), "nil", `nil [2, "b", 0] INSERT`, "", `[1, "a", 0]`, ""},
	{insert(512, 2, "b", 0), "old", `nil [2, "b", 0] INSERT`, "", `[1, "a", 0]`, ""},
	{insert(512, 2, "b", 0), "9", `nil [2, "b", 0] INSERT`, `nil [9, "nine", 9] INSERT`, `[1, "a", 0] [9, "nine", 9]`, ""},
	{insert(512, 1, "x", 0), "T", `[1, "a", 0] [1, "x", 0] INSERT`, `[1, "a", 0] [1, "T", 9] INSERT`, `[1, "T", 9]`, ""},
	{insert(512, 1, "x", 0), "nil", `[1, "a", 0] [1, "x", 0] INSERT`, "", `[1, "a", 0]`, ""},
	{insert(512, 1, "x", 0), "old", `[1, "a", 0] [1, "x", 0] INSERT`, `[1, "a", 0] [1, "a", 0] INSERT`, `[1, "a", 0]`, ""},
	{insert(512, 1, "x", 0), "new", `[1, "a", 0] [1, "x", 0] INSERT`, "", `[1, "a", 0]`,
		`3 Duplicate key exists in unique index "pk" in space "s" with old tuple - [1, "a", 0] and new tuple - [1, "x", 0]`},
	{insert(512, 2, "a", 0), "new", `nil [2, "a", 0] INSERT`, "", `[1, "a", 0]`,
		`3 Duplicate key exists in unique index "sk" in space "s" with old tuple - [1, "a", 0] and new tuple - [2, "a", 0]`},
	{insert(512, 2), "new", "", "", `[1, "a", 0]`, "39 Tuple field 2 (text) required by space format is missing"},

	{replace(512, 1, "x", 0), "new", `[1, "a", 0] [1, "x", 0] REPLACE`, `[1, "a", 0] [1, "x", 0] REPLACE`, `[1, "x", 0]`, ""},
	{replace(512, 2, "b", 0), "new", `nil [2, "b", 0] REPLACE`, `nil [2, "b", 0] REPLACE`, `[1, "a", 0] [2, "b", 0]`, ""},
	{replace(512, 1, "x", 0), "nil", `[1, "a", 0] [1, "x", 0] REPLACE`, `[1, "a", 0] nil REPLACE`, "", ""},
	{replace(512, 1, "x", 0), "old", `[1, "a", 0] [1, "x", 0] REPLACE`, "", `[1, "a", 0]`, ""},
	{replace(512, 1, "x", 0), "T", `[1, "a", 0] [1, "x", 0] REPLACE`, `[1, "a", 0] [1, "T", 9] REPLACE`, `[1, "T", 9]`, ""},
	{replace(512, 1, "x", 0), "9", `[1, "a", 0] [1, "x", 0] REPLACE`, "", `[1, "a", 0]`,
		"94 Attempt to modify a tuple field which is part of primary index in space 's'"},
	{replace(512, 1, "x", 0), "5", `[1, "a", 0] [1, "x", 0] REPLACE`, "", `[1, "a", 0]`,
		"53 Invalid return value of space:before_replace trigger: expected tuple or nil"},
	{replace(512, 1, "x", 0), "cut", `[1, "a", 0] [1, "x", 0] REPLACE`, "", `[1, "a", 0]`,
		"53 Invalid return value of space:before_replace trigger: expected tuple or nil"},
	{replace(512, 1, "x", 0), "[1]", `[1, "a", 0] [1, "x", 0] REPLACE`, "", `[1, "a", 0]`,
		"39 Tuple field 2 (text) required by space format is missing"},
	{replace(512, 1, "x", 0), "error", `[1, "a", 0] [1, "x", 0] REPLACE`, "", `[1, "a", 0]`, "32 mine"},
	{replace(512, 1, "x", 0), "coded", `[1, "a", 0] [1, "x", 0] REPLACE`, "", `[1, "a", 0]`, "45 User 'x' is not found"},
	{replace(512, 1, "x", 0), "panic", `[1, "a", 0] [1, "x", 0] REPLACE`, "", `[1, "a", 0]`, "32 before_replace of space 's' panicked: oops"},

	{upd(512, arr(1), []any{"=", 2, 5}), "new", `[1, "a", 0] [1, "a", 5] UPDATE`, `[1, "a", 0] [1, "a", 5] UPDATE`, `[1, "a", 5]`, ""},
	{upd(512, arr(1), []any{"=", 2, 5}), "nil", `[1, "a", 0] [1, "a", 5] UPDATE`, `[1, "a", 0] nil UPDATE`, "", ""},
	{upd(512, arr(1), []any{"=", 2, 5}), "old", `[1, "a", 0] [1, "a", 5] UPDATE`, "", `[1, "a", 0]`, ""},
	{upd(512, arr(1), []any{"=", 2, 5}), "T", `[1, "a", 0] [1, "a", 5] UPDATE`, `[1, "a", 0] [1, "T", 9] UPDATE`, `[1, "T", 9]`, ""},
	{upd(512, arr(1)), "new", `[1, "a", 0] [1, "a", 0] UPDATE`, `[1, "a", 0] [1, "a", 0] UPDATE`, `[1, "a", 0]`, ""},
	{upd(512, arr(7), []any{"=", 2, 5}), "T", "", "", `[1, "a", 0]`, ""},
	{xrow.DML{Type: xrow.Update, SpaceID: 512, IndexID: 1, Key: arr("a"), Tuple: arr([]any{"=", 2, 5})}, "T",
		`[1, "a", 0] [1, "a", 5] UPDATE`, `[1, "a", 0] [1, "T", 9] UPDATE`, `[1, "T", 9]`, ""},

	{del(512, 1), "new", `[1, "a", 0] nil DELETE`, `[1, "a", 0] nil DELETE`, "", ""},
	{del(512, 1), "old", `[1, "a", 0] nil DELETE`, "", `[1, "a", 0]`, ""},
	{del(512, 1), "T", `[1, "a", 0] nil DELETE`, `[1, "a", 0] [1, "T", 9] DELETE`, `[1, "T", 9]`, ""},
	{del(512, 1), "9", `[1, "a", 0] nil DELETE`, "", `[1, "a", 0]`, "94 Attempt to modify a tuple field which is part of primary index in space 's'"},
	{del(512, 7), "T", "", "", `[1, "a", 0]`, ""},

	{ups(512, arr(1, "q", 0), []any{"=", 2, 5}), "new", `[1, "a", 0] [1, "a", 5] UPSERT`, `[1, "a", 0] [1, "a", 5] UPSERT`, `[1, "a", 5]`, ""},
	{ups(512, arr(1, "q", 0), []any{"=", 2, 5}), "old", `[1, "a", 0] [1, "a", 5] UPSERT`, "", `[1, "a", 0]`, ""},
	{ups(512, arr(1, "q", 0), []any{"=", 2, 5}), "T", `[1, "a", 0] [1, "a", 5] UPSERT`, `[1, "a", 0] [1, "T", 9] UPSERT`, `[1, "T", 9]`, ""},
	{ups(512, arr(5, "q", 0), []any{"=", 2, 5}), "new", `nil [5, "q", 0] UPSERT`, `nil [5, "q", 0] UPSERT`, `[1, "a", 0] [5, "q", 0]`, ""},
	{ups(512, arr(5, "q", 0), []any{"=", 2, 5}), "T", `nil [5, "q", 0] UPSERT`, `[1, "a", 0] [1, "T", 9] UPSERT`, `[1, "T", 9]`, ""},
	{ups(512, arr(1, "q", 0), []any{"=", "nofield", 5}), "new", "", "", `[1, "a", 0]`, "201 Field 'nofield' was not found in the tuple"},
}

// hookError is code and text.
func (w *world) hookError(err error) string {
	var e *xrow.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &e):
		return err.Error()
	}
	return fmt.Sprintf("%d %s", e.Code, e.Message)
}

// content is what readers see of the space.
func (w *world) content() string { return w.sel(512, 0, ALL) }

// follow carries the rows of the space's transactions out on a box without hooks.
func follow(t *testing.T, rows []LogRow) string {
	w := hookWorld(t, nil)
	w.b.config.Hooks = nil
	w.do(func(x *Txn) error {
		for i := range rows {
			if err := x.Apply(&rows[i].DML); err != nil {
				return err
			}
		}
		return nil
	})
	return w.content()
}

// Functions see and change statements as in Tarantool: of transactions of one statement, and
// of drafts, before COMMIT and behind it. Rows leave the same to who has no functions.
func TestHooks(t *testing.T) {
	for i, test := range hookCases {
		for _, way := range []string{"alone", "draft"} {
			var saw, on []string
			told := func(list *[]string, old, new []byte, op xrow.Type) {
				*list = append(*list, hookText(old)+" "+hookText(new)+" "+op.String())
			}
			w := hookWorld(t, &Hooks{
				Before: []BeforeReplace{func(old, new []byte, op xrow.Type) ([]byte, error) {
					told(&saw, old, new, op)
					return hookReturns[test.returns](old, new, op)
				}},
				On: []OnReplace{func(old, new []byte, op xrow.Type) error {
					told(&on, old, new, op)
					return nil
				}},
			})
			var rows []LogRow
			var err error
			if way == "alone" {
				rows, err = w.logged(test.op)
			} else {
				rows, err = w.drafted(t, test.op, test.left)
			}
			got := fmt.Sprintf("saw %s, on %s, left %s, error %s", strings.Join(saw, "; "), strings.Join(on, "; "), w.content(), w.hookError(err))
			if want := fmt.Sprintf("saw %s, on %s, left %s, error %s", test.saw, test.on, test.left, test.err); got != want {
				t.Errorf("%d, %s: %v, returns %s\n got %s\nwant %s", i, way, test.op.Type, test.returns, got, want)
			}
			if test.returns == "error" && !errors.Is(err, errMine) {
				t.Errorf("the cause is lost: %v", err)
			}
			if got := follow(t, rows); got != test.left {
				t.Errorf("%d, %s: a follower has %s, want %s", i, way, got, test.left)
			}
		}
	}
}

// logged executes a statement, and gives what is logged of it.
func (w *world) logged(d xrow.DML) (rows []LogRow, err error) {
	w.seq++
	x := w.b.Begin(w.seq)
	if _, err := x.Execute(UserAdmin, &d); err != nil {
		x.Abort()
		return nil, err
	}
	return w.confirmed(x), nil
}

func (w *world) confirmed(x *Txn) (rows []LogRow) {
	for _, r := range x.Rows() {
		r.DML.Key, r.DML.Tuple, r.DML.Ops = bytes.Clone(r.DML.Key), bytes.Clone(r.DML.Tuple), bytes.Clone(r.DML.Ops)
		rows = append(rows, r)
	}
	x.Prepare()
	w.b.Confirm(w.seq)
	return rows
}

// drafted executes a statement in a draft, looks at what that sees, and commits it.
func (w *world) drafted(t *testing.T, d xrow.DML, left string) ([]LogRow, error) {
	t.Helper()
	before := w.content()
	draft := w.b.NewDraft(0)
	if err := draft.Forward(true); err != nil {
		t.Fatal(err)
	}
	_, err := draft.Execute(UserAdmin, &d)
	out, n, e := draft.Query(UserAdmin, &Query{Space: 512, Iterator: ALL, Key: arr(), Limit: 100}, nil)
	if e != nil {
		t.Fatal(e)
	}
	if got := tuplesText(t, out, n); got != left {
		t.Errorf("%v: the draft sees %s, want %s", d.Type, got, left)
	}
	if got := w.content(); got != before {
		t.Errorf("%v: others see %s", d.Type, got)
	}
	w.seq++
	x := w.b.Begin(w.seq)
	if e := draft.Commit(x); e != nil {
		t.Fatal(e)
	}
	return w.confirmed(x), err
}

// An error of on_replace undoes its statement and no other.
func TestOnReplaceFails(t *testing.T) {
	for _, fails := range []OnReplace{
		func(_, _ []byte, _ xrow.Type) error { return errMine },
		func(_, _ []byte, _ xrow.Type) error { panic("oops") },
	} {
		armed := false
		w := hookWorld(t, &Hooks{On: []OnReplace{func(old, new []byte, op xrow.Type) error {
			if !armed {
				return nil
			}
			return fails(old, new, op)
		}}})
		ops := []xrow.DML{insert(512, 3, "c", 0), replace(512, 1, "x", 0), upd(512, arr(1), []any{"=", 2, 5}), del(512, 1), ups(512, arr(1, "q", 0), []any{"=", 2, 5}), del(512, 2), replace(512, 2, "x", 0)}
		try := func(what string, execute func(d *xrow.DML) error, see func() string) {
			armed = false
			d := insert(512, 2, "b", 0)
			if err := execute(&d); err != nil {
				t.Fatal(err)
			}
			armed = true
			for _, d := range ops {
				if err := execute(&d); err == nil || codeOf(err) != uint32(xrow.ErrProcLua) {
					t.Errorf("%s, %v: %v", what, d.Type, err)
				}
				if got := see(); got != `[1, "a", 0] [2, "b", 0]` {
					t.Errorf("%s, %v: left %s", what, d.Type, got)
				}
			}
		}
		draft := w.b.NewDraft(0)
		forth := func() {
			if err := draft.Forward(true); err != nil {
				t.Fatal(err)
			}
		}
		try("draft", func(d *xrow.DML) error {
			forth()
			_, err := draft.Execute(UserAdmin, d)
			return err
		}, func() string {
			forth()
			out, n, err := draft.Query(UserAdmin, &Query{Space: 512, Iterator: ALL, Key: arr(), Limit: 100}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return tuplesText(t, out, n)
		})
		draft.Close()
		w.seq++
		x := w.b.Begin(w.seq)
		try("transaction", func(d *xrow.DML) error {
			_, err := x.Execute(UserAdmin, d)
			return err
		}, func() string {
			out, n, err := x.Query(UserAdmin, &Query{Space: 512, Iterator: ALL, Key: arr(), Limit: 100}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return tuplesText(t, out, n)
		})
		if rows := x.Rows(); len(rows) != 1 {
			t.Errorf("%d rows", len(rows))
		}
		x.Prepare()
		w.b.Confirm(w.seq)
		if got := w.content(); got != `[1, "a", 0] [2, "b", 0]` {
			t.Errorf("left %s", got)
		}
	}
}

// Functions run one behind the other: each sees what the one before has left, and may do to its
// arguments what it likes.
func TestHooksInOrder(t *testing.T) {
	var order []string
	spoil := func(b []byte) {
		for i := range b {
			b[i] = 0xc1
		}
	}
	before := func(name string) BeforeReplace {
		return func(old, new []byte, _ xrow.Type) ([]byte, error) {
			order = append(order, name+" "+hookText(new))
			spoil(old)
			spoil(new)
			return arr(1, name, 0), nil
		}
	}
	on := func(name string) OnReplace {
		return func(old, new []byte, _ xrow.Type) error {
			order = append(order, name+" "+hookText(old)+" "+hookText(new))
			spoil(old)
			spoil(new)
			return nil
		}
	}
	w := hookWorld(t, &Hooks{Before: []BeforeReplace{before("b1"), before("b2")}, On: []OnReplace{on("o1"), on("o2")}})
	w.must(replace(512, 1, "x", 0))
	got := strings.Join(order, "; ")
	if want := `b1 [1, "x", 0]; b2 [1, "b1", 0]; o1 [1, "a", 0] [1, "b2", 0]; o2 [1, "a", 0] [1, "b2", 0]`; got != want || w.content() != `[1, "b2", 0]` {
		t.Errorf("%s\nleft %s", got, w.content())
	}
}

// Rows of peers and of the node itself, and system spaces, run no functions.
func TestNoHooks(t *testing.T) {
	fails := &Hooks{On: []OnReplace{func(_, _ []byte, _ xrow.Type) error { return errMine }}}
	w := hookWorld(t, fails)
	w.b.config.Hooks["_space"] = fails
	w.do(func(x *Txn) error {
		d := replace(512, 1, "row", 0)
		own := replace(512, 2, "own", 0)
		return errors.Join(x.Apply(&d), x.ExecuteInternal(&own))
	})
	if got := w.content(); got != `[1, "row", 0] [2, "own", 0]` {
		t.Error(got)
	}
	w.space(513, "other", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(513, 1))
	_, err := w.run(replace(512, 1, "x", 0))
	wantError(t, err, xrow.ErrProcLua, "mine")
}

// What a function has seen is read by its transaction: another one that changes that first wins.
func TestHooksSeeWhatIsTracked(t *testing.T) {
	w := hookWorld(t, &Hooks{On: []OnReplace{func(_, _ []byte, _ xrow.Type) error { return nil }}})
	draft := w.b.NewDraft(0)
	if err := draft.Forward(true); err != nil {
		t.Fatal(err)
	}
	d := replace(512, 1, "draft", 0) // alone it stands on nothing
	if _, err := draft.Execute(UserAdmin, &d); err != nil {
		t.Fatal(err)
	}
	w.must(replace(512, 1, "other", 0))
	w.seq++
	x := w.b.Begin(w.seq)
	wantError(t, draft.Commit(x), xrow.ErrTransactionConflict, "")
	x.Abort()
	if got := w.content(); got != `[1, "other", 0]` {
		t.Error(got)
	}
}
