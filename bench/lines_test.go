package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/bench/load"
)

func flagsOf(t *testing.T, args ...string) *flags {
	t.Helper()
	f, err := parse(args, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every line has a name of its own and a workload that the driver takes.
func TestEntries(t *testing.T) {
	f := flagsOf(t)
	seen := map[string]bool{}
	for _, e := range entries(f) {
		e = e.complete(f)
		if seen[e.name()] {
			t.Errorf("two lines are called %q", e.name())
		}
		seen[e.name()] = true
		if e.alone != nil {
			continue
		}
		kind, err := load.KindByName(e.kind)
		if err != nil {
			t.Errorf("%s: %v", e.name(), err)
		}
		if e.shape.nodes == 0 || e.shape.wal == "" || e.keys == 0 || e.conns == 0 || e.inflight < e.conns {
			t.Errorf("%s: %+v", e.name(), e)
		}
		w := load.Workload{Op: kind.Op, Keys: e.keys, ValueSize: e.value, Reads: e.reads, Fields: kind.Fields}
		if err := load.Check(w, load.Plan{Conns: e.conns, InFlight: e.inflight, Driver: e.driver}); err != nil {
			t.Errorf("%s: %v", e.name(), err)
		}
	}
}

func TestChoose(t *testing.T) {
	names := func(f *flags) (all []string) {
		for _, e := range choose(f) {
			all = append(all, e.name())
		}
		return all
	}
	if got := names(flagsOf(t)); len(got) != len(standardEntries) || got[0] != "sync replace" {
		t.Errorf("by default %q", got)
	}
	if got := names(flagsOf(t, "-only", "one node: select")); !slices.Equal(got,
		[]string{"one node: select", "one node: select, many keys", "one node: select by a secondary index"}) {
		t.Errorf("by name %q", got)
	}
	if all, got := entries(flagsOf(t)), names(flagsOf(t, "-all")); len(got) != len(all) {
		t.Errorf("%d of %d lines", len(got), len(all))
	}
	peers := names(flagsOf(t, "-peer", "tarantool"))
	if !slices.Contains(peers, "three nodes: insert") || slices.ContainsFunc(peers, func(s string) bool { return strings.HasPrefix(s, growth) }) {
		t.Errorf("beside a peer %q", peers)
	}
	chosen := func(args ...string) (all []string) {
		f := flagsOf(t, args...)
		for _, p := range parts {
			if p.chosen(f) {
				all = append(all, p.name)
			}
		}
		return all
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"catch up and join", "beside scans", "faults"}},
		{[]string{"-faults", "0", "-behind", "0"}, []string{"beside scans"}},
		{[]string{"-only", "kills"}, []string{"kills"}},
		{[]string{"-only", "sync replace"}, nil},
		{[]string{"-peer", "etcd"}, nil},
		{[]string{"-all", "-scan", "0"}, []string{"catch up and join", "faults", "kills", "budget", "filters", "base copies", "switchovers", "tls", "scrapes", "router", "hidden failovers"}},
		{[]string{"-switchovers", "10"}, []string{"switchovers"}},
		{[]string{"-router"}, []string{"router"}},
		{[]string{"-tls"}, []string{"tls"}},
		{[]string{"-scrapes"}, []string{"scrapes"}},
		{[]string{"-hidden-failovers", "10"}, []string{"hidden failovers"}},
		{[]string{"-switchovers", "10", "-only", "kills"}, []string{"kills"}},
	} {
		if got := chosen(c.args...); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.args, got)
		}
	}
}

// etcd and PostgreSQL do the lines that put one row on the disks of a quorum.
func TestQuorumLines(t *testing.T) {
	f := flagsOf(t, "-peer", "etcd")
	var got []string
	for _, e := range choose(f) {
		if onQuorum(&e) {
			got = append(got, e.name())
		}
	}
	if want := []string{"sync replace, one client", "sync replace, 16 clients", "three nodes: replace, 64 clients"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
