package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"tarragon.dev/tarragon/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// flags are what the command line says.
type flags struct {
	addrs          list
	user, password string

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

	binary string
	dir    string
	wal    string
	only   string
	faults int
	behind uint64
	scan   int
	nodes  int
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
	fs.StringVar(&f.workload, "workload", "replace", "workload for -addr: "+workloadHelp())
	fs.BoolVar(&f.connector, "connector", false, "send through go-tarantool instead of prepared bytes")
	fs.IntVar(&f.conns, "conns", 1, "connections")
	fs.IntVar(&f.inflight, "inflight", 512, "requests in flight on all connections together")
	fs.IntVar(&f.clients, "clients", 0, "so many clients, each with a connection and one request at a time, instead of -conns and -inflight")
	fs.Float64Var(&f.rate, "rate", 0, "requests a second, latency counted from when each was due; 0: as fast as answers come")
	fs.Uint64Var(&f.keys, "keys", 100_000, "size of the key range")
	fs.IntVar(&f.value, "value", 64, "bytes of a value")
	fs.IntVar(&f.reads, "reads", 50, "percent of reads in the workload mixed")
	fs.DurationVar(&f.warmup, "warmup", 2*time.Second, "load before the measurement")
	fs.DurationVar(&f.duration, "duration", 5*time.Second, "length of the measurement")
	fs.BoolVar(&f.keep, "keep", false, "leave spaces, data and logs in place")
	fs.StringVar(&f.binary, "binary", "../bin/tarragon", "without -addr: the server to start")
	fs.StringVar(&f.dir, "dir", "", "without -addr: directory for the nodes' data; default: a new one beside the binary")
	fs.StringVar(&f.wal, "wal", "fsync", "without -addr: wal.mode of the nodes")
	fs.IntVar(&f.nodes, "nodes", 3, "without -addr: how many nodes")
	fs.StringVar(&f.only, "only", "", "without -addr: only lines of the table whose name has this in it")
	fs.IntVar(&f.faults, "faults", 5, "without -addr: how often each fault of the leader is repeated")
	fs.Uint64Var(&f.behind, "behind", 1_000_000, "without -addr: how many rows a follower is behind when it catches up; 0: do not")
	fs.IntVar(&f.scan, "scan", 1024, "without -addr: MiB of the space that is scanned beside writes; 0: do not")
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
	if f.clients > 0 {
		f.conns, f.inflight = f.clients, f.clients
	}
	return &f, nil
}

func workloadHelp() string {
	var parts []string
	for _, k := range load.Kinds {
		parts = append(parts, k.Name+" ("+k.Help+")")
	}
	return strings.Join(parts, ", ")
}

func run(ctx context.Context, args []string, out io.Writer) error {
	f, err := parse(args, out)
	if err != nil {
		return err
	}
	if len(f.addrs) > 0 {
		return driveAddress(ctx, f, out)
	}
	return standardTable(ctx, f, out)
}
