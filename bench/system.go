package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/peer"
	"tarragon.dev/tarragon/internal/cluster"
)

// system is a database that can be started and measured: ours, or a peer.
type system struct {
	name  string
	how   func(s shape) string // its settings, in its own words
	can   func(e *entry) bool  // it does the same as ours on this line
	start func(ctx context.Context, s shape) (target, error)
}

// target is a running system.
type target interface {
	// fill makes the table, unless it is there as it should be.
	fill(ctx context.Context, t table) error
	// drive drives the table. The meter's counters are those of the window.
	drive(ctx context.Context, w load.Workload, p load.Plan) (*load.Result, *meter, error)
	processes() []*cluster.Process
	// blame adds where to look to an error.
	blame(err error) error
	stop()
}

// table is what a space, or what a peer has for one, should hold.
type table struct {
	sync   bool
	fields int    // further ones, each with an index
	keys   uint64 // 1..keys; 0: it is empty
	value  int    // bytes
}

// Names of our system, and of another build of it.
const (
	ours = "tarragon"
	base = "base"
)

// systems are ours and the peers that the flags name.
func systems(f *flags) (all []*system, err error) {
	all = append(all, tarragonSystem(f, ours, f.binary))
	if f.base != "" {
		all = append(all, tarragonSystem(f, base, f.base))
	}
	for _, name := range f.peers {
		var sys *system
		switch name {
		case "tarantool":
			sys, err = tarantoolSystem(f)
		case "etcd":
			sys, err = clientSystem(f, "etcd")
		case "postgresql":
			sys, err = clientSystem(f, "postgresql")
		default:
			err = fmt.Errorf("unknown peer %q: tarantool, etcd or postgresql", name)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, sys)
	}
	return all, nil
}

func tarragonSystem(f *flags, name, binary string) *system {
	var env []string
	if slices.Contains(f.peers, "tarantool") { // the same for both
		env = append(env, fmt.Sprintf("TT_IPROTO_NET_MSG_MAX=%d", peer.NetMsgMax))
	}
	if budgetChosen(f) {
		env = append(env, profiled)
	}
	return &system{
		name: name,
		how:  func(s shape) string { return "wal.mode " + s.wal },
		can:  func(*entry) bool { return true },
		start: func(ctx context.Context, s shape) (target, error) {
			rs, err := startShape(ctx, f, binary, s, nil, env)
			if err != nil {
				return nil, err
			}
			return newTarragonTarget(rs), nil
		},
	}
}

func tarantoolSystem(f *flags) (*system, error) {
	found, err := peer.FindTarantool(f.tarantool)
	if err != nil {
		return nil, err
	}
	return &system{
		name: "tarantool " + found.Version,
		how:  func(s shape) string { return found.How(peer.Options{Nodes: s.nodes, WAL: s.wal, MVCC: s.mvcc}) },
		can:  func(e *entry) bool { return e.driver == load.Raw },
		start: func(ctx context.Context, s shape) (target, error) {
			set := *found
			dir, err := startPeer(ctx, f, s, &set)
			if err != nil {
				return nil, err
			}
			return newTarantoolTarget(&set, dir), nil
		},
	}, nil
}

// replicator is a peer's replica set.
type replicator interface {
	Start(ctx context.Context, o peer.Options) error
	Blame(err error) error
	Stop()
}

// startPeer starts a peer in a new directory.
func startPeer(ctx context.Context, f *flags, s shape, p replicator) (dir string, err error) {
	if dir, err = newDir(f); err != nil {
		return "", err
	}
	if err := p.Start(ctx, peer.Options{Dir: dir, Nodes: s.nodes, WAL: s.wal, MVCC: s.mvcc}); err != nil {
		err = p.Blame(err)
		p.Stop()
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}
