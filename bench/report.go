package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tarragon.dev/tarragon/bench/load"
)

// line is one measured workload.
type line struct {
	name        string
	r           *load.Result
	meter       *meter
	checkpoints int // taken meanwhile
}

// header and row of the table of workloads.
var columns = []string{"workload", "driver", "conns", "in flight", "ops/s", "p50", "p99", "p99.9", "max", "errors",
	"client cpu", "nodes cpu", "us/op", "groups/s", "ops/group", "flushes/s"}

func (l *line) cells() []string {
	secs := l.r.Window.Seconds()
	d := l.meter.delta()
	cells := []string{
		l.name, l.r.Driver.String(), fmt.Sprint(l.r.Conns), fmt.Sprint(l.r.InFlight),
		count(l.r.Throughput()),
		micros(l.r.Lat.At(50)), micros(l.r.Lat.At(99)), micros(l.r.Lat.At(99.9)), micros(l.r.Lat.Max()),
		fmt.Sprint(l.r.Failed() + l.r.Unanswered),
		fmt.Sprintf("%.2f", ratio(d.client.Seconds(), secs)),
	}
	if len(l.meter.nodes) == 0 {
		return append(cells, "-", "-", "-", "-", flushes(d, secs))
	}
	cells = append(cells, fmt.Sprintf("%.2f", ratio(d.nodes.Seconds(), secs)),
		fmt.Sprintf("%.2f", ratio(float64((d.nodes+d.client).Microseconds()), float64(l.r.OK))))
	if !d.counted {
		return append(cells, "-", "-", flushes(d, secs))
	}
	groups := float64(d.groups)
	return append(cells, count(ratio(groups, secs)),
		fmt.Sprintf("%.1f", ratio(float64(l.r.OK)*float64(len(l.meter.nodes)), groups)), flushes(d, secs))
}

func flushes(d counters, secs float64) string {
	if !d.flushed {
		return "-"
	}
	return count(ratio(float64(d.flushes), secs))
}

// delta is what happened in the window.
func (m *meter) delta() counters {
	return counters{
		client: m.to.client - m.from.client, nodes: m.to.nodes - m.from.nodes,
		groups: m.to.groups - m.from.groups, counted: m.from.counted && m.to.counted,
		flushes: m.to.flushes - m.from.flushes, flushed: m.from.flushed && m.to.flushed,
	}
}

// printTable writes rows in columns that line up.
func printTable(out io.Writer, head []string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, strings.Join(head, "\t")+"\t")
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t")+"\t")
	}
	return w.Flush()
}

// count prints a rate.
func count(n float64) string {
	switch {
	case n >= 100_000:
		return fmt.Sprintf("%.0fk", n/1000)
	case n >= 1000:
		return fmt.Sprintf("%.1fk", n/1000)
	}
	return fmt.Sprintf("%.0f", n)
}

// micros prints a latency.
func micros(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%dus", d.Microseconds())
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
