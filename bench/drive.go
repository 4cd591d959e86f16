package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"tarragon.dev/tarragon/bench/load"

	"github.com/tarantool/go-tarantool/v2"
)

// driveAddress runs one workload against a server that somebody else started.
func driveAddress(ctx context.Context, f *flags, out io.Writer) error {
	kind, err := load.KindByName(f.workload)
	if err != nil {
		return err
	}
	conn, addr, err := findLeader(ctx, f.addrs, f.user, f.password)
	if err != nil {
		return err
	}
	defer conn.Close()
	plan := f.plan(addr)
	plan.User, plan.Password = f.user, f.password
	fmt.Fprintf(out, "%s at %s, %d-byte values, keys 1..%d, %s after %s of warm-up; %s\n",
		strings.TrimSpace(conn.Greeting.Version), addr, f.value, f.keys, f.duration, f.warmup, machine())
	l, err := measure(ctx, conn, f, kind, plan, &meter{})
	if err != nil {
		return err
	}
	return printLines(out, []line{*l})
}

// machine says what everything runs on.
func machine() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%d processors for everything on %s, %s", runtime.NumCPU(), host, runtime.Version())
}

func (f *flags) plan(addr string) load.Plan {
	p := load.Plan{
		Addr: addr, Conns: f.conns, InFlight: f.inflight, Rate: f.rate, Warmup: f.warmup, Duration: f.duration,
	}
	if f.connector {
		p.Driver = load.Connector
	}
	return p
}

// measure makes the space of a workload, fills it, and runs the workload.
func measure(ctx context.Context, conn *tarantool.Connection, f *flags, kind load.Kind, plan load.Plan, m *meter) (*line, error) {
	name := asyncSpace
	if kind.Sync {
		name = syncSpace
	}
	space, err := makeSpace(ctx, conn, name, kind.Sync)
	if err != nil {
		return nil, err
	}
	if kind.Op != load.Insert {
		if err := fill(ctx, conn, space, f.keys, f.value); err != nil {
			return nil, err
		}
	}
	w := load.Workload{Op: kind.Op, Space: space, Keys: f.keys, ValueSize: f.value, Reads: f.reads}
	plan.Mark = m.mark
	r, err := load.Run(ctx, w, plan)
	if err != nil {
		return nil, err
	}
	if !f.keep {
		err = dropSpace(ctx, conn, name)
	}
	return &line{name: kind.Name, r: r, meter: m}, err
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
	var faults []string
	for i := range lines {
		if s := lines[i].r.Faults(); s != "" {
			faults = append(faults, lines[i].name+": "+s)
		}
	}
	if len(faults) > 0 {
		fmt.Fprintln(out, strings.Join(faults, "\n"))
	}
	return nil
}
