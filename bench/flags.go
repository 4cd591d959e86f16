package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tarragon.dev/tarragon/bench/load"
)

// flags are what the command line says.
type flags struct {
	addrs          list
	user, password string
	loadFlags
	nodeFlags
	lineFlags
	outFlags
}

// loadFlags are about the load: of the one workload for -addr, of each line that
// has no figure of its own else.
type loadFlags struct {
	workload  string
	connector bool
	conns     int
	inflight  int
	clients   int
	rate      float64
	keys      uint64
	value     int
	reads     int
	warmup    time.Duration
	duration  time.Duration
	keep      bool
}

// nodeFlags are about the systems that are started.
type nodeFlags struct {
	binary    string
	dir       string
	wal       string
	nodes     int
	peers     list
	tarantool string
	base      string
}

// lineFlags choose lines, and say how large the large ones are.
type lineFlags struct {
	only  string
	all   bool
	list  bool
	pairs int
	bound time.Duration
	many  uint64
	rows  uint64
	kills int
	// switchovers is how often the part of that name moves leadership; its flag given
	// alone measures nothing else.
	switchovers int
	hidden      int  // how often the part of that name loses the leader in each way; as switchovers
	budget      bool // the part of that name alone
	scrapes     bool // the same
	router      bool // the same
	tls         bool // the same
	faults      int
	behind      uint64
	scan        int
}

// outFlags say where results go besides the output.
type outFlags struct {
	json  string
	plots string
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, strings.Split(s, ",")...); return nil }

func parse(args []string, out io.Writer) (*flags, error) {
	var f flags
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.Var(&f.addrs, "addr", "drive the server at this address (repeat for a replica set: its leader is driven)")
	fs.StringVar(&f.user, "user", "", "user for -addr; none: guest")
	fs.StringVar(&f.password, "password", "", "password for -user")
	f.loadFlags.define(fs)
	f.nodeFlags.define(fs)
	f.lineFlags.define(fs)
	fs.StringVar(&f.json, "json", "", "write the results into this file, as JSON")
	fs.StringVar(&f.plots, "plots", "", "write charts of what was measured into this directory, as SVG")
	fs.Usage = func() {
		fmt.Fprint(out, "bench measures a replica set: three nodes that it starts, or what -addr says.\n\n")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if f.pairs < 1 {
		return nil, fmt.Errorf("%d pairs: at least 1", f.pairs)
	}
	if f.clients > 0 {
		f.conns, f.inflight = f.clients, f.clients
	}
	if f.budget {
		f.only = budgetPart
	}
	if f.router {
		f.only = routerPart
	}
	if f.tls {
		f.only = tlsPart
	}
	if f.scrapes {
		f.only = scrapesPart
	}
	fs.Visit(func(given *flag.Flag) {
		if given.Name == "switchovers" && f.only == "" {
			f.only = "switchovers"
		}
		if given.Name == "hidden-failovers" && f.only == "" {
			f.only = hiddenPart
		}
	})
	return &f, nil
}

func (f *loadFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&f.workload, "workload", "replace", "workload for -addr: "+workloadHelp())
	fs.BoolVar(&f.connector, "connector", false, "for -addr: send through go-tarantool instead of prepared bytes")
	fs.IntVar(&f.conns, "conns", 1, "for -addr: connections")
	fs.IntVar(&f.inflight, "inflight", 512, "for -addr: requests in flight on all connections together")
	fs.IntVar(&f.clients, "clients", 0, "for -addr: so many clients, each with a connection and one request at a time, instead of -conns and -inflight")
	fs.Float64Var(&f.rate, "rate", 0, "for -addr: requests a second, latency counted from when each was due; 0: as fast as answers come")
	fs.Uint64Var(&f.keys, "keys", 100_000, "size of the key range")
	fs.IntVar(&f.value, "value", 64, "bytes of a value")
	fs.IntVar(&f.reads, "reads", 50, "percent of reads in the workloads mixed and async-mixed")
	fs.DurationVar(&f.warmup, "warmup", 2*time.Second, "load before the measurement")
	fs.DurationVar(&f.duration, "duration", 5*time.Second, "length of the measurement")
	fs.BoolVar(&f.keep, "keep", false, "leave spaces, data and logs in place")
}

// paired: ours is not measured alone.
func (f *nodeFlags) paired() bool { return len(f.peers) > 0 || f.base != "" }

func (f *nodeFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&f.binary, "binary", "../bin/tarragon", "the server to start")
	fs.StringVar(&f.dir, "dir", "", "directory for the nodes' data; default: a new one beside the binary")
	fs.StringVar(&f.wal, "wal", "fsync", "wal.mode of the nodes of lines that do not say it")
	fs.IntVar(&f.nodes, "nodes", 3, "how many nodes, for lines that do not say it")
	fs.Var(&f.peers, "peer", "measure this one too, in turns: tarantool, etcd or postgresql (repeat)")
	fs.StringVar(&f.base, "base", "", "measure this other build of ours too, in turns")
	fs.StringVar(&f.tarantool, "tarantool", os.Getenv("TARANTOOL"), "for -peer tarantool: its program; default: $TARANTOOL, else the one in PATH")
}

func (f *lineFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&f.only, "only", "", "only lines whose name has this in it; default: the standard table, with a peer its lines and those of one and three nodes")
	fs.BoolVar(&f.all, "all", false, "all lines")
	fs.BoolVar(&f.list, "list", false, "print the names of all lines")
	fs.IntVar(&f.pairs, "pairs", 3, "for -peer, -base, -router and -tls: how often each side has its turn")
	fs.DurationVar(&f.bound, "bound", 3*time.Minute, "no turn of a line takes longer, with the filling of its space")
	fs.Uint64Var(&f.many, "many", 6_000_000, "keys of the lines with many keys")
	fs.Uint64Var(&f.rows, "rows", 1_000_000, "rows of the lines about memory and about the start")
	fs.IntVar(&f.kills, "kills", 100, "how often the line kills kills the leader")
	fs.IntVar(&f.switchovers, "switchovers", 100, "how often the line switchovers moves leadership; given without -only: that line alone")
	fs.IntVar(&f.hidden, "hidden-failovers", 100, "how often the line hidden failovers kills, stops and moves the leader behind a router; given without -only: that line alone")
	fs.BoolVar(&f.budget, "budget", false, "measure what one request costs each process, and nothing else")
	fs.BoolVar(&f.tls, "tls", false, "measure what TLS takes, and nothing else")
	fs.BoolVar(&f.scrapes, "scrapes", false, "measure what a scrape of each node each second costs, and nothing else")
	fs.BoolVar(&f.router, "router", false, "measure what a router adds to requests and numbers to writes, and nothing else")
	fs.IntVar(&f.faults, "faults", 5, "how often each fault of the leader is repeated; 0: none")
	fs.Uint64Var(&f.behind, "behind", 1_000_000, "how many rows a follower is behind when it catches up; 0: do not")
	fs.IntVar(&f.scan, "scan", 1024, "MiB of the space that is scanned beside writes; 0: do not")
}

func workloadHelp() string {
	var parts []string
	for _, k := range load.Kinds {
		parts = append(parts, k.Name+" ("+k.Help+")")
	}
	return strings.Join(parts, ", ")
}
