// Command live lives seeds one after the other and prints a line for each: its
// number, and if it failed the checker and the first line of what it said.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"tarragon.dev/tarragon/test/sim"
)

// longest is how long one life may take before it counts as one that hangs: a
// thousand times what it takes.
const longest = 5 * time.Minute

func main() {
	seed := flag.Uint64("seed", 1, "first seed")
	end := flag.Uint64("end", 2, "the seed after the last")
	step := flag.Uint64("step", 1, "between two seeds")
	mixed := flag.Bool("mixed", false, "some hosts are of Tarantool's kind")
	flag.Parse()
	for s := *seed; s < *end; s += *step {
		watch := time.AfterFunc(longest, func() {
			fmt.Printf("%d\thang\tno end after %v\n", s, longest)
			os.Exit(0)
		})
		err := sim.Run(s, sim.Options{Mixed: *mixed}, nil).Err
		watch.Stop()
		var v *sim.Violation
		switch {
		case errors.As(err, &v):
			first, _, _ := strings.Cut(v.Text, "\n")
			fmt.Printf("%d\t%s\t%s\n", s, v.Checker, strings.ReplaceAll(first, "\t", " "))
		case err != nil:
			fmt.Printf("%d\terror\t%v\n", s, err)
		default:
			fmt.Println(s)
		}
	}
}
