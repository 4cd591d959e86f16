package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/bench/svg"
)

// plot is a chart and the name of its file.
type plot struct {
	name  string
	write func(io.Writer) error
}

// plots are the charts that a report has figures for.
func plots(r *result.Report) (all []plot) {
	for _, peer := range peersOf(r.Ratios) {
		bars := svg.Bars{Title: "operations a second, ours divided by " + peer}
		for _, ratio := range r.Ratios {
			if ratio.Peer == peer && ratio.Figure == opsFigure {
				bars.Bars = append(bars.Bars, svg.Bar{Name: ratio.Line, Value: ratio.Median, Low: ratio.Low, High: ratio.High})
			}
		}
		if len(bars.Bars) > 0 {
			all = append(all, plot{"ratios-" + fileName(peer), bars.Write})
		}
	}
	for _, series := range seriesOf(r.Records) {
		chart := growthChart(r.Records, series)
		all = append(all, plot{fileName(series), chart.Write})
	}
	if chart := distribution(r.Records); len(chart.Curves) > 0 {
		all = append(all, plot{"faults", chart.Write})
	}
	return all
}

func peersOf(ratios []result.Ratio) (all []string) {
	for i := range ratios {
		if !slices.Contains(all, ratios[i].Peer) {
			all = append(all, ratios[i].Peer)
		}
	}
	return all
}

func seriesOf(records []result.Record) (all []string) {
	for i := range records {
		if s := records[i].Series; s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// growthChart has a curve for each system: the median of all turns at each point.
func growthChart(records []result.Record, series string) *svg.Chart {
	var names []string
	curves := map[string]map[float64][]float64{}
	for i := range records {
		r := &records[i]
		ops, known := r.Value(opsFigure)
		if r.Series != series || !known {
			continue
		}
		if curves[r.System] == nil {
			curves[r.System] = map[float64][]float64{}
			names = append(names, r.System)
		}
		curves[r.System][r.X] = append(curves[r.System][r.X], ops)
	}
	what, by, _ := strings.Cut(series, " by ")
	c := &svg.Chart{Title: what, X: by, Y: "operations a second", LogX: by != "nodes"}
	for _, name := range names {
		curve := svg.Curve{Name: name}
		for x, all := range curves[name] {
			curve.Points = append(curve.Points, svg.Point{X: x, Y: result.Median(all)})
		}
		slices.SortFunc(curve.Points, func(a, b svg.Point) int { return int(a.X - b.X) })
		c.Curves = append(c.Curves, curve)
	}
	return c
}

// distribution has a curve for each line with samples: how many percent of them
// took no longer.
func distribution(records []result.Record) *svg.Chart {
	c := &svg.Chart{Title: "time to the next commit", X: "ms", Y: "percent of the faults", LogX: true}
	for i := range records {
		r := &records[i]
		if len(r.Samples) == 0 {
			continue
		}
		curve := svg.Curve{Name: r.Line}
		for n, ms := range slices.Sorted(slices.Values(r.Samples)) {
			curve.Points = append(curve.Points, svg.Point{X: ms, Y: 100 * float64(n+1) / float64(len(r.Samples))})
		}
		c.Curves = append(c.Curves, curve)
	}
	return c
}

// fileName makes a name of words: "sync replace by bytes" is
// sync-replace-by-bytes.
func fileName(s string) string {
	words := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == ',' || c == '/' || c == ':' })
	return strings.Join(words, "-")
}

// writeFile makes a file.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.Close()
}
