package main

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
)

func TestFigures(t *testing.T) {
	r := &load.Result{Window: 2 * time.Second, OK: 400_000, Conns: 1, InFlight: 512, Lat: load.NewHist(), Rate: 250_000}
	r.Lat.Add(1500 * time.Microsecond)
	m := &meter{from: counters{client: time.Second}, to: counters{client: 2 * time.Second}}
	rec := result.Record{Figures: (&line{r: r, meter: m}).figures()}
	for name, want := range map[string]float64{opsFigure: 200_000, "p50": 1500, "p99": 1500, "client cpu": 0.5, "due": 250_000, "errors": 0} {
		if got, ok := rec.Value(name); !ok || math.Abs(got-want) > want/500 {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	if _, ok := rec.Value("nodes cpu"); ok {
		t.Error("the processors of a foreign server are told")
	}
}

func TestParseResident(t *testing.T) {
	if got, err := parseResident("VmHWM:\t 99 kB\nVmRSS:\t     200 kB\n"); err != nil || got != 200*1024 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseResident("VmHWM:\t 99 kB\n"); err == nil {
		t.Error("nothing is told, and taken")
	}
}

func TestStruckMany(t *testing.T) {
	s := &struck{name: "SIGKILL", acked: 7, failed: 1}
	for i := range 100 {
		s.gaps = append(s.gaps, time.Duration(100-i)*time.Millisecond)
	}
	cells := s.cells()
	if want := []string{"SIGKILL", "101", "50ms", "100ms", "1", "7", "0", "p10 10ms p50 50ms p90 90ms p99 99ms max 100ms"}; !slices.Equal(cells, want) {
		t.Errorf("%q", cells)
	}
	rec := s.record()
	if p99, _ := rec.Value("p99"); p99 != 99 || len(rec.Samples) != 100 {
		t.Errorf("%+v", rec)
	}
}

// report has what each kind of chart is made of.
func report() *result.Report {
	ops := func(line, system, series string, turn int, x, v float64) result.Record {
		return result.Record{Line: line, System: system, Series: series, Turn: turn, X: x, Figures: []result.Figure{{Name: opsFigure, Value: v}}}
	}
	r := &result.Report{Records: []result.Record{
		ops("3 nodes", ours, "sync replace by nodes", 0, 3, 50), ops("3 nodes", "tarantool 3", "sync replace by nodes", 0, 3, 25),
		ops("3 nodes", ours, "sync replace by nodes", 1, 3, 70),
		ops("1 nodes", ours, "sync replace by nodes", 0, 1, 100),
		{Line: "SIGKILL", System: ours, Samples: []float64{30, 10, 20}},
	}}
	r.Ratios = result.Compare(r.Records, ours, "tarantool 3", opsFigure)
	return r
}

func TestPlots(t *testing.T) {
	var names []string
	for _, p := range plots(report()) {
		var b strings.Builder
		if err := p.write(&b); err != nil || !strings.HasPrefix(b.String(), "<svg") {
			t.Errorf("%s: %v", p.name, err)
		}
		names = append(names, p.name)
	}
	if want := []string{"ratios-tarantool-3", "sync-replace-by-nodes", "faults"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	chart := growthChart(report().Records, "sync replace by nodes")
	got := map[string][]float64{}
	for _, c := range chart.Curves {
		for _, p := range c.Points {
			got[c.Name] = append(got[c.Name], p.X, p.Y)
		}
	}
	if want := map[string][]float64{ours: {1, 100, 3, 60}, "tarantool 3": {3, 25}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	steps := distribution(report().Records).Curves[0].Points
	if last := steps[len(steps)-1]; steps[0].X != 10 || last.X != 30 || last.Y != 100 {
		t.Errorf("%v", steps)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := writeFile(path, func(w io.Writer) error { _, err := io.WriteString(w, "b"); return err }); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "b" {
		t.Errorf("%q, %v", raw, err)
	}
	broken := errors.New("broken")
	if err := writeFile(path, func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
