package tarragon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon"

	"github.com/rs/zerolog"
)

// patience bounds what a test waits for: a broken server, not a slow machine.
const patience = time.Minute

// logs is shown where a test fails.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// open opens an instance on its own in a directory, until the end of the test.
func open(t testing.TB, dir string, options ...string) *tarragon.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := tarragon.Config{Dir: dir, Options: map[string]string{}}
	for i := 0; i+1 < len(options); i += 2 {
		c.Options[options[i]] = options[i+1]
	}
	var out logs
	c.Log = zerolog.New(&out)
	db, err := tarragon.Open(ctx, c)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.b.String())
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", dir, out.b.String())
		}
	})
	return db
}

// space makes a space with the fields id and text, of which the first is the key.
func space(t testing.TB, db *tarragon.DB, name string) tarragon.Space {
	t.Helper()
	call(t, db.Session, "box.schema.space.create", name, map[string]any{"is_sync": true})
	call(t, db.Session, "box.space."+name+":create_index", "pk")
	return db.Space(name)
}

func call(t testing.TB, s *tarragon.Session, name string, args ...any) tarragon.Tuple {
	t.Helper()
	out, err := s.Call(t.Context(), name, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

type row struct {
	ID   int
	Text string
}

func insert(t testing.TB, s tarragon.Space, ids ...int) {
	t.Helper()
	for _, id := range ids {
		if _, err := s.Insert(t.Context(), row{ID: id, Text: fmt.Sprint("row ", id)}); err != nil {
			t.Fatal(err)
		}
	}
}

func count(t testing.TB, s tarragon.Space) int {
	t.Helper()
	all, err := tarragon.Select[tarragon.Tuple](t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// What cannot be opened says why, and leaves nothing behind.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		c    tarragon.Config
		want string
	}{
		{tarragon.Config{}, "one of Dir, File and Resolved"},
		{tarragon.Config{Dir: dir, File: file}, "one of Dir, File and Resolved"},
		{tarragon.Config{Dir: dir, Options: map[string]string{"no.such": "1"}}, "no.such"},
		{tarragon.Config{Dir: filepath.Join(file, "below")}, "file"},
		{tarragon.Config{File: filepath.Join(dir, "none.yaml"), Instance: "a"}, "none.yaml"},
	} {
		db, err := tarragon.Open(t.Context(), test.c)
		if db != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.c, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := tarragon.Open(ended, tarragon.Config{Dir: filepath.Join(dir, "a")})
	wantErr(t, err, context.Canceled)
	open(t, filepath.Join(dir, "a")) // it was closed

	if _, err := tarragon.Open(t.Context(), tarragon.Config{Dir: filepath.Join(dir, "a")}); err == nil {
		t.Error("a directory that another instance has")
	}
}

// A tuple comes back as it went in, by each way to it.
func TestReadAndWrite(t *testing.T) {
	db, ctx := open(t, t.TempDir()), t.Context()
	s := space(t, db, "s")
	insert(t, s, 3, 1, 2)
	call(t, db.Session, "box.space.s:create_index", "text", map[string]any{"parts": []any{[]any{2, "string"}}})

	texts := func(want string, from tarragon.Source, key any, opts ...tarragon.ReadOption) {
		t.Helper()
		rows, err := tarragon.Select[row](ctx, from, key, opts...)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprint(r.ID))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
	texts("1 2 3", s, nil)
	texts("2", s, 2)
	texts("2", s, tarragon.Key{2})
	texts("", s, 9)
	texts("3", s.Index("text"), "row 3")
	texts("2 3", s, 2, tarragon.By(tarragon.GE))
	texts("2 1", s, 2, tarragon.By(tarragon.LE))
	texts("2", s, nil, tarragon.Offset(1), tarragon.Limit(1))
	texts("1 2 3", s, nil, tarragon.Linearizable())

	changed, err := s.Update(ctx, 2, tarragon.Assign(1, "two"), tarragon.InsertField(2, "more"))
	var fields []any
	if err == nil {
		err = changed.Decode(&fields)
	}
	if err != nil || fmt.Sprint(fields) != "[2 two more]" {
		t.Errorf("%v, %v", fields, err)
	}
	if _, err := s.Index("text").Update(ctx, "two", tarragon.Splice(1, 0, 3, "zwei"), tarragon.DeleteFields(2, 1)); err != nil {
		t.Error(err)
	}
	if r, ok, err := tarragon.Get[row](ctx, s, 2); !ok || err != nil || r.Text != "zwei" {
		t.Errorf("%v, %v, %v", r, ok, err)
	}
	if _, ok, err := tarragon.Get[row](ctx, s, 7); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	for _, n := range []int{5, 6} { // adds it, then changes it
		if err := s.Upsert(ctx, []any{4, "new", n}, tarragon.Assign(2, n), tarragon.Add(2, 1)); err != nil {
			t.Error(err)
		}
	}
	last, ok, err := tarragon.Get[[]int8](ctx, s, 4)
	if err == nil || ok {
		t.Errorf("a text as a number: %v", last)
	}
	gone, err := s.Delete(ctx, 4)
	if err != nil || gone == nil {
		t.Errorf("%v, %v", gone, err)
	}
	if gone, err = s.Delete(ctx, 4); err != nil || gone != nil {
		t.Errorf("what is not there: %v, %v", gone, err)
	}
	if r, err := s.Replace(ctx, row{ID: 1, Text: "one"}); err != nil || r == nil {
		t.Errorf("%v, %v", r, err)
	}
}

// What cannot be sent, or is not there, is an error that names it.
func TestBadInput(t *testing.T) {
	db, ctx := open(t, t.TempDir()), t.Context()
	s := space(t, db, "s")
	insert(t, s, 1)
	for what, err := range map[string]error{
		"a tuple is an array":                 second(s.Insert(ctx, map[string]int{"id": 1})),
		"unsupported chan int":                second(s.Insert(ctx, []any{make(chan int)})),
		"unsupported func()":                  second(s.Delete(ctx, func() {})),
		"Space 'none' does not exist":         second(db.Space("none").Insert(ctx, []any{1})),
		"No index 'none' is defined":          second(tarragon.Select[row](ctx, s.Index("none"), 1)),
		"Supplied key type of part 0":         second(tarragon.Select[row](ctx, s, "text")),
		"as int":                              second(tarragon.Select[int](ctx, s, nil)),
		"Procedure 'none' is not defined":     second(db.Call(ctx, "none")),
		"Tuple field 1 required":              second(s.Insert(ctx, []any{})),
		"no tuple to decode":                  tarragon.Tuple(nil).Decode(new(int)),
		"Duplicate key exists in unique":      second(s.Insert(ctx, row{ID: 1})),
		"Field 8 was not found in the tuple":  second(s.Update(ctx, 1, tarragon.Add(7, 1))),
		"Linearizable is no option of a read": inTx(ctx, db, tarragon.Linearizable()),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := s.Insert(ctx, row{ID: 1})
	if f := tarragon.Fields(fmt.Errorf("wrapped: %w", err)); f["space"] != "s" || f["index"] != "pk" {
		t.Errorf("%v", f)
	}
	if f := tarragon.Fields(errors.New("other")); f != nil {
		t.Errorf("%v", f)
	}
}

func second[T any](_ T, err error) error { return err }

func inTx(ctx context.Context, db *tarragon.DB, o tarragon.ReadOption) error {
	return db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		return second(tarragon.Select[row](ctx, tx.Space("s"), nil, o))
	})
}

var errRollback = errors.New("roll it back")

// Pages give each tuple once, in order.
func TestPages(t *testing.T) {
	db, ctx := open(t, t.TempDir()), t.Context()
	s := space(t, db, "s")
	const n = 2500
	err := db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		for id := range n {
			if _, err := tx.Space("s").Insert(ctx, row{ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		opts []tarragon.ReadOption
		from int
		want int
	}{
		{nil, 0, n},
		{[]tarragon.ReadOption{tarragon.Limit(2100)}, 0, 2100},
		{[]tarragon.ReadOption{tarragon.Limit(1000)}, 0, 1000},
		{[]tarragon.ReadOption{tarragon.Limit(0)}, 0, 0},
		{[]tarragon.ReadOption{tarragon.Offset(7), tarragon.Limit(1500)}, 7, 1500},
	} {
		at := test.from
		for r, err := range tarragon.All[row](ctx, s, nil, test.opts...) {
			if err != nil || r.ID != at {
				t.Fatalf("%v, %v behind %d", r, err, at)
			}
			at++
		}
		if at-test.from != test.want {
			t.Errorf("%d of %d", at-test.from, test.want)
		}
	}
	err = db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		s := tx.Space("s")
		if _, err := s.Delete(ctx, 1); err != nil {
			return err
		}
		for limit, want := range map[uint32]int{5: 5, 31: 31, 32: 32, 33: 33, n: n - 1} { // at once, or in slices
			rows, err := tarragon.Select[row](ctx, s, nil, tarragon.Limit(limit))
			if err != nil || len(rows) != want || rows[1].ID != 2 {
				t.Errorf("%d of %d: %v", len(rows), want, err)
			}
		}
		if _, pos, err := tarragon.Page[row](ctx, s, nil, tarragon.Limit(3)); pos == nil || err != nil {
			t.Errorf("%v, %v", pos, err)
		}
		if _, ok, err := tarragon.Get[row](ctx, s, 1); ok || err != nil {
			t.Errorf("what it has deleted: %v", err)
		}
		return errRollback
	})
	wantErr(t, err, errRollback)
	for r, err := range tarragon.All[row](ctx, s, nil) {
		if r.ID == 3 || err != nil {
			break
		}
	}
	var pos tarragon.Position
	got := 0
	for {
		rows, next, err := tarragon.Page[row](ctx, s, nil, tarragon.Limit(400), tarragon.After(pos))
		if err != nil {
			t.Fatal(err)
		}
		if got += len(rows); len(rows) == 0 {
			break
		}
		pos = next
	}
	if got != n {
		t.Errorf("%d", got)
	}
	for _, err := range tarragon.All[row](ctx, db.Space("none"), nil) {
		wantErr(t, err, tarragon.ErrNoSuchSpace)
	}
	ended, end := context.WithCancel(ctx)
	end()
	_, err = tarragon.Select[row](ended, s, nil)
	wantErr(t, err, context.Canceled)
}

// A session has the rights of its user.
func TestAs(t *testing.T) {
	db, ctx := open(t, t.TempDir()), t.Context()
	space(t, db, "s")
	space(t, db, "secret")
	call(t, db.Session, "box.schema.user.create", "u")
	call(t, db.Session, "box.schema.user.grant", "u", "read,write", "space", "s")
	u, err := db.As("u")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	insert(t, u.Space("s"), 1)
	_, err = u.Space("secret").Insert(ctx, row{ID: 1})
	wantErr(t, err, tarragon.ErrAccessDenied)
	wantErr(t, second(tarragon.Select[row](ctx, u.Space("secret"), nil)), tarragon.ErrAccessDenied)
	wantErr(t, second(u.Call(ctx, "box.schema.space.create", "x")), tarragon.ErrAccessDenied)
	call(t, db.Session, "box.schema.user.drop", "u")
	call(t, db.Session, "box.schema.user.create", "u")
	call(t, db.Session, "box.schema.user.grant", "u", "read,write", "space", "s")
	if _, err := u.Space("s").Insert(ctx, row{ID: 2}); err == nil {
		t.Error("another user of the same name lends its rights")
	}
	if _, err := db.As("none"); err == nil {
		t.Error("a session of nobody")
	}
}

// Two instances in one process have nothing to do with each other.
func TestTwoDBs(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	insert(t, space(t, a, "s"), 1, 2)
	insert(t, space(t, b, "s"), 3)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, b.Space("s")); n != 1 {
		t.Errorf("%d rows", n)
	}
	insert(t, b.Space("s"), 4)
}

// Close answers all that waits; behind it there is nothing but one error. What was
// acknowledged is there when it is opened again.
func TestClose(t *testing.T) {
	dir := t.TempDir()
	db, ctx := open(t, dir), t.Context()
	s := space(t, db, "s")
	tx, err := db.Begin(ctx, tarragon.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	insert(t, tx.Space("s"), 1<<30)
	const writers = 8
	var wg sync.WaitGroup
	begun := make(chan struct{}, writers)
	acked := make([]int, writers)
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := s.Insert(context.Background(), row{ID: w + i*writers})
				if i == 0 {
					begun <- struct{}{}
				}
				if err == nil {
					acked[w] = i + 1
					continue
				}
				if !errors.Is(err, tarragon.ErrShutdown) && !errors.Is(err, tarragon.ErrReadonly) {
					t.Errorf("%v", err)
				}
				return
			}
		})
	}
	wg.Go(func() {
		err := second(db.Call(context.Background(), "box.ctl.wait_ro", 3600))
		if err != nil && !errors.Is(err, tarragon.ErrShutdown) { // it may have become so
			t.Errorf("%v", err)
		}
	})
	for range writers {
		<-begun
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	<-db.Done()
	wantErr(t, second(s.Insert(ctx, row{ID: 1})), tarragon.ErrShutdown)
	wantErr(t, second(tarragon.Select[row](ctx, s, nil)), tarragon.ErrShutdown)
	wantErr(t, second(db.Call(ctx, "box.info")), tarragon.ErrShutdown)
	wantErr(t, second(db.As("admin")), tarragon.ErrShutdown)
	wantErr(t, second(db.Begin(ctx, tarragon.TxOptions{})), tarragon.ErrShutdown)
	wantErr(t, second(tarragon.Select[row](ctx, tx.Space("s"), nil)), tarragon.ErrShutdown)
	wantErr(t, tx.Commit(ctx), tarragon.ErrShutdown)
	db.Session.Close()

	again := open(t, dir)
	for w, n := range acked {
		for i := range n {
			if _, ok, err := tarragon.Get[row](ctx, again.Space("s"), w+i*writers); !ok || err != nil {
				t.Fatalf("row %d of writer %d was acknowledged: %v", i, w, err)
			}
		}
	}
	if _, ok, _ := tarragon.Get[row](ctx, again.Space("s"), 1<<30); ok {
		t.Error("what was never committed")
	}
}
