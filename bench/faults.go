package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tarragon.dev/tarragon/bench/result"
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
func printFaults(ctx context.Context, b *bench) error {
	return b.printFaults(ctx, faults, b.f.faults)
}

// printKills kills the leader often, for the distribution.
func printKills(ctx context.Context, b *bench) error {
	return b.printFaults(ctx, faults[:1], b.f.kills)
}

func (b *bench) printFaults(ctx context.Context, chosen []fault, times int) error {
	fmt.Fprintf(b.out, "\ntime to the next commit, default settings, asked every %s on every node\n\n", probeEvery)
	var rows [][]string
	var failed error
	for _, mesh := range []bool{false, true} {
		ofKind := slices.DeleteFunc(slices.Clone(chosen), func(f fault) bool { return f.mesh != mesh })
		if len(ofKind) == 0 {
			continue
		}
		all, err := struckSet(ctx, b.f, ofKind, times)
		for i := range all {
			rows = append(rows, all[i].cells())
			b.report.Records = append(b.report.Records, all[i].record())
		}
		failed = errors.Join(failed, err)
	}
	return errors.Join(printTable(b.out, []string{"fault", "times", "median", "max", "failed", "acknowledged", "lost", "all"}, rows), failed)
}

// struckSet strikes a replica set of its own with faults of one kind: those that
// want proxies, or those that do not.
func struckSet(ctx context.Context, f *flags, chosen []fault, times int) (all []struck, err error) {
	var mesh *cluster.Mesh
	if chosen[0].mesh {
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
	space, err := makeSpace(ctx, conn, syncSpace, true, 0)
	conn.Close()
	if err != nil {
		return nil, rs.blame(err)
	}
	for _, fl := range chosen {
		one, err := rs.repeat(ctx, times, fl, space)
		all = append(all, *one)
		if err != nil { // the replica set is in no state to go on
			return all, rs.blame(fmt.Errorf("%s: %w", fl.name, err))
		}
	}
	return all, nil
}

// struck is what a fault that was repeated has shown.
type struck struct {
	name                string
	gaps                []time.Duration
	failed, acked, lost int
}

func (s *struck) cells() []string {
	median, longest, all := spread(s.gaps)
	return []string{s.name, fmt.Sprint(len(s.gaps) + s.failed), median, longest, fmt.Sprint(s.failed), fmt.Sprint(s.acked), fmt.Sprint(s.lost), all}
}

func (s *struck) record() result.Record {
	r := result.Record{Line: s.name, System: ours}
	for _, g := range s.gaps {
		r.Samples = append(r.Samples, float64(g.Microseconds())/1000)
	}
	for _, q := range quantiles {
		r.Figures = append(r.Figures, result.Figure{Name: q.name, Unit: result.Millis, Value: result.Quantile(r.Samples, q.q)})
	}
	r.Figures = append(r.Figures, result.Figure{Name: "failed", Value: float64(s.failed)}, result.Figure{Name: "lost", Value: float64(s.lost)})
	return r
}

// repeat strikes so many times.
func (rs *replicaset) repeat(ctx context.Context, times int, fl fault, space uint32) (*struck, error) {
	s := &struck{name: fl.name}
	for range times {
		one, err := rs.once(ctx, fl, space)
		s.acked += one.acked
		s.lost += one.lost
		if one.gap > 0 {
			s.gaps = append(s.gaps, one.gap)
		} else {
			s.failed++
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// quantiles of a distribution that is told.
var quantiles = []struct {
	name string
	q    float64
}{{"p10", 0.1}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}}

// few is how many times are printed one by one.
const few = 20

// spread prints the median, the longest and all of some times, of many their
// quantiles.
func spread(gaps []time.Duration) (median, longest, all string) {
	if len(gaps) == 0 {
		return "-", "-", "-"
	}
	var ns []float64
	for _, g := range gaps {
		ns = append(ns, float64(g))
	}
	var texts []string
	if len(gaps) <= few {
		for _, g := range slices.Sorted(slices.Values(gaps)) {
			texts = append(texts, millis(g))
		}
	} else {
		for _, q := range quantiles {
			texts = append(texts, q.name+" "+millis(time.Duration(result.Quantile(ns, q.q))))
		}
	}
	return millis(time.Duration(result.Median(ns))), millis(slices.Max(gaps)), strings.Join(texts, " ")
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
