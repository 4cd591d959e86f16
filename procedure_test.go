package tarragon_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
)

// item is a tuple of the space "s".
type item struct {
	ID   uint64
	Text string
}

// withProcedures opens an instance that listens, with procedures and the space "s", and a
// connection to it.
func withProcedures(t *testing.T, all ...tarragon.Procedure) (*tarragon.DB, *tarantool.Connection) {
	t.Helper()
	addr, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	db, err := tarragon.Open(ctx, tarragon.Config{Dir: t.TempDir(), Options: map[string]string{"iproto.listen": addr}, Procedures: all})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range [][]any{{"box.schema.space.create", "s"}, {"box.space.s:create_index", "pk"},
		{"box.schema.user.create", "app", map[string]any{"password": "a"}}, {"box.schema.user.grant", "app", "execute,read,write", "universe"}} {
		if _, err := db.Call(ctx, c[0].(string), c[1:]...); err != nil {
			t.Fatal(c, err)
		}
	}
	conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: addr, User: "app", Password: "a"}, tarantool.Opts{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return db, conn
}

func wantCode(t testing.TB, err error, code tarragon.Code, text string) {
	t.Helper()
	var e tarantool.Error
	if !errors.As(err, &e) || tarragon.Code(e.Code) != code || !strings.HasPrefix(e.Msg, text) {
		t.Errorf("got %v, want %d %s", err, code, text)
	}
}

// A procedure has the typed requests of a transaction, its arguments and results are values
// of Go, and what goes wrong with them has a code.
func TestProcedure(t *testing.T) {
	var ends error
	put := func(ctx context.Context, tx *tarragon.Tx, args tarragon.Args) ([]any, error) {
		i := item{Text: "none"}
		if err := args.Decode(&i.ID, &i.Text); err != nil {
			return nil, err
		}
		if _, err := tx.Space("s").Replace(ctx, i); err != nil {
			return nil, err
		}
		ends = errors.Join(tx.Commit(ctx), tx.Rollback())
		seen, ok, err := tarragon.Get[item](ctx, tx.Space("s"), i.ID)
		return []any{args.Len(), ok, seen, tarragon.CallOf(ctx).Name + " by " + tarragon.CallOf(ctx).User}, err
	}
	result := func(v any) tarragon.ProcedureFunc {
		return func(context.Context, *tarragon.Tx, tarragon.Args) ([]any, error) { return []any{v}, nil }
	}
	tarragon.RegisterVersion("global", 3, func(ctx context.Context, tx *tarragon.Tx, _ tarragon.Args) ([]any, error) {
		out, err := tx.Call(ctx, "put", 7, "nested")
		return []any{out}, err
	})
	db, conn := withProcedures(t, tarragon.Procedure{Name: "put", Func: put}, tarragon.Procedure{Name: "channel", Func: result(make(chan int))},
		tarragon.Procedure{Name: "inside", Func: result(map[string]any{"f": func() {}})}, tarragon.Procedure{Name: "broken", Func: result(tarragon.Tuple{0xc1})},
		tarragon.Procedure{Name: "push", Func: func(ctx context.Context, _ *tarragon.Tx, _ tarragon.Args) ([]any, error) {
			return nil, tarragon.CallOf(ctx).Push("pushed")
		}})
	for _, c := range []struct {
		name string
		args []any
		want string
	}{
		{"put", []any{1, "one"}, "[2 true map[ID:1 Text:one] put by app]"},
		{"put", []any{2}, "[1 true map[ID:2 Text:none] put by app]"},
		{"put", []any{3, "three", "more"}, "[3 true map[ID:3 Text:three] put by app]"},
		{"global", nil, "[[2 true map[ID:7 Text:nested] put by app]]"},
	} {
		got, err := conn.Do(tarantool.NewCallRequest(c.name).Args(append([]any{}, c.args...))).Get()
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s %v: %v, %v; want %s", c.name, c.args, got, err, c.want)
		}
	}
	if ends == nil || strings.Count(ends.Error(), "ends it by what it returns") != 2 {
		t.Errorf("a procedure ends its transaction: %v", ends)
	}
	for name, text := range map[string]string{
		"channel": "msgpack.encode: can not encode Go type 'chan int'",
		"inside":  "msgpack.encode: can not encode Go type 'map[string]interface {}'",
		"broken":  "msgpack.encode: can not encode Go type 'tarragon.Tuple'",
	} {
		_, err := conn.Do(tarantool.NewCallRequest(name)).Get()
		wantCode(t, err, xrow.ErrProcRet, text)
	}
	_, err := conn.Do(tarantool.NewCallRequest("put").Args([]any{"x"})).Get()
	wantCode(t, err, xrow.ErrIllegalParams, "argument 1: ")
	future := conn.Do(tarantool.NewCallRequest("push"))
	//lint:ignore SA1019 clients read what is pushed by it, for as long as it is there
	it := future.GetIterator().WithTimeout(patience)
	if !it.Next() {
		t.Fatal(it.Err())
	}
	if v, err := it.Value().Decode(); err != nil || fmt.Sprint(v) != "[pushed]" {
		t.Errorf("pushed %v, %v", v, err)
	}
	out, err := db.Call(t.Context(), "put", 4, "four")
	var values []any
	if err == nil {
		err = out.Decode(&values)
	}
	if err != nil || fmt.Sprint(values) != "[2 true map[ID:4 Text:four] put by admin]" {
		t.Errorf("without a socket: %v, %v", values, err)
	}
	if _, err := db.Call(t.Context(), "push"); !errors.Is(err, xrow.ErrUnsupported) {
		t.Errorf("pushed to nobody: %v", err)
	}
}

// What is wrong with procedures is found before anything is opened.
func TestBadProcedures(t *testing.T) {
	dir := t.TempDir()
	f := func(context.Context, *tarragon.Tx, tarragon.Args) ([]any, error) { return nil, nil }
	_, err := tarragon.Open(t.Context(), tarragon.Config{Dir: dir, Procedures: []tarragon.Procedure{{Name: "box.info", Func: f}, {Name: "f"}, {Name: "g", Func: f}, {Name: "g", Func: f}}})
	for _, want := range []string{`"box.info": the name is taken`, `"f": there is no function`, `"g": the name is registered twice`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
