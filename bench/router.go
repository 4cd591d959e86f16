package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/internal/cluster"
)

const routerPart = "router"

// Ways to the leader that are compared.
const (
	byItself  = "direct"
	forwarded = "bytes handed on" // by a process that does no more than that
	plainly   = "router --numbers=false"
	numbered  = "router"
	inside    = "router in the leader"
)

// wayLoad is what is asked by some ways, wayGoal one that is compared with another one.
type (
	wayLoad struct {
		name            string
		op              load.Op
		conns, inflight int
		ways            []string
	}
	wayGoal struct{ title, way, beside string }
)

// routerLoads are what is asked by each way.
var routerLoads = []wayLoad{
	{"select, one client", load.Select, 1, 1, []string{byItself, forwarded, plainly, inside}},
	{"select", load.Select, 1, 512, []string{byItself, forwarded, plainly, inside}},
	{"sync replace, one client", load.Replace, 1, 1, []string{byItself, plainly, numbered, inside}},
	{"sync replace, 64 clients", load.Replace, 64, 64, []string{byItself, plainly, numbered, inside}},
	{"sync replace", load.Replace, 1, 512, []string{byItself, plainly, numbered, inside}},
}

// routerGoals are what is compared: a way with the one that is the other side of the pair.
var routerGoals = []wayGoal{
	{"by a process that hands on bytes, beside the leader itself", forwarded, byItself},
	{"by a router, beside the leader itself", plainly, byItself},
	{"by the router in the leader, with numbers, beside the leader itself", inside, byItself},
	{"with numbers, beside a router without", numbered, plainly},
}

// printRouter measures what a router adds to a request, and a number to a write.
func printRouter(ctx context.Context, b *bench) error {
	s := shape{nodes: b.f.nodes, wal: b.f.wal, routers: true}
	rs, err := startShape(ctx, b.f, b.f.binary, s, nil, nil)
	if err != nil {
		return err
	}
	defer rs.stop()
	fmt.Fprintf(b.out, "\nways to the leader, in turns\n")
	if err := b.place(s); err != nil {
		return err
	}
	w, err := openWays(ctx, rs)
	if err == nil {
		defer w.close()
		err = w.measure(ctx, b, routerPart, routerLoads, routerGoals)
	}
	return rs.blame(err)
}

// ways are a leader and what is in front of it.
type ways struct {
	t       *iprotoTarget
	addrs   map[string]string  // by way
	tls     *tls.Config        // of ways with TLS; nil: there are none
	between []*cluster.Process // routers, and who hands on bytes
}

func openWays(ctx context.Context, rs *replicaset) (*ways, error) {
	w := &ways{t: newTarragonTarget(rs), addrs: map[string]string{}}
	conn, addr, err := w.t.leader(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := patiently(ctx, func() error { _, err := call(ctx, conn, "tarragon.feature_raise"); return err }); err != nil {
		return nil, err
	}
	w.addrs[byItself], w.addrs[inside] = addr, rs.ByAddr(addr).Router
	for way, flag := range map[string]string{plainly: "--numbers=false", numbered: "--numbers=true"} {
		err = errors.Join(err, w.start(rs, way, func(at string) *exec.Cmd {
			return exec.Command(rs.binary, "router", "--config", rs.Config, "--rw", at, flag)
		}))
	}
	us, e := os.Executable()
	err = errors.Join(err, e, w.start(rs, forwarded, func(at string) *exec.Cmd { return exec.Command(us, forwardCommand, at, addr) }))
	for _, at := range w.addrs {
		err = errors.Join(err, patiently(ctx, func() error {
			c, err := load.Admin(ctx, at, cluster.User, cluster.Password)
			if err == nil {
				err = c.Close()
			}
			return err
		}))
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// start starts a process that listens at a new address.
func (w *ways) start(rs *replicaset, way string, at func(addr string) *exec.Cmd) error {
	addr, err := cluster.FreeAddr()
	if err != nil {
		return err
	}
	p := &cluster.Process{Log: filepath.Join(rs.dir, strings.ReplaceAll(way, " ", "")+".log")}
	w.addrs[way], w.between = addr, append(w.between, p)
	return p.Start(at(addr))
}

func (w *ways) close() {
	for _, p := range w.between {
		p.Kill()
	}
}

// measure asks by each way in turn, and prints the lines and what is compared.
func (w *ways) measure(ctx context.Context, b *bench, part string, loads []wayLoad, goals []wayGoal) error {
	if err := w.t.fill(ctx, table{sync: true, keys: b.f.keys, value: b.f.value}); err != nil {
		return err
	}
	var lines []line
	var records []result.Record
	for _, l := range loads {
		for turn := range b.f.pairs {
			for _, way := range l.ways {
				plan := load.Plan{Addr: w.addrs[way], User: cluster.User, Password: cluster.Password, Conns: l.conns, InFlight: l.inflight, Warmup: b.f.warmup, Duration: b.f.duration}
				if way == encrypted {
					plan.TLS = w.tls
				}
				m := &meter{nodes: append(w.between[:len(w.between):len(w.between)], w.t.set.all...), dev: w.t.dev}
				plan.Mark = m.mark
				r, err := load.Run(ctx, load.Workload{Op: l.op, Space: w.t.space, Keys: b.f.keys, ValueSize: b.f.value}, plan)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", l.name, way, err)
				}
				one := line{name: l.name + ", " + way, r: r, meter: m}
				lines = append(lines, one)
				records = append(records, result.Record{Line: part + ": " + l.name, System: way, Turn: turn, Figures: one.figures(), Faults: r.Faults()})
			}
		}
	}
	b.report.Records = append(b.report.Records, records...)
	err := printLines(b.out, lines)
	for _, g := range goals {
		ratios := result.Compare(records, g.way, g.beside, opsFigure, "p50", "p99", "cpu/op")
		b.report.Ratios = append(b.report.Ratios, ratios...)
		fmt.Fprintf(b.out, "\n%s, pair by pair\n\n", g.title)
		var rows [][]string
		for _, r := range ratios {
			rows = append(rows, []string{r.Line, r.Figure, figure(r.Figure, r.Ours), figure(r.Figure, r.Other), fmt.Sprintf("%+.1f", r.Ours-r.Other),
				fmt.Sprintf("%.2f", r.Median), fmt.Sprintf("%.2f .. %.2f", r.Low, r.High), fmt.Sprint(len(r.Pairs))})
		}
		err = errors.Join(err, printTable(b.out, []string{"line", "figure", g.way, g.beside, "difference", "ratio", "range", "pairs"}, rows))
	}
	return err
}
