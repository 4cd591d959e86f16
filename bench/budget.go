package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/internal/cluster"
)

// budgetLoads are how many requests are in flight, on how many connections.
var budgetLoads = []struct{ conns, inflight int }{{1, 1}, {16, 16}, {64, 64}, {512, 512}, {4000, 4000}, {1, 512}}

// budgetPart is the name of the part.
const budgetPart = "budget"

// Figures of a budget, for each answer.
const (
	cpuFigure    = "cpu"
	userFigure   = "user"
	kernelFigure = "kernel"
	sleptFigure  = "threads woken"
	pushedFigure = "pushed aside"
	inFigure     = "bytes in"
	outFigure    = "bytes out"
)

// budgetColumns are the figures that are printed.
var budgetColumns = []string{cpuFigure, userFigure, kernelFigure, wakeFigure, sleptFigure, pushedFigure,
	callsFigure, readFigure, writeFigure, epollFigure, futexFigure, syncFigure, inFigure, outFigure}

// budgetChosen tells whether nodes are to be traced.
func budgetChosen(f *flags) bool {
	return f.all || f.only != "" && strings.Contains(budgetPart, f.only)
}

// share is what one process, or the mean of several, has of a request.
type share struct {
	of      string // leader, follower, load
	figures []result.Figure
}

// printBudget prints what one replace costs each process, by how many are in
// flight: asynchronous on one node, on the disks of a quorum on three.
func printBudget(ctx context.Context, b *bench) (failed error) {
	for _, part := range []struct {
		name  string
		shape shape
		table table
	}{
		{oneNode, oneWrite, table{keys: b.f.keys, value: b.f.value}},
		{threeNodes, threeFsync, table{sync: true, keys: b.f.keys, value: b.f.value}},
	} {
		for _, sys := range b.systems {
			if !sys.can(&entry{shape: part.shape}) {
				continue
			}
			fmt.Fprintf(b.out, "\n%s, %s; for each answer: us of processor time, and how often; %s\n\n", part.name, sys.name, machine())
			if err := b.budgetOf(ctx, sys, part.name, part.shape, part.table); err != nil {
				failed = errors.Join(failed, fmt.Errorf("budget, %s, %s: %w", part.name, sys.name, err))
			}
		}
	}
	return failed
}

// budgetOf measures one system of a shape, and prints Markdown: a page can have it as it is.
func (b *bench) budgetOf(ctx context.Context, sys *system, name string, s shape, want table) error {
	started, err := sys.start(ctx, s)
	if err != nil {
		return err
	}
	defer started.stop()
	t, ok := started.(*iprotoTarget)
	if !ok {
		return errors.New("it is driven by a library, which is part of the load")
	}
	if err := t.fill(ctx, want); err != nil {
		return t.blame(err)
	}
	columns := append([]string{"in flight", opsFigure, "of"}, budgetColumns...)
	fmt.Fprintf(b.out, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, l := range budgetLoads {
		w := load.Workload{Op: load.Replace, Keys: want.keys, ValueSize: want.value}
		p := load.Plan{Conns: l.conns, InFlight: l.inflight, Warmup: b.f.warmup, Duration: b.f.duration}
		ops, shares, err := budgetAt(ctx, t, w, p)
		if err != nil {
			return t.blame(err)
		}
		what := fmt.Sprint(l.inflight)
		if l.conns < l.inflight {
			what += fmt.Sprintf(", %d connection", l.conns)
		}
		for _, share := range shares {
			rec := result.Record{Line: fmt.Sprintf("budget: %s, %s in flight, %s", name, what, share.of), System: sys.name, Figures: share.figures}
			b.report.Records = append(b.report.Records, rec)
			fmt.Fprintf(b.out, "| %s | %s | %s | %s |\n", what, count(ops), share.of, strings.Join(budgetCells(&rec), " | "))
		}
	}
	return nil
}

// budgetCells are the figures of a share, as text; what was not counted is a dash.
func budgetCells(rec *result.Record) (cells []string) {
	for _, name := range budgetColumns {
		v, known := rec.Value(name)
		switch {
		case !known:
			cells = append(cells, "-")
		case v >= 100:
			cells = append(cells, fmt.Sprintf("%.0f", v))
		case v >= 10:
			cells = append(cells, fmt.Sprintf("%.1f", v))
		default:
			cells = append(cells, fmt.Sprintf("%.2f", v))
		}
	}
	return cells
}

// budgetAt drives a load three times: undisturbed, for what the kernel counts
// anyway; beside perf; and beside Go's tracer.
func budgetAt(ctx context.Context, t *iprotoTarget, w load.Workload, p load.Plan) (ops float64, all []share, err error) {
	r, m, err := t.drive(ctx, w, p)
	if err != nil {
		return 0, nil, err
	}
	if r.OK == 0 {
		return 0, nil, errors.New("nothing was answered")
	}
	each := make([]rates, len(t.set.all)) // for each answer, by the numbers of the nodes
	for i := range each {
		each[i] = used(m.to.each[i].minus(m.from.each[i]), r.OK)
	}
	for _, look := range []lookFunc{syscallsOf, wakeupsOf} {
		if err := t.beside(ctx, w, p, look, each); err != nil {
			return 0, nil, err
		}
	}
	leader, err := t.leaderIndex(ctx)
	if err != nil {
		return 0, nil, err
	}
	all = append(all, share{"leader", figuresOf(each[leader])})
	if followers := slices.Delete(slices.Clone(each), leader, leader+1); len(followers) > 0 {
		all = append(all, share{"a follower", figuresOf(mean(followers))})
	}
	d := m.delta()
	return r.Throughput(), append(all, share{"load", figuresOf(rates{cpuFigure: micro(d.client) / float64(r.OK)})}), nil
}

// used is what each answer took of a process.
func used(u usage, answers int64) rates {
	n := float64(answers)
	return rates{
		cpuFigure: micro(u.cpu()) / n, userFigure: micro(u.user) / n, kernelFigure: micro(u.kernel) / n,
		sleptFigure: float64(u.slept) / n, pushedFigure: float64(u.pushed) / n, inFigure: float64(u.in) / n, outFigure: float64(u.out) / n,
	}
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// lookFunc looks at a process for some time. errUncounted: this one cannot be
// looked at like that.
type lookFunc func(ctx context.Context, n *cluster.Process, d time.Duration) (rates, error)

// errUncounted is what a machine without perf, or a peer that is no Go program, gives.
var errUncounted = errors.New("not counted")

// beside drives the load once more while all nodes are looked at, and adds what
// was seen for each answer.
func (t *iprotoTarget) beside(ctx context.Context, w load.Workload, p load.Plan, look lookFunc, each []rates) error {
	seen := make([]rates, len(each))
	failed := make([]error, len(each))
	var wg sync.WaitGroup
	p.Mark = func(e load.Edge) {
		if e != load.Open {
			return
		}
		for i, n := range t.set.all {
			wg.Go(func() { seen[i], failed[i] = look(ctx, n, p.Duration*3/4) })
		}
	}
	r, _, err := t.drive(ctx, w, p)
	wg.Wait()
	if err != nil {
		return err
	}
	for i := range each {
		if errors.Is(failed[i], errUncounted) {
			continue
		}
		if failed[i] != nil {
			return failed[i]
		}
		for name, n := range seen[i] {
			each[i][name] = n / r.Throughput()
		}
	}
	return nil
}

// leaderIndex is the number of the node that takes writes.
func (t *iprotoTarget) leaderIndex(ctx context.Context) (int, error) {
	conn, addr, err := t.leader(ctx)
	if err != nil {
		return 0, err
	}
	conn.Close()
	return slices.Index(t.addrs, addr), nil
}

// mean of what several nodes have; all of them were looked at in the same way.
func mean(all []rates) rates {
	sum := rates{}
	for _, one := range all {
		for name, n := range one {
			sum[name] += n / float64(len(all))
		}
	}
	return sum
}

// figuresOf are rates in the order of the columns.
func figuresOf(r rates) (all []result.Figure) {
	for _, name := range budgetColumns {
		if v, known := r[name]; known {
			all = append(all, result.Figure{Name: name, Value: v})
		}
	}
	return all
}
