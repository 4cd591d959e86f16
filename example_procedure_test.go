package tarragon_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"tarragon.dev/tarragon"
)

// counter is a tuple of the space "counters".
type counter struct {
	Name  string
	Value uint64
}

// visit counts one further, and returns the count. Of several calls at the same time each
// has a number of its own: one that meets another runs again.
func visit(ctx context.Context, tx *tarragon.Tx, args tarragon.Args) ([]any, error) {
	var c counter
	if err := args.Decode(&c.Name); err != nil {
		return nil, err
	}
	if c.Name == "" {
		return nil, errors.New("a counter has a name")
	}
	counters := tx.Space("counters")
	was, _, err := tarragon.Get[counter](ctx, counters, c.Name)
	if err != nil {
		return nil, err
	}
	c.Value = was.Value + 1
	_, err = counters.Replace(ctx, c)
	return []any{c.Value}, err
}

func Example_procedure() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tarragon")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := tarragon.Open(ctx, tarragon.Config{Dir: dir, Procedures: []tarragon.Procedure{{Name: "visit", Version: 1, Func: visit}}})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range []struct {
		name string
		args []any
	}{
		{"box.schema.space.create", []any{"counters"}},
		{"box.space.counters:create_index", []any{"pk", map[string]any{"parts": []any{1, "string"}}}},
		// Who may call it, and that it does what admin may do:
		{"box.schema.func.create", []any{"visit", map[string]any{"language": "GO", "version": 1, "setuid": true}}},
		{"box.schema.user.create", []any{"app"}},
		{"box.schema.user.grant", []any{"app", "execute", "function", "visit"}},
	} {
		if _, err := db.Call(ctx, step.name, step.args...); err != nil {
			log.Fatal(err)
		}
	}

	app, err := db.As("app") // clients do the same with CALL
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		out, err := app.Call(ctx, "visit", "visits")
		var values []uint64
		if err == nil {
			err = out.Decode(&values)
		}
		fmt.Println(values, err)
	}
	_, err = app.Call(ctx, "visit")
	fmt.Println(err)
	_, err = app.Space("counters").Insert(ctx, counter{"visits", 7})
	fmt.Println(err, db.Close())
	// Output:
	// [1] <nil>
	// [2] <nil>
	// a counter has a name
	// Write access to space 'counters' is denied for user 'app' <nil>
}
