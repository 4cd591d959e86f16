package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/tarantool/go-tarantool/v2/datetime"
	"github.com/vmihailenco/msgpack/v5"

	"tarragon.dev/tarragon"
)

// procedures of the scripts, in Go. In the scripts they are functions in Lua.
type procedures map[string]tarragon.ProcedureFunc

// embed is the server of a script that has procedures: they are in the program that the
// instance is part of, so this process is that program until it is told to end.
func embed(file string, all procedures) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	conf := tarragon.Config{File: file, Instance: instanceName, Log: zerolog.New(os.Stderr)}
	for name, f := range all {
		conf.Procedures = append(conf.Procedures, tarragon.Procedure{Name: name, Version: 1, Func: f})
	}
	db, err := tarragon.Open(ctx, conf)
	if err != nil {
		return err
	}
	embedded.Store(db)
	select {
	case <-ctx.Done():
	case <-db.Done():
	}
	return db.Close()
}

// embedded is the instance, for what a procedure does outside of its transaction.
var embedded atomic.Pointer[tarragon.DB]

var rootProcedures = procedures{
	"func_name": func(context.Context, *tarragon.Tx, tarragon.Args) ([]any, error) {
		cities := []any{[]any{"Moscow", 34}, []any{"Minsk", 23}, []any{"Kiev", 31}}
		return []any{[]any{[]any{221, "", cities}}}, nil
	},
	"simple_concat": func(_ context.Context, _ *tarragon.Tx, args tarragon.Args) ([]any, error) {
		var a string
		err := args.Decode(&a)
		return []any{a + a}, err
	},
	"push_func": func(ctx context.Context, _ *tarragon.Tx, args tarragon.Args) ([]any, error) {
		var n int
		if err := args.Decode(&n); err != nil {
			return nil, err
		}
		for i := 1; i <= n; i++ {
			if err := tarragon.CallOf(ctx).Push(i); err != nil {
				return nil, err
			}
		}
		return []any{n}, nil
	},
	"create_spaces": func(ctx context.Context, _ *tarragon.Tx, _ tarragon.Args) ([]any, error) {
		db := embedded.Load()
		if db == nil {
			return nil, errors.New("the instance has not begun")
		}
		for i := 1; i <= 10; i++ {
			name := fmt.Sprint("test", i)
			for _, c := range [...]function{space(name, options{"id": 700 + i, "if_not_exists": true}),
				index(name, name+"primary", options{"type": "tree", "parts": []any{1, "uint"}, "if_not_exists": true}),
				call("box.space." + name + ".index." + name + "primary:drop"), call("box.space." + name + ":drop")} {
				if _, err := db.Call(ctx, c.name, c.calls[0]...); err != nil {
					return nil, err
				}
			}
		}
		return nil, nil
	},
}

var poolProcedures = procedures{
	"simple_incr": func(_ context.Context, _ *tarragon.Tx, args tarragon.Args) ([]any, error) {
		var a int
		err := args.Decode(&a)
		return []any{a + 1}, err
	},
}

var datetimeProcedures = procedures{
	"call_datetime_testdata": func(context.Context, *tarragon.Tx, tarragon.Args) ([]any, error) {
		var events []any
		for _, e := range [...]struct {
			place string
			year  int
		}{{"Klushino", 1934}, {"Baikonur", 1961}, {"Novoselovo", 1968}} {
			at, err := datetime.MakeDatetime(time.Date(e.year, 1, 1, 0, 0, 0, 0, time.UTC))
			if err != nil {
				return nil, err
			}
			events = append(events, []any{e.place, at})
		}
		return []any{[]any{[]any{5, "Go!", events}}}, nil
	},
	"call_interval_testdata": func(_ context.Context, _ *tarragon.Tx, args tarragon.Args) ([]any, error) {
		var interval msgpack.RawMessage
		err := args.Decode(&interval)
		return []any{interval}, err
	},
	"call_datetime_interval": func(_ context.Context, _ *tarragon.Tx, args tarragon.Args) ([]any, error) {
		var left, right datetime.Datetime
		err := args.Decode(&left, &right)
		return []any{left.Interval(right)}, err
	},
}
