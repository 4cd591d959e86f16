package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
)

// bench is a run: what was asked, and what was found so far.
type bench struct {
	f       *flags
	out     io.Writer
	systems []*system
	report  result.Report
}

func newBench(f *flags, args []string, out io.Writer) (*bench, error) {
	all, err := systems(f)
	if err != nil {
		return nil, err
	}
	b := &bench{f: f, out: out, systems: all}
	b.report = result.Report{When: time.Now().UTC(), Commit: result.Commit(), Command: args, Machine: result.ThisMachine()}
	return b, nil
}

// lines measures the lines that are chosen, those of one shape one after the
// other on the same replica sets.
func (b *bench) lines(ctx context.Context) error {
	var failed error
	byShape := map[shape][]entry{}
	var shapes []shape
	for _, e := range choose(b.f) {
		if e.alone != nil {
			failed = errors.Join(failed, b.turnsAlone(ctx, &e))
			continue
		}
		if byShape[e.shape] == nil {
			shapes = append(shapes, e.shape)
		}
		byShape[e.shape] = append(byShape[e.shape], e)
	}
	for _, s := range shapes {
		failed = errors.Join(failed, b.ofShape(ctx, s, byShape[s]))
	}
	return failed
}

// ofShape measures lines on replica sets of one shape.
func (b *bench) ofShape(ctx context.Context, s shape, chosen []entry) (failed error) {
	running := map[*system]target{}
	defer func() {
		for _, t := range running {
			t.stop()
		}
	}()
	for _, sys := range b.systems {
		if !slices.ContainsFunc(chosen, func(e entry) bool { return sys.can(&e) }) {
			continue
		}
		t, err := sys.start(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", sys.name, err)
		}
		running[sys] = t
		b.report.Note(result.System{Name: sys.name, Nodes: s.nodes, How: sys.how(s)})
	}
	if err := b.place(s); err != nil {
		return err
	}
	var lines []line
	for i := range chosen {
		more, err := b.turns(ctx, &chosen[i], running)
		lines = append(lines, more...)
		failed = errors.Join(failed, err)
	}
	if err := printLines(b.out, lines); err != nil {
		return errors.Join(failed, err)
	}
	fmt.Fprintln(b.out, `groups: batches of all nodes' logs, one sync each in the mode fsync; ops/group: over one node's groups; flushes: of the device, by everybody`)
	return failed
}

// place prints where the lines of a shape are measured.
func (b *bench) place(s shape) error {
	dir, err := newDir(b.f)
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	fs, volatile, err := fileSystem(dir)
	if err != nil {
		return err
	}
	dev := device(dir)
	b.report.Machine.FileSystem, b.report.Machine.Device = fs, dev
	fmt.Fprintf(b.out, "\n%d nodes, wal.mode %s, on %s, device %s; %s\n", s.nodes, s.wal, fs, orNone(dev), machine())
	fmt.Fprintf(b.out, "%d-byte values, keys 1..%d where the line does not say it, %s after %s of warm-up; the load process shares the machine\n",
		b.f.value, b.f.keys, b.f.duration, b.f.warmup)
	if volatile {
		fmt.Fprintln(b.out, "WARNING: this is memory, so a sync costs nothing here: give -dir on a disk")
	}
	fmt.Fprintln(b.out)
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// turns measures a line on each running system that can do it: ours, the peers,
// ours again. Without a peer there is one turn.
func (b *bench) turns(ctx context.Context, e *entry, running map[*system]target) (lines []line, failed error) {
	for turn := range b.pairs() {
		for _, sys := range b.systems {
			t := running[sys]
			if t == nil || !sys.can(e) {
				continue
			}
			l, err := b.one(ctx, t, e)
			rec := result.Record{Line: e.name(), System: sys.name, Turn: turn, Series: e.series, X: e.x}
			if err != nil {
				err = fmt.Errorf("%s, %s: %w", e.name(), sys.name, t.blame(err))
				rec.Faults = err.Error()
				b.report.Records = append(b.report.Records, rec)
				failed = errors.Join(failed, err)
				continue
			}
			if len(b.systems) > 1 {
				l.name += ", " + sys.name
			}
			rec.Figures, rec.Faults = l.figures(), l.r.Faults()
			b.report.Records = append(b.report.Records, rec)
			lines = append(lines, *l)
		}
	}
	return lines, failed
}

func (b *bench) pairs() int {
	if len(b.systems) == 1 {
		return 1
	}
	return b.f.pairs
}

// one is one turn of a system on a line, within the bound.
func (b *bench) one(ctx context.Context, t target, e *entry) (*line, error) {
	limit, cancel := context.WithTimeoutCause(ctx, b.f.bound, fmt.Errorf("not over after %s", b.f.bound))
	defer cancel()
	return measure(limit, b.f, t, e)
}

// turnsAlone measures a line that wants systems of its own.
func (b *bench) turnsAlone(ctx context.Context, e *entry) (failed error) {
	fmt.Fprintln(b.out)
	for turn := range b.pairs() {
		for _, sys := range b.systems {
			if !sys.can(e) {
				continue
			}
			figures, err := b.oneAlone(ctx, sys, e)
			rec := result.Record{Line: e.name(), System: sys.name, Turn: turn, Figures: figures}
			if err != nil {
				err = fmt.Errorf("%s, %s: %w", e.name(), sys.name, err)
				rec.Faults = err.Error()
				failed = errors.Join(failed, err)
			}
			b.report.Records = append(b.report.Records, rec)
			b.report.Note(result.System{Name: sys.name, Nodes: e.shape.nodes, How: sys.how(e.shape)})
			fmt.Fprintf(b.out, "%s, %s: %s\n", e.name(), sys.name, figuresText(figures))
		}
	}
	return failed
}

func (b *bench) oneAlone(ctx context.Context, sys *system, e *entry) ([]result.Figure, error) {
	limit, cancel := context.WithTimeoutCause(ctx, b.f.bound, fmt.Errorf("not over after %s", b.f.bound))
	defer cancel()
	return e.alone(limit, b, sys, e)
}

func figuresText(figures []result.Figure) string {
	var parts []string
	for _, f := range figures {
		parts = append(parts, fmt.Sprintf("%s %.6g %s", f.Name, f.Value, f.Unit))
	}
	return strings.Join(parts, ", ")
}

// figures of a line, for the report.
func (l *line) figures() []result.Figure {
	us := func(name string, percent float64) result.Figure {
		return result.Figure{Name: name, Unit: result.Micros, Value: float64(l.r.Lat.At(percent).Nanoseconds()) / 1000}
	}
	d, secs := l.meter.delta(), l.r.Window.Seconds()
	all := []result.Figure{
		{Name: opsFigure, Unit: result.PerSecond, Value: l.r.Throughput()},
		us("p50", 50), us("p99", 99), us("p99.9", 99.9), us("max", 100),
		{Name: "errors", Value: float64(l.r.Failed() + l.r.Unanswered)},
		{Name: "client cpu", Unit: result.Cores, Value: ratio(d.client.Seconds(), secs)},
	}
	if len(l.meter.nodes) > 0 {
		all = append(all, result.Figure{Name: "nodes cpu", Unit: result.Cores, Value: ratio(d.nodes.Seconds(), secs)},
			result.Figure{Name: "cpu/op", Unit: result.Micros, Value: ratio(float64((d.nodes + d.client).Microseconds()), float64(l.r.OK))})
	}
	if l.r.Driver != load.Library && d.counted {
		all = append(all, result.Figure{Name: "ops/group", Value: ratio(float64(l.r.OK)*float64(len(l.meter.nodes)), float64(d.groups))})
	}
	if l.r.Rate > 0 {
		all = append(all, result.Figure{Name: "due", Unit: result.PerSecond, Value: l.r.Rate})
	}
	return all
}

// opsFigure is the figure of throughput.
const opsFigure = "ops/s"
