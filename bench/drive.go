package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"tarragon.dev/tarragon/bench/load"
)

// driveAddress runs one workload against a server that somebody else started.
func driveAddress(ctx context.Context, f *flags, out io.Writer) error {
	if _, err := load.KindByName(f.workload); err != nil {
		return err
	}
	t := &iprotoTarget{addrs: f.addrs, user: f.user, password: f.password}
	conn, addr, err := t.leader(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(out, "%s at %s, %d-byte values, keys 1..%d, %s after %s of warm-up; %s\n",
		strings.TrimSpace(conn.Greeting.Version), addr, f.value, f.keys, f.duration, f.warmup, machine())
	e := entry{group: standard, short: f.workload, kind: f.workload, conns: f.conns, inflight: f.inflight}
	if f.connector {
		e.driver = load.Connector
	}
	e = e.complete(f)
	l, err := measure(ctx, f, t, &e)
	if err != nil {
		return err
	}
	if !f.keep {
		err = t.drop(ctx, conn)
	}
	return errors.Join(err, printLines(out, []line{*l}))
}

// machine says what everything runs on.
func machine() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%d processors for everything on %s, %s", runtime.NumCPU(), host, runtime.Version())
}

// measure runs the workload of an entry on a system.
func measure(ctx context.Context, f *flags, t target, e *entry) (*line, error) {
	kind, err := load.KindByName(e.kind)
	if err != nil {
		return nil, err
	}
	want := table{sync: kind.Sync, fields: kind.Fields, keys: e.keys, value: e.value}
	if kind.Op == load.Insert {
		want.keys = 0
	}
	if err := t.fill(ctx, want); err != nil {
		return nil, err
	}
	w := load.Workload{Op: kind.Op, Keys: e.keys, ValueSize: e.value, Random: e.random, Reads: e.reads, Fields: kind.Fields}
	p := load.Plan{Driver: e.driver, Conns: e.conns, InFlight: e.inflight, Rate: f.rate, Warmup: f.warmup, Duration: f.duration}
	if e.peak > 0 {
		r, _, err := t.drive(ctx, w, p)
		if err != nil {
			return nil, err
		}
		p.Rate = e.peak * r.Throughput()
	}
	l := &line{name: e.name()}
	stop := func() (int, error) { return 0, nil }
	if e.checkpoint {
		if stop, err = checkpoints(ctx, t); err != nil {
			return nil, err
		}
	}
	l.r, l.meter, err = t.drive(ctx, w, p)
	n, stopped := stop()
	l.checkpoints = n
	return l, errors.Join(err, stopped)
}

// checkpoints has a system take one after the other.
func checkpoints(ctx context.Context, t target) (stop func() (int, error), err error) {
	c, ok := t.(interface {
		checkpoints(ctx context.Context) (func() (int, error), error)
	})
	if !ok {
		return nil, errors.New("it takes no checkpoints when it is asked")
	}
	return c.checkpoints(ctx)
}

// printLines prints the table and, below it, everything that went wrong.
func printLines(out io.Writer, lines []line) error {
	var rows [][]string
	for i := range lines {
		rows = append(rows, lines[i].cells())
	}
	if err := printTable(out, columns, rows); err != nil {
		return err
	}
	var notes []string
	for i := range lines {
		l := &lines[i]
		if s := l.r.Faults(); s != "" {
			notes = append(notes, l.name+": "+s)
		}
		if l.checkpoints > 0 {
			notes = append(notes, fmt.Sprintf("%s: %d checkpoints", l.name, l.checkpoints))
		}
		if l.r.Rate > 0 {
			notes = append(notes, fmt.Sprintf("%s: %.0f requests a second were due", l.name, l.r.Rate))
		}
	}
	if len(notes) > 0 {
		fmt.Fprintln(out, strings.Join(notes, "\n"))
	}
	return nil
}
