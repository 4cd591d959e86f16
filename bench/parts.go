package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// part is something that is measured besides lines of the table.
type part struct {
	name  string
	named bool // only when its name is asked for
	off   func(f *flags) bool
	run   func(ctx context.Context, b *bench) error
}

// parts are all of them, in their order.
var parts = []part{
	{name: "catch up and join", off: func(f *flags) bool { return f.behind == 0 }, run: printCatchUp},
	{name: "beside scans", off: func(f *flags) bool { return f.scan == 0 }, run: printScans},
	{name: "faults", off: func(f *flags) bool { return f.faults == 0 }, run: printFaults},
	{name: "kills", named: true, off: func(f *flags) bool { return f.kills == 0 }, run: printKills},
	{name: budgetPart, named: true, off: func(*flags) bool { return false }, run: printBudget},
	{name: "filters", named: true, off: func(*flags) bool { return false }, run: printFilters},
	{name: "base copies", named: true, off: func(*flags) bool { return false }, run: printCopies},
	{name: "switchovers", named: true, off: func(f *flags) bool { return f.switchovers == 0 }, run: printSwitchovers},
	{name: tlsPart, named: true, off: func(*flags) bool { return false }, run: printTLS},
	{name: scrapesPart, named: true, off: func(*flags) bool { return false }, run: printScrapes},
	{name: routerPart, named: true, off: func(*flags) bool { return false }, run: printRouter},
	{name: hiddenPart, named: true, off: func(f *flags) bool { return f.hidden == 0 }, run: printHidden},
}

func (p *part) chosen(f *flags) bool {
	switch {
	case p.off(f):
		return false
	case f.all:
		return true
	case f.only != "":
		return strings.Contains(p.name, f.only)
	}
	return !p.named && !f.paired()
}

// measureAll measures what the flags choose, prints it and writes it down.
func measureAll(ctx context.Context, f *flags, args []string, out io.Writer) error {
	b, err := newBench(f, args, out)
	if err != nil {
		return err
	}
	failed := b.lines(ctx)
	for _, p := range parts {
		if p.chosen(f) && ctx.Err() == nil {
			failed = errors.Join(failed, p.run(ctx, b))
		}
	}
	if len(b.systems) > 1 {
		failed = errors.Join(failed, b.compare())
	}
	return errors.Join(failed, b.save())
}

// printNames prints the name of everything that --only may choose.
func printNames(f *flags, out io.Writer) {
	for _, e := range entries(f) {
		fmt.Fprintln(out, e.name())
	}
	for _, p := range parts {
		fmt.Fprintln(out, p.name)
	}
}
