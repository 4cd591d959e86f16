package box

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

const (
	testReplicaset = "aaaaaaaa-0000-4000-8000-00000000000a"
	testInstance   = "11111111-0000-4000-8000-000000000001"
)

// arr encodes an array; raw bytes go in as they are.
func arr(vals ...any) []byte {
	b := msgp.AppendArrayHeader(nil, uint32(len(vals)))
	for _, v := range vals {
		b = appendAny(b, v)
	}
	return b
}

type raw []byte

func appendAny(b []byte, v any) []byte {
	switch v := v.(type) {
	case raw:
		return append(b, v...)
	case []any:
		return append(b, arr(v...)...)
	case int:
		if v >= 0 {
			return msgp.AppendUint64(b, uint64(v)) // a positive number in a signed encoding does not fit "unsigned"
		}
		return msgp.AppendInt(b, v)
	}
	b, err := msgp.AppendIntf(b, v)
	if err != nil {
		panic(err)
	}
	return b
}

type m = map[string]any

// world is a box with the next transaction number.
type world struct {
	t   testing.TB
	b   *Box
	seq uint64
}

func newWorld(t testing.TB) *world { return newWorldIn(t, newPoisoned(t)) }

func newWorldIn(t testing.TB, pages Pages) *world {
	w := &world{t: t, b: New(Config{Pages: pages})}
	w.do(func(x *Txn) error {
		for _, d := range BootstrapRows(Profile3_8_0, testReplicaset, testInstance, "i-001", "") {
			if err := x.ExecuteInternal(&d); err != nil {
				return fmt.Errorf("%v %s: %w", d.SpaceID, tupleText(d.Tuple), err)
			}
		}
		return nil
	})
	return w
}

// do runs and confirms a transaction.
func (w *world) do(f func(*Txn) error) {
	w.t.Helper()
	w.prepare(f)
	w.b.Confirm(w.seq)
	for w.b.Work(10) {
	}
}

func (w *world) prepare(f func(*Txn) error) *Txn {
	w.t.Helper()
	w.seq++
	x := w.b.Begin(w.seq)
	if err := f(x); err != nil {
		w.t.Fatal(err)
	}
	x.Prepare()
	return x
}

// run executes one statement as admin in a confirmed transaction.
func (w *world) run(d xrow.DML) (res []byte, err error) {
	return w.as(UserAdmin, d)
}

func (w *world) as(user uint32, d xrow.DML) (res []byte, err error) {
	w.seq++
	x := w.b.Begin(w.seq)
	res, err = x.Execute(w.creds(user), &d)
	if err != nil {
		x.Abort()
		return nil, err
	}
	res = append([]byte(nil), res...)
	x.Prepare()
	w.b.Confirm(w.seq)
	for w.b.Work(10) {
	}
	return res, nil
}

// creds are those of whoever has the number now.
func (w *world) creds(user uint32) Credentials {
	c, _ := w.b.head.Credentials(user)
	return c
}

func (w *world) must(d xrow.DML) string {
	w.t.Helper()
	res, err := w.run(d)
	if err != nil {
		w.t.Fatalf("%v: %v", d.Type, err)
	}
	if res == nil {
		return ""
	}
	return tupleText(res)
}

func insert(space uint32, vals ...any) xrow.DML {
	return xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: arr(vals...)}
}
func replace(space uint32, vals ...any) xrow.DML {
	return xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: arr(vals...)}
}
func del(space uint32, key ...any) xrow.DML {
	return xrow.DML{Type: xrow.Delete, SpaceID: space, Key: arr(key...)}
}
func upd(space uint32, key []byte, ops ...any) xrow.DML {
	return xrow.DML{Type: xrow.Update, SpaceID: space, Key: key, Tuple: arr(ops...)}
}
func ups(space uint32, tuple []byte, ops ...any) xrow.DML {
	return xrow.DML{Type: xrow.Upsert, SpaceID: space, Tuple: tuple, Ops: arr(ops...)}
}

// space creates a space and its indexes: rows of _index without the space id.
func (w *world) space(id uint32, name string, flags m, format []any, indexes ...[]any) {
	w.t.Helper()
	w.do(func(x *Txn) error {
		d := insert(xrow.SpaceSpace, id, 1, name, "memtx", 0, flags, format)
		if _, err := x.Execute(UserAdmin, &d); err != nil {
			return err
		}
		for _, ix := range indexes {
			d := insert(xrow.SpaceIndex, append([]any{id}, ix...)...)
			if _, err := x.Execute(UserAdmin, &d); err != nil {
				return err
			}
		}
		return nil
	})
}

func pkIndex(parts ...any) []any { return []any{0, "pk", "tree", m{"unique": true}, parts} }

// sel reads as admin and prints the tuples.
func (w *world) sel(space, index, iterator uint32, key ...any) string {
	w.t.Helper()
	return w.query(&Query{Space: space, Index: index, Iterator: iterator, Key: arr(key...), Limit: 1 << 30})
}

func (w *world) query(q *Query) string {
	w.t.Helper()
	out, n, err := w.b.Select(UserAdmin, q, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return tuplesText(w.t, out, n)
}

func tuplesText(t testing.TB, out []byte, n int) string {
	t.Helper()
	var all []string
	for at := 0; at < len(out); {
		end := mp.Skip(out, at)
		all = append(all, tupleText(out[at:end]))
		at = end
	}
	if len(all) != n {
		t.Fatalf("n = %d, tuples %v", n, all)
	}
	return strings.Join(all, " ")
}

func wantError(t *testing.T, err error, code xrow.Code, message string) {
	t.Helper()
	var e *xrow.Error
	if !errors.As(err, &e) || e.Code != code || message != "" && e.Message != message {
		t.Errorf("got %v (%v)\nwant %d %s", err, codeOf(err), code, message)
	}
}

func codeOf(err error) any {
	var e *xrow.Error
	if errors.As(err, &e) {
		return uint32(e.Code)
	}
	return nil
}

func TestBootstrap(t *testing.T) {
	w := newWorld(t)
	if got := w.b.ReplicasetUUID(); got != testReplicaset {
		t.Errorf("replicaset uuid %q", got)
	}
	if got := fmt.Sprint(w.b.Members()); got != "[{1 "+testInstance+" i-001 0 false}]" {
		t.Errorf("members %s", got)
	}
	if got := w.sel(281, 2, EQ, "_schema"); !strings.HasPrefix(got, `[272, 1, "_schema", "memtx", 0, {}, [{"type": "string", "name": "key"}`) {
		t.Errorf("_vspace: %s", got)
	}
	u, ok := w.b.UserByName("guest")
	if !ok || len(u.Hash) != 20 || u.ID != UserGuest {
		t.Errorf("guest: %+v", u)
	}
	// What guest sees of a default database.
	out, n, err := w.b.Select(UserGuest, &Query{Space: 281, Limit: 100, Key: arr()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for at := 0; at < len(out); at = mp.Skip(out, at) {
		id, _ := uintOf((&walker{b: out[at:]}).field(0))
		ids = append(ids, fmt.Sprint(id))
	}
	if got := strings.Join(ids, ","); got != "277,281,286,289,297,305,313,330,341,380" {
		t.Errorf("guest sees %d: %s", n, got)
	}
}

func TestBasics(t *testing.T) {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	if got := w.must(insert(512, 1, "a")); got != `[1, "a"]` {
		t.Error(got)
	}
	_, err := w.run(insert(512, 1, "b"))
	wantError(t, err, xrow.ErrTupleFound, `Duplicate key exists in unique index "pk" in space "t" with old tuple - [1, "a"] and new tuple - [1, "b"]`)
	if got := w.must(replace(512, 1, "b")); got != `[1, "b"]` {
		t.Error(got)
	}
	if got := w.must(upd(512, arr(1), []any{"=", 1, "c"}, []any{"!", -1, 5})); got != `[1, "c", 5]` {
		t.Error(got)
	}
	if got := w.must(ups(512, arr(2, "x", 1), []any{"+", 2, 1})); got != "" {
		t.Error(got)
	}
	w.must(ups(512, arr(2, "x", 1), []any{"+", 2, 1}))
	if got := w.sel(512, 0, ALL); got != `[1, "c", 5] [2, "x", 2]` {
		t.Error(got)
	}
	if got := w.must(del(512, 1)); got != `[1, "c", 5]` {
		t.Error(got)
	}
	if got := w.must(del(512, 1)); got != "" {
		t.Error(got)
	}
	if got := w.sel(512, 0, ALL); got != `[2, "x", 2]` {
		t.Error(got)
	}
}
