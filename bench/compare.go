package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tarragon.dev/tarragon/bench/result"
)

// compared are the figures that have ratios.
var compared = []string{opsFigure, "p50", "p99", memoryFigure, connectionFigure, startFigure}

// compare prints how ours and the peers compare, pair by pair.
func (b *bench) compare() error {
	for _, sys := range b.systems[1:] {
		ratios := result.Compare(b.report.Records, ours, sys.name, compared...)
		if len(ratios) == 0 {
			continue
		}
		b.report.Ratios = append(b.report.Ratios, ratios...)
		fmt.Fprintf(b.out, "\n%s divided by %s, pair by pair; rates: more is better, times and bytes: less is\n\n", ours, sys.name)
		var rows [][]string
		for _, r := range ratios {
			rows = append(rows, []string{r.Line, r.Figure, figure(r.Figure, r.Ours), figure(r.Figure, r.Other),
				fmt.Sprintf("%.2f", r.Median), fmt.Sprintf("%.2f .. %.2f", r.Low, r.High), fmt.Sprint(len(r.Pairs))})
		}
		if err := printTable(b.out, []string{"line", "figure", ours, sys.name, "ratio", "range", "pairs"}, rows); err != nil {
			return err
		}
	}
	return nil
}

// figure prints a value as its name wants it.
func figure(name string, v float64) string {
	switch name {
	case opsFigure, startFigure:
		return count(v)
	case memoryFigure, connectionFigure:
		return fmt.Sprintf("%.0f B", v)
	}
	return fmt.Sprintf("%.0fus", v)
}

// save writes the report and the charts where the flags say.
func (b *bench) save() error {
	var failed error
	if b.f.json != "" {
		failed = writeFile(b.f.json, b.report.Write)
	}
	if b.f.plots == "" {
		return failed
	}
	if err := os.MkdirAll(b.f.plots, 0o755); err != nil {
		return errors.Join(failed, err)
	}
	for _, p := range plots(&b.report) {
		failed = errors.Join(failed, writeFile(filepath.Join(b.f.plots, p.name+".svg"), p.write))
	}
	return failed
}
