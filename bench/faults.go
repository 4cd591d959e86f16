package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
)

// fault takes the leader away.
type fault struct {
	name   string
	mesh   bool // the nodes reach each other through proxies
	strike func(ctx context.Context, rs *replicaset, node int) error
	repair func(rs *replicaset, node int) error
}

// A node that is gone refuses connections, which tells the others at once; a
// proxy before it would not. So only the cut has proxies.
var faults = []fault{
	{
		name:   "SIGKILL of the leader",
		strike: func(_ context.Context, rs *replicaset, node int) error { rs.Nodes[node].Kill(); return nil },
		repair: func(rs *replicaset, node int) error { return rs.Nodes[node].Start() },
	},
	{
		name:   "SIGSTOP of the leader",
		strike: pause,
		repair: func(rs *replicaset, node int) error { rs.Nodes[node].Resume(); return nil },
	},
	{
		name:   "cut between leader and followers",
		mesh:   true,
		strike: func(_ context.Context, rs *replicaset, node int) error { rs.mesh.Isolate(node); return nil },
		repair: func(rs *replicaset, _ int) error { rs.mesh.Heal(); return nil },
	},
}

// pause returns when all threads of a node stand still: some may run on for a
// moment after the signal, and answer.
func pause(ctx context.Context, rs *replicaset, node int) error {
	rs.Nodes[node].Pause()
	return cluster.Until(ctx, func() error { return stopped(rs.Nodes[node].PID()) })
}

// calm is how many commits are seen before a fault and after it.
const calm = 50

// printFaults measures how long commits stop, with default settings.
func printFaults(ctx context.Context, f *flags, out io.Writer) error {
	fmt.Fprintf(out, "\ntime to the next commit, default settings, asked every %s on every node\n\n", probeEvery)
	head := []string{"fault", "times", "median", "max", "failed", "acknowledged", "lost", "all"}
	var rows [][]string
	var failed error
	for _, mesh := range []bool{false, true} {
		more, err := faultsOf(ctx, f, mesh)
		rows = append(rows, more...)
		failed = errors.Join(failed, err)
	}
	return errors.Join(printTable(out, head, rows), failed)
}

// faultsOf strikes a replica set of its own with the faults that want proxies,
// or with those that do not.
func faultsOf(ctx context.Context, f *flags, proxies bool) (rows [][]string, err error) {
	var mesh *cluster.Mesh
	if proxies {
		mesh = cluster.NewMesh()
	}
	rs, err := startNodes(ctx, f, mesh)
	if err != nil {
		return nil, err
	}
	defer rs.stop()
	conn, _, err := rs.leader(ctx)
	if err != nil {
		return nil, rs.blame(err)
	}
	space, err := makeSpace(ctx, conn, syncSpace, true)
	conn.Close()
	if err != nil {
		return nil, rs.blame(err)
	}
	for _, fl := range faults {
		if fl.mesh != proxies {
			continue
		}
		row, err := rs.repeat(ctx, f, fl, space)
		rows = append(rows, row)
		if err != nil { // the replica set is in no state to go on
			return rows, rs.blame(fmt.Errorf("%s: %w", fl.name, err))
		}
	}
	return rows, nil
}

// repeat strikes f.faults times and returns the line of the table.
func (rs *replicaset) repeat(ctx context.Context, f *flags, fl fault, space uint32) ([]string, error) {
	var gaps []time.Duration
	var failed, acked, lost int
	var err error
	for range f.faults {
		var one outcome
		one, err = rs.once(ctx, fl, space)
		acked += one.acked
		lost += one.lost
		if one.gap > 0 {
			gaps = append(gaps, one.gap)
		} else {
			failed++
		}
		if err != nil {
			break
		}
	}
	median, longest, all := spread(gaps)
	return []string{fl.name, fmt.Sprint(len(gaps) + failed), median, longest, fmt.Sprint(failed), fmt.Sprint(acked), fmt.Sprint(lost), all}, err
}

// spread prints the median, the longest and all of some times.
func spread(gaps []time.Duration) (median, longest, all string) {
	if len(gaps) == 0 {
		return "-", "-", "-"
	}
	sorted := slices.Sorted(slices.Values(gaps))
	var texts []string
	for _, g := range sorted {
		texts = append(texts, millis(g))
	}
	mid := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		mid = (mid + sorted[len(sorted)/2-1]) / 2
	}
	return millis(mid), texts[len(texts)-1], strings.Join(texts, " ")
}

func millis(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// outcome is what one fault showed.
type outcome struct {
	gap   time.Duration // 0: no commit came
	acked int           // writes acknowledged before and after the fault
	lost  int           // of them, not to be found afterwards
}

// once strikes the leader one time and repairs what it broke.
func (rs *replicaset) once(ctx context.Context, fl fault, space uint32) (outcome, error) {
	limit, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("not over after a minute"))
	defer cancel()
	conn, leader, err := rs.leader(limit)
	if err != nil {
		return outcome{}, err
	}
	conn.Close()
	p := startProbe(limit, rs, space)
	defer p.stop()
	if err := p.commits(limit, calm); err != nil {
		return outcome{}, fmt.Errorf("before the fault: %w", err)
	}
	began := time.Now()
	if err := fl.strike(limit, rs, leader); err != nil {
		return outcome{}, err
	}
	next, err := p.nextCommit(limit)
	if err == nil {
		err = p.commits(limit, calm)
	}
	p.stop()
	o := outcome{acked: len(p.acked)}
	if !next.IsZero() {
		o.gap = next.Sub(began)
	}
	if e := fl.repair(rs, leader); e != nil || err != nil {
		return o, errors.Join(err, e)
	}
	if err := rs.settle(limit); err != nil {
		return o, fmt.Errorf("after the fault: %w", err)
	}
	o.lost, err = rs.missing(limit, space, p.acked)
	return o, err
}
