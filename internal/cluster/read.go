package cluster

import (
	"fmt"

	"github.com/tarantool/go-tarantool/v2"
)

// ReadAll reads the whole of a space whose tuples are [unsigned, string], in
// pages.
func ReadAll(conn *tarantool.Connection, space string) (map[uint64]string, error) {
	const page = 10000
	out := map[uint64]string{}
	for from := uint64(0); ; {
		var data []struct {
			_msgpack struct{} `msgpack:",asArray"` //nolint:unused // tells the decoder that a tuple is an array
			ID       uint64
			What     string
		}
		req := tarantool.NewSelectRequest(space).Index(uint32(0)).Iterator(tarantool.IterGt).Key([]any{from}).Limit(page)
		if from == 0 {
			req = req.Iterator(tarantool.IterGe)
		}
		if err := conn.Do(req).GetTyped(&data); err != nil {
			return nil, err
		}
		for _, d := range data {
			out[d.ID] = d.What
			from = d.ID
		}
		if len(data) < page {
			return out, nil
		}
	}
}

// Writable says nil if a node takes writes. The leader of a new replica set does
// not before most of its instances have joined.
func Writable(conn *tarantool.Connection) error {
	data, err := conn.Do(tarantool.NewCallRequest("box.info").Args([]any{})).Get()
	if err != nil {
		return err
	}
	if info, ok := data[0].(map[any]any); !ok || info["ro"] != false {
		return fmt.Errorf("it is read-only: %v", info["ro_reason"])
	}
	return nil
}

// Same compares two readings of a space.
func Same(a, b map[uint64]string) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d rows here, %d elsewhere", len(b), len(a))
	}
	for k, v := range a {
		if b[k] != v {
			return fmt.Errorf("row %d is %q here, %q elsewhere", k, b[k], v)
		}
	}
	return nil
}
