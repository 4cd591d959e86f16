// Command model checks the rules of Tarragon's synchronous replication, its
// elections and its membership: every history within small bounds, or long
// random ones. See README.md.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() { os.Exit(run()) }

// options of one run, as the command line gives them.
type options struct {
	rules string
	Model
	live, seed  uint64
	max, length int
	walk        time.Duration
	quiet       bool
}

func parse(args []string) (o options, err error) {
	set := flag.NewFlagSet("model", flag.ContinueOnError)
	b := &o.Bounds
	set.StringVar(&o.rules, "rules", "final", "rule set: "+strings.Join(ruleNames(), ", "))
	set.IntVar(&b.N, "n", 3, "IDs")
	set.IntVar(&b.Members, "members", 0, "voters at the start; 0: all IDs")
	set.IntVar(&b.Quorum, "synchro", 0, "synchronous quorum at the start; 0: N/2+1")
	set.BoolVar(&b.Ready, "ready", false, "IDs beyond -members are learners that hold the state")
	set.IntVar(&b.Terms, "terms", 3, "greatest term")
	set.IntVar(&b.Writes, "writes", 1, "client writes")
	set.IntVar(&b.Crashes, "crashes", 0, "crashes")
	set.IntVar(&b.Wipes, "wipes", 0, "lost disks (same-id only)")
	set.IntVar(&b.Rejoins, "rejoins", 0, "state transfers to an instance that has a state")
	set.IntVar(&b.Handovers, "handovers", 0, "handovers of the write role")
	set.IntVar(&b.Tokens, "tokens", 0, "tokens that agents promote with, any number of times each; 0: instances stand by themselves")
	for c, name := range changeNames {
		set.IntVar(&b.Changes[c], name, 0, "changes of that kind")
	}
	set.BoolVar(&b.Data, "data", false, "compare committed client writes only, not the rows of the protocol")
	set.BoolVar(&b.Coarse, "coarse", false, "elections and commits are one step each: fewer states, deeper histories")
	set.BoolVar(&b.Bulk, "bulk", false, "coarse, and rows move only with a commit or before a candidacy: fewer states still")
	set.Uint64Var(&o.live, "live", 1, "check liveness in every k-th state, 0: never")
	set.IntVar(&o.max, "max", 150_000_000, "stop after so many states")
	set.DurationVar(&o.walk, "walk", 0, "random walks for so long instead of the exhaustive search")
	set.IntVar(&o.length, "length", 300, "steps of a walk")
	set.Uint64Var(&o.seed, "seed", 1, "first seed of the walks")
	set.BoolVar(&o.quiet, "q", false, "print the result only")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	rules, ok := mutations[o.rules]
	if !ok {
		return o, fmt.Errorf("no rule set %q", o.rules)
	}
	o.Rules = rules
	b.Coarse = b.Coarse || b.Bulk
	if b.Members == 0 {
		b.Members = b.N
	}
	if b.N > maxN || b.Members > b.N {
		return o, fmt.Errorf("%d IDs, %d of them members: at most %d IDs", b.N, b.Members, maxN)
	}
	return o, nil
}

func run() int {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	out := io.Writer(os.Stdout)
	if o.quiet {
		out = io.Discard
	}
	began := time.Now()
	var res Result
	if o.walk > 0 {
		w := &Walker{Model: o.Model, Seed: o.seed, Length: o.length, For: o.walk, Out: out}
		var at uint64
		res, at = w.Run()
		fmt.Printf("%s: %d walks, %d steps", o.rules, at-o.seed+1, res.States)
	} else {
		e := &Explorer{Model: o.Model, LiveEvery: o.live, MaxStates: o.max, Out: out}
		res = e.Run()
		fmt.Printf("%s: %d states, depth %d, complete %v", o.rules, res.States, res.Depth, res.Complete)
	}
	fmt.Printf(", %d liveness checks, %.0fs", res.LiveChecks, time.Since(began).Seconds())
	if res.Err == nil {
		fmt.Println(": no violation")
		return 0
	}
	fmt.Printf(": VIOLATION after %d steps: %v\n", len(res.Trace), res.Err)
	o.print(res.Start, res.Trace)
	return 1
}

// print tells a trace as a story: each step and what the instance it changed
// looks like after it.
func (m *Model) print(s *State, trace []Step) {
	for i, p := range trace {
		t, _ := m.Do(s, p)
		s = t
		who := p.A
		fmt.Printf("%3d. %-34v %c: %v\n", i+1, p, 'A'+who, &s.Node[who])
	}
}

func (n *Node) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "term %d %s, committed t%d/%d, log", n.Term, [...]string{"follower", "waiting", "candidate", "leader"}[n.Role], n.CTerm, n.CLSN)
	for i, r := range n.Log {
		if i == int(n.Synced) {
			b.WriteString(" |unsynced:")
		}
		fmt.Fprintf(&b, " (%v)", r)
	}
	return b.String()
}
