package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/cluster"
)

// entry is a line of the standard table.
type entry struct {
	name     string
	kind     string
	conns    int
	inflight int
	driver   load.Driver
}

// entries are the workloads of the standard table, one load process each.
var entries = []entry{
	{name: "sync replace", kind: "replace", conns: 1, inflight: 512},
	{name: "sync replace, one client", kind: "replace", conns: 1, inflight: 1},
	{name: "sync replace, 16 clients", kind: "replace", conns: 16, inflight: 16},
	{name: "async replace", kind: "async", conns: 1, inflight: 512},
	{name: "point select", kind: "select", conns: 1, inflight: 512},
	{name: "sync replace, application", kind: "replace", conns: 1, inflight: 512, driver: load.Connector},
}

// standardTable starts nodes and prints the standard table.
func standardTable(ctx context.Context, f *flags, out io.Writer) error {
	if err := printLoads(ctx, f, out); err != nil {
		return err
	}
	if f.behind > 0 {
		if err := printCatchUp(ctx, f, out); err != nil {
			return err
		}
	}
	if f.scan > 0 {
		if err := printScans(ctx, f, out); err != nil {
			return err
		}
	}
	if f.faults == 0 {
		return nil
	}
	return printFaults(ctx, f, out)
}

func printLoads(ctx context.Context, f *flags, out io.Writer) error {
	var chosen []entry
	for _, e := range entries {
		if strings.Contains(e.name, f.only) {
			chosen = append(chosen, e)
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	rs, err := startNodes(ctx, f, nil)
	if err != nil {
		return err
	}
	defer rs.stop()
	fs, volatile, err := fileSystem(rs.dir)
	if err != nil {
		return err
	}
	dev := device(rs.dir)
	fmt.Fprintf(out, "%d nodes, wal.mode %s, on %s (%s), device %s; %s\n", f.nodes, f.wal, fs, rs.dir, orNone(dev), machine())
	fmt.Fprintf(out, "%d-byte values, keys 1..%d, %s after %s of warm-up; the load process shares the machine\n", f.value, f.keys, f.duration, f.warmup)
	if volatile {
		fmt.Fprintln(out, "WARNING: this is memory, so a sync costs nothing here: give -dir on a disk")
	}
	fmt.Fprintln(out)
	var lines []line
	var failed error
	for _, e := range chosen {
		l, err := rs.measure(ctx, f, e, dev)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", e.name, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		lines = append(lines, *l)
	}
	if err := printLines(out, lines); err != nil {
		return err
	}
	fmt.Fprintln(out, `groups: batches of all nodes' logs, one sync each in the mode fsync; ops/group: over one node's groups; flushes: of the device, by everybody`)
	return rs.blame(failed)
}

func orNone(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// measure runs one entry against whoever leads now.
func (rs *replicaset) measure(ctx context.Context, f *flags, e entry, dev string) (*line, error) {
	kind, err := load.KindByName(e.kind)
	if err != nil {
		return nil, err
	}
	conn, leader, err := rs.leader(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	infos, err := rs.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeAll(infos)
	plan := load.Plan{
		Addr: rs.Nodes[leader].Addr, User: cluster.User, Password: cluster.Password,
		Driver: e.driver, Conns: e.conns, InFlight: e.inflight, Warmup: f.warmup, Duration: f.duration,
	}
	l, err := measure(ctx, conn, f, kind, plan, &meter{nodes: rs.Nodes, infos: infos, dev: dev})
	if err != nil {
		return nil, err
	}
	l.name = e.name
	return l, nil
}
