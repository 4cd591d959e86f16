package main

import (
	"context"
	"fmt"
	"strings"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/result"
)

// entry is a line of a table: a workload on a replica set of some shape. What is
// zero is as the flags say.
type entry struct {
	group string // lines that are chosen together; its name is before theirs, but for the standard table
	short string // its name within the group
	shape shape
	kind  string // of load.Kinds

	conns, inflight int
	keys            uint64
	value           int
	random          bool // values do not compress
	reads           int  // percent
	driver          load.Driver

	peak       float64 // share of the rate that a closed loop reached just before; 0: closed loop
	checkpoint bool    // one checkpoint after the other is taken meanwhile
	quorum     bool    // one row on the disks of a quorum: what etcd and PostgreSQL do too
	x          float64 // what grows in the group's charts
	series     string  // the curve; empty: no chart

	// alone measures something else than a workload, on a system of its own.
	alone func(ctx context.Context, b *bench, sys *system, e *entry) ([]result.Figure, error)
}

// shape is what kind of replica set a line wants.
type shape struct {
	nodes int
	wal   string // "write" or "fsync"
	mvcc  bool   // Tarantool with its transaction manager; ours always has one
	// routers: each node of ours has one in it.
	routers bool
	// tls: each node of ours has a second address, with TLS and mutual certificates.
	tls bool
	// http: each node of ours answers scrapes.
	http bool
}

// name of a line, by which it is chosen.
func (e *entry) name() string {
	if e.group == standard {
		return e.short
	}
	return e.group + ": " + e.short
}

// Groups of lines.
const (
	standard   = "standard"
	oneNode    = "one node"
	threeNodes = "three nodes"
	values     = "values"
	growth     = "growth"
)

// Shapes of groups that say them: syncs are not what one node is asked about.
var (
	oneWrite   = shape{nodes: 1, wal: "write"}
	threeFsync = shape{nodes: 3, wal: "fsync"}
)

const million = 1_000_000

// entries are all lines.
func entries(f *flags) (all []entry) {
	all = append(all, standardEntries...)
	all = append(all, oneNodeEntries(f)...)
	all = append(all, threeNodesEntries()...)
	all = append(all, valueEntries()...)
	return append(all, growthEntries()...)
}

var standardEntries = []entry{
	{short: "sync replace", kind: "replace", conns: 1, inflight: 512},
	{short: "sync replace, one client", kind: "replace", conns: 1, inflight: 1, quorum: true},
	{short: "sync replace, 16 clients", kind: "replace", conns: 16, inflight: 16, quorum: true},
	{short: "async replace", kind: "async", conns: 1, inflight: 512},
	{short: "point select", kind: "select", conns: 1, inflight: 512},
	{short: "sync replace, application", kind: "replace", conns: 1, inflight: 512, driver: load.Connector},
}

func init() {
	for i := range standardEntries {
		standardEntries[i].group = standard
	}
}

// oneNodeEntries are about the processor: the log is written and not synced.
func oneNodeEntries(f *flags) []entry {
	all := []entry{
		{short: "replace, one client", kind: "async", conns: 1, inflight: 1},
		{short: "replace, 64 clients", kind: "async", conns: 64, inflight: 64},
		{short: "replace, 4000 clients", kind: "async", conns: 4000, inflight: 4000},
		{short: "insert", kind: "async-insert", conns: 1, inflight: 512},
		{short: "replace", kind: "async", conns: 1, inflight: 512, keys: million},
		{short: "replace beside checkpoints", kind: "async", conns: 1, inflight: 512, keys: million, checkpoint: true},
		{short: "select", kind: "async-select", conns: 1, inflight: 512, keys: million},
		{short: "mixed 90/10", kind: "async-mixed", conns: 1, inflight: 512, keys: million, reads: 90},
		{short: fmt.Sprintf("range select of %d", load.RangeLen), kind: "range", conns: 1, inflight: 16, keys: million},
		{short: "open loop at 50 %", kind: "async", conns: 1, inflight: 512, keys: million, peak: 0.5},
		{short: "open loop at 80 %", kind: "async", conns: 1, inflight: 512, keys: million, peak: 0.8},
		{short: "select, many keys", kind: "async-select", conns: 1, inflight: 512, keys: f.many},
		{short: "select by a secondary index", kind: "secondary", conns: 1, inflight: 512, keys: million},
		{short: "replace with three secondary indexes", kind: "indexed", conns: 1, inflight: 512},
		{short: "transactions of three statements", kind: "async-txn", conns: 1, inflight: 64},
		{short: "transactions of two selects", kind: "read-txn", conns: 1, inflight: 64},
		{short: fmt.Sprintf("pages of %d", load.RangeLen), kind: "pages", conns: 1, inflight: 4, keys: million},
		{short: "memory of a tuple", alone: memoryOfTuple},
		{short: "memory of a connection", alone: memoryOfConnection},
		{short: "start from the log", alone: startFromLog},
	}
	for i := range all {
		all[i].group, all[i].shape = oneNode, oneWrite
		all[i].shape.mvcc = isTxn(all[i].kind)
	}
	return all
}

// threeNodesEntries are about the quorum: each row is on the disks of two.
func threeNodesEntries() []entry {
	all := []entry{
		{short: "replace, 64 clients", kind: "replace", conns: 64, inflight: 64, quorum: true},
		{short: "replace, 4000 clients", kind: "replace", conns: 4000, inflight: 4000},
		{short: "insert", kind: "insert", conns: 1, inflight: 512},
		{short: "transactions of three statements", kind: "txn", conns: 1, inflight: 64},
		{short: "async insert", kind: "async-insert", conns: 1, inflight: 512},
		{short: "mixed 90/10", kind: "mixed", conns: 1, inflight: 512, reads: 90},
		{short: "replace beside checkpoints", kind: "replace", conns: 1, inflight: 512, checkpoint: true},
		{short: "open loop at 50 %", kind: "replace", conns: 1, inflight: 512, peak: 0.5},
		{short: "open loop at 80 %", kind: "replace", conns: 1, inflight: 512, peak: 0.8},
	}
	for i := range all {
		all[i].group, all[i].shape = threeNodes, threeFsync
		all[i].shape.mvcc = isTxn(all[i].kind)
	}
	return all
}

// isTxn tells whether a workload has transactions of several requests.
func isTxn(kind string) bool { return strings.HasSuffix(kind, "txn") }

// valueEntries are replaces by 64 clients of tuples that get larger.
func valueEntries() (all []entry) {
	const most = 64 << 20 // of the space
	for _, size := range []int{16, 256, 4 << 10, 64 << 10} {
		e := entry{group: values, conns: 64, inflight: 64, value: size, keys: min(10_000, uint64(most/size)), x: float64(size)}
		e.short, e.shape, e.kind, e.series = fmt.Sprintf("%d B", size), oneWrite, "async", "replace by bytes"
		all = append(all, e)
		e.short, e.shape, e.kind, e.series = fmt.Sprintf("%d B, quorum", size), threeFsync, "replace", "sync replace by bytes"
		all = append(all, e)
		if size >= 4<<10 { // Tarantool compresses what it logs from 2 KiB on
			e.short, e.shape, e.kind, e.series, e.random = fmt.Sprintf("%d B, random", size), oneWrite, "async", "", true
			all = append(all, e)
		}
	}
	return all
}

// growthEntries have more and more nodes, tuples and connections.
func growthEntries() (all []entry) {
	for _, nodes := range []int{1, 3, 5, 7} {
		all = append(all, entry{short: fmt.Sprintf("%d nodes", nodes), shape: shape{nodes: nodes, wal: "fsync"}, kind: "replace", conns: 1, inflight: 512,
			series: "sync replace by nodes", x: float64(nodes)})
	}
	for keys := uint64(1000); keys <= 10*million; keys *= 10 {
		for _, kind := range []string{"async-select", "async"} { // both of one table
			what := map[string]string{"async-select": "select", "async": "replace"}[kind]
			all = append(all, entry{short: fmt.Sprintf("%s of %d tuples", what, keys), shape: oneWrite, kind: kind, conns: 1, inflight: 512, keys: keys,
				series: what + " by tuples", x: float64(keys)})
		}
	}
	for _, conns := range []int{1, 10, 100, 1000, 10_000} {
		all = append(all, entry{short: fmt.Sprintf("%d connections", conns), shape: oneWrite, kind: "async", conns: conns, inflight: conns,
			series: "replace by connections", x: float64(conns)})
	}
	for i := range all {
		all[i].group = growth
	}
	return all
}

// complete gives an entry what the flags say.
func (e entry) complete(f *flags) entry {
	if e.shape == (shape{}) {
		e.shape = shape{nodes: f.nodes, wal: f.wal}
	}
	if e.keys == 0 {
		e.keys = f.keys
	}
	if e.value == 0 {
		e.value = f.value
	}
	if e.reads == 0 {
		e.reads = f.reads
	}
	return e
}

// choose returns the lines that the flags ask for. Lines of one shape are
// together, and so are those of one table, so that both are made once.
func choose(f *flags) (chosen []entry) {
	for _, e := range entries(f) {
		if e.chosen(f) {
			chosen = append(chosen, e.complete(f))
		}
	}
	return chosen
}

func (e *entry) chosen(f *flags) bool {
	switch {
	case f.all:
		return true
	case f.only != "":
		return strings.Contains(e.name(), f.only)
	case f.paired():
		return e.group == standard || e.group == oneNode || e.group == threeNodes
	}
	return e.group == standard
}
