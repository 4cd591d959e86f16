// Command mutants hunts planted faults and prints the table of docs/testing.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"

	"tarragon.dev/tarragon/test/mutants"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, news io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	seeds := flags.Int("seeds", 500, "how many seeds a mutant may survive: as many as CI lives")
	rate := flags.Int("rate", 30, "of how many seeds the rate is taken")
	first := flags.Uint64("seed", 1, "first seed")
	procs := flags.Int("procs", runtime.GOMAXPROCS(0), "processes at once")
	only := flags.String("only", "", "names of mutants, comma separated; else all")
	area := flags.String("area", "", "mutants of one area")
	build := flags.String("build", "", "do not hunt: write the simulator with the mutant to this file")
	sample := flags.Bool("sample", false, "the few that CI hunts, and no rate")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	root, err := mutants.Root()
	if err != nil {
		fmt.Fprintln(news, err)
		return 2
	}
	if *sample {
		*rate = 0
	}
	h := mutants.Hunt{Root: root, First: *first, Seeds: *seeds, Rate: *rate, Procs: *procs}
	names := strings.Split(*only, ",")
	code, lived, died := 0, 0, 0
	if *build == "" {
		fmt.Fprint(out, mutants.TableHead)
	}
	for _, m := range mutants.All() {
		if *only != "" && !slices.Contains(names, m.Name) || *area != "" && m.Area != *area || *sample && !m.Quick {
			continue
		}
		if *build != "" {
			if err := h.Build(ctx, m, *build); err != nil {
				fmt.Fprintln(news, err)
				return 1
			}
			continue
		}
		t, err := h.Run(ctx, m)
		switch {
		case ctx.Err() != nil:
			return 1
		case err != nil:
			fmt.Fprintln(news, err)
			code = 1
			continue
		case t.Checker == "":
			code = 1
			lived++
		default:
			died++
			if !t.Expected() {
				fmt.Fprintf(news, "mutant %s: %q saw it first, expected one of %q: %s\n", m.Name, t.Checker, m.Killers, t.Text)
			}
		}
		fmt.Fprint(out, t.Line())
	}
	if *build != "" {
		return 0
	}
	fmt.Fprintf(news, "%d killed, %d survived %d seeds\n", died, lived, *seeds)
	return code
}
