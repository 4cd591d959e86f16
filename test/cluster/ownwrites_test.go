package cluster

import (
	"testing"

	"github.com/tarantool/go-tarantool/v2"
)

// A client that writes by one port of the router and reads by the other finds what it wrote,
// though nothing makes the readers hurry: synchronous and asynchronous rows, alone and counted by
// a function.
func TestReadersShowOwnWrites(t *testing.T) {
	r := start(t, options{})
	const loose = "loose"
	r.call("box.schema.space.create", loose, map[string]any{"is_sync": false})
	r.call("box.space."+loose+":create_index", "primary", map[string]any{"parts": []any{[]any{1, "unsigned"}}})
	rw, ro, _ := r.startRouter("--consistency", "session")
	w, c := r.connectRouter(rw), r.connectRouter(ro)
	for key := range uint64(100) {
		in := space
		if key%2 == 1 {
			in = loose
		}
		if _, err := w.Do(tarantool.NewInsertRequest(in).Tuple([]any{key, "x"})).Get(); err != nil {
			t.Fatal(err)
		}
		var data []any
		var err error
		if key%3 == 0 {
			data, err = c.Do(tarantool.NewCallRequest("box.space." + in + ":select").Args([]any{[]any{key}})).Get()
			if err == nil && len(data) == 1 {
				data, _ = data[0].([]any)
			}
		} else {
			data, err = c.Do(tarantool.NewSelectRequest(in).Key([]any{key}).Iterator(tarantool.IterEq).Limit(1)).Get()
		}
		if err != nil || len(data) != 1 {
			t.Fatalf("row %d of %s: %v, %v", key, in, data, err)
		}
	}
}
