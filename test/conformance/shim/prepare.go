package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tarantool/go-tarantool/v2"

	"tarragon.dev/tarragon/iproto"
)

// prepareTime bounds the time in which a fixture must be in. The suites give up
// before it ends.
const prepareTime = 10 * time.Second

// prepare brings a fixture into the server of a directory.
func prepare(dir string, f fixture) error {
	ctx, cancel := context.WithTimeout(context.Background(), prepareTime)
	defer cancel()
	conn, err := ready(ctx, "unix:"+iproto.ShortSocket(filepath.Join(dir, socketName)))
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, c := range f.calls {
		if err := do(ctx, conn, c); err != nil {
			return err
		}
	}
	return nil
}

// ready tries until the server is there and takes writes.
func ready(ctx context.Context, address string) (*tarantool.Connection, error) {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: address}, tarantool.Opts{SkipSchema: true})
		if err == nil {
			if err = do(ctx, conn, call("box.ctl.wait_rw", prepareTime.Seconds())); err == nil {
				return conn, nil
			}
			conn.Close()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// do makes the calls of a function, and returns once all are answered.
func do(ctx context.Context, conn *tarantool.Connection, f function) error {
	var answers []*tarantool.Future
	for _, args := range f.calls {
		answers = append(answers, conn.Do(tarantool.NewCallRequest(f.name).Args(args).Context(ctx)))
	}
	for i, a := range answers {
		if _, err := a.Get(); err != nil {
			return fmt.Errorf("%s%v: %w", f.name, f.calls[i], err)
		}
	}
	return nil
}
