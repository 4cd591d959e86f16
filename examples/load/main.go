// Load writes numbered rows to a replica set for a while, and then looks whether all that was
// acknowledged is there. Kill its leader meanwhile:
//
//	PASSWORD=... go run ./examples/load --user app --for 20s 127.0.0.1:3301 127.0.0.1:3302 127.0.0.1:3303
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarantool/go-tarantool/v2"
	_ "github.com/tarantool/go-tarantool/v2/uuid" // READONLY errors carry some

	"tarragon.dev/tarragon/client"
)

const space = "load"

func main() {
	user := flag.String("user", "app", "who writes; $PASSWORD is the password")
	length := flag.Duration("for", 10*time.Second, "how long")
	writers := flag.Int("writers", 16, "writes under way at the same time")
	flag.Parse()
	if err := run(context.Background(), flag.Args(), *user, os.Getenv("PASSWORD"), *length, *writers, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// run is the program. A write that failed for certain, or whose outcome nobody knows, is an
// error of it, as is a row that was acknowledged and is not there.
func run(ctx context.Context, addrs []string, user, password string, length time.Duration, writers int, out io.Writer) error {
	c, err := client.Connect(ctx, addrs, client.Login(user, password))
	if err != nil {
		return err
	}
	defer c.Close()
	for _, call := range []*tarantool.CallRequest{
		tarantool.NewCallRequest("box.schema.space.create").Args([]any{space, map[string]any{"is_sync": true, "if_not_exists": true}}),
		tarantool.NewCallRequest("box.space." + space + ":create_index").Args([]any{"pk", map[string]any{"if_not_exists": true}}),
	} {
		if _, err := c.Do(call).Get(); err != nil {
			return err
		}
	}
	l := load{c: c, first: uint64(time.Now().UnixNano())}
	l.write(length, writers)
	if _, err := fmt.Fprintf(out, "%d rows acknowledged, the longest wait was %v\n", len(l.keys), l.longest.Round(time.Millisecond)); err != nil {
		return err
	}
	missing, err := l.missing()
	if err != nil {
		return err
	}
	if l.failed != nil {
		return l.failed
	}
	if missing > 0 {
		return fmt.Errorf("%d of these rows are not there", missing)
	}
	_, err = fmt.Fprintln(out, "all of them are there")
	return err
}

// load is some numbered writes: keys are first, first+1 and so on.
type load struct {
	c     *client.Client
	first uint64
	taken atomic.Uint64 // keys

	mu      sync.Mutex
	failed  error    // of the writes that did
	keys    []uint64 // acknowledged
	longest time.Duration
}

func (l *load) write(length time.Duration, writers int) {
	var all sync.WaitGroup
	end := time.Now().Add(length)
	for range writers {
		all.Go(func() {
			for time.Now().Before(end) && l.one() {
			}
		})
	}
	all.Wait()
}

// one writes a row; false: it failed.
func (l *load) one() bool {
	key := l.first + l.taken.Add(1)
	began := time.Now()
	_, err := l.c.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "a row"})).Get()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = errors.Join(l.failed, fmt.Errorf("row %d: %w", key, err))
		return false
	}
	l.keys = append(l.keys, key)
	l.longest = max(l.longest, time.Since(began))
	return true
}

// missing counts acknowledged rows that the leader does not have.
func (l *load) missing() (n int, err error) {
	there := map[uint64]bool{}
	for at := l.first; ; {
		var rows []struct {
			_msgpack struct{} `msgpack:",asArray"`
			Key      uint64
			Text     string
		}
		if err := l.c.Do(tarantool.NewSelectRequest(space).Iterator(tarantool.IterGt).Key([]any{at}).Limit(10_000)).GetTyped(&rows); err != nil {
			return 0, err
		}
		if len(rows) == 0 {
			break
		}
		for _, row := range rows {
			there[row.Key] = true
		}
		at = rows[len(rows)-1].Key
	}
	for _, key := range l.keys {
		if !there[key] {
			n++
		}
	}
	return n, nil
}
