// Command sim lives one seed, or many, and says what broke.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"tarragon.dev/tarragon/test/sim"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

func run(args []string, out io.Writer) int {
	flags := flag.NewFlagSet("sim", flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "first seed")
	seeds := flags.Uint64("n", 1, "how many seeds")
	verbose := flags.Bool("v", false, "tell the story: one line per change of state")
	hosts := flags.Int("hosts", 0, "number of hosts instead of the drawn one")
	faults := flags.String("faults", "", "kinds of faults instead of the drawn ones, comma separated; or all")
	blind := flags.Bool("blind", false, "watch the damage of a planted fault, not the broken promise")
	broken := flags.String("break", "", "a planted fault: "+strings.Join(sim.BreakNames(), ", "))
	mixed := flags.Bool("mixed", false, "some hosts are of Tarantool's kind")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	o := sim.Options{Hosts: *hosts, BlindToPromises: *blind, Mixed: *mixed}
	if *faults != "" {
		o.Faults = strings.Split(*faults, ",")
		if *faults == "all" {
			o.Faults = sim.FaultNames()
		}
		if unknown := sim.UnknownFaults(o.Faults); len(unknown) > 0 {
			fmt.Fprintf(out, "no kinds of faults: %s; there are %s\n", strings.Join(unknown, ", "), strings.Join(sim.FaultNames(), ", "))
			return 2
		}
	}
	if *broken != "" {
		var ok bool
		if o.Break, ok = sim.BreakNamed(*broken); !ok {
			fmt.Fprintf(out, "no planted fault %q\n", *broken)
			return 2
		}
	}
	var story io.Writer
	if *verbose {
		story = out
	}
	var table sim.Table
	failed := 0
	for s := *seed; s < *seed+*seeds; s++ {
		r := sim.Run(s, o, story)
		table.Add(&r.Table)
		if r.Err != nil {
			failed++
			fmt.Fprintf(out, "seed %d: %v\n", s, r.Err)
		} else if *seeds == 1 {
			fmt.Fprintf(out, "seed %d: %v lived, %d leaders, %d writes acknowledged, %d kinds of faults, trace %016x\n",
				s, r.Virtual, r.Leaders, r.Acked, r.Faults, r.Hash)
		}
	}
	if *seeds > 1 {
		table.Print(out)
		fmt.Fprintf(out, "%d of %d seeds failed\n", failed, *seeds)
	}
	if failed > 0 {
		return 1
	}
	return 0
}
