package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// Spaces of the benchmark. They are dropped and made anew for each run.
const (
	syncSpace  = "bench_sync"
	asyncSpace = "bench_async"
)

// Ids of a system view.
const (
	vspaceID    = 281
	vspaceNames = 2 // its index by name
)

// makeSpace makes an empty space and returns its id. Its first field is the
// primary key; behind the second one are as many fields as are asked for, each
// with an index. What the calls answer is not looked at: Tarantool cannot encode
// the space that it made and says so by an error; the view tells what was done.
func makeSpace(ctx context.Context, conn *tarantool.Connection, name string, sync bool, fields int) (uint32, error) {
	if err := dropSpace(ctx, conn, name); err != nil {
		return 0, err
	}
	_, createErr := call(ctx, conn, "box.schema.space.create", name, map[string]any{"is_sync": sync})
	id, err := spaceID(ctx, conn, name)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("create space %s", name), err, createErr)
	}
	for index := range fields + 1 {
		field := 1
		if index > 0 {
			field = index + 2
		}
		_, indexErr := call(ctx, conn, "box.space."+name+":create_index", fmt.Sprintf("i%d", index),
			map[string]any{"type": "tree", "unique": index == 0, "parts": []any{[]any{field, "unsigned"}}})
		if _, err := conn.Do(tarantool.NewSelectRequest(id).Index(uint32(index)).Limit(1).Iterator(tarantool.IterAll).Context(ctx)).Get(); err != nil {
			return 0, errors.Join(fmt.Errorf("index space %s", name), err, indexErr)
		}
	}
	return id, nil
}

func dropSpace(ctx context.Context, conn *tarantool.Connection, name string) error {
	if _, err := spaceID(ctx, conn, name); err != nil {
		return nil // there is none
	}
	if _, err := call(ctx, conn, "box.space."+name+":drop"); err != nil {
		return fmt.Errorf("drop space %s: %w", name, err)
	}
	return nil
}

func spaceID(ctx context.Context, conn *tarantool.Connection, name string) (uint32, error) {
	rows, err := conn.Do(tarantool.NewSelectRequest(vspaceID).Index(uint32(vspaceNames)).Limit(1).
		Iterator(tarantool.IterEq).Key([]any{name}).Context(ctx)).Get()
	if err != nil {
		return 0, err
	}
	if len(rows) == 0 {
		return 0, fmt.Errorf("no space %s", name)
	}
	row, ok := rows[0].([]any)
	if !ok || len(row) == 0 {
		return 0, fmt.Errorf("strange row of a space: %v", rows[0])
	}
	return uint32(cluster.Number(row[0])), nil
}

func call(ctx context.Context, conn *tarantool.Connection, function string, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if args == nil {
		args = []any{}
	}
	return conn.Do(tarantool.NewCallRequest(function).Args(args).Context(ctx)).Get()
}

// findLeader connects to the first address that takes writes.
func findLeader(ctx context.Context, addrs []string, user, password string) (*tarantool.Connection, string, error) {
	var all []error
	for _, addr := range addrs {
		conn, err := load.Admin(ctx, addr, user, password)
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", addr, err))
			continue
		}
		info, err := boxInfo(ctx, conn)
		ro, known := info["ro"].(bool)
		if err != nil || len(addrs) == 1 || known && !ro {
			return conn, addr, err
		}
		conn.Close()
		all = append(all, fmt.Errorf("%s is read-only", addr))
	}
	return nil, "", errors.Join(all...)
}

func boxInfo(ctx context.Context, conn *tarantool.Connection) (map[any]any, error) {
	data, err := call(ctx, conn, "box.info")
	if err != nil || len(data) == 0 {
		return nil, err
	}
	m, _ := data[0].(map[any]any)
	return m, nil
}
