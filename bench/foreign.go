package main

import (
	"context"
	"os"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/peer"
	"tarragon.dev/tarragon/internal/cluster"
)

// foreign is a peer that does not speak IPROTO.
type foreign interface {
	replicator
	How(o peer.Options) string
	Prepare(ctx context.Context, keys uint64, value []byte) error
	Connect(ctx context.Context) (load.Client, error)
	Processes() []*cluster.Process
}

// findForeign looks for the programs of a peer.
func findForeign(name string) (found foreign, version string, err error) {
	if name == "etcd" {
		e, err := peer.FindEtcd()
		if err != nil {
			return nil, "", err
		}
		return e, e.Version, nil
	}
	p, err := peer.FindPostgres()
	if err != nil {
		return nil, "", err
	}
	return p, p.Version, nil
}

// clientSystem is etcd or PostgreSQL. It does the lines that write one row to the
// disks of a quorum.
func clientSystem(f *flags, name string) (*system, error) {
	found, version, err := findForeign(name)
	if err != nil {
		return nil, err
	}
	return &system{
		name: name + " " + version,
		how:  func(s shape) string { return found.How(peer.Options{Nodes: s.nodes, WAL: s.wal}) },
		can:  onQuorum,
		start: func(ctx context.Context, s shape) (target, error) {
			set, _, err := findForeign(name)
			if err != nil {
				return nil, err
			}
			dir, err := startPeer(ctx, f, s, set)
			if err != nil {
				return nil, err
			}
			return &foreignTarget{foreign: set, dir: dir}, nil
		},
	}, nil
}

// onQuorum: a line writes one row after the other, each to the disks of a quorum.
func onQuorum(e *entry) bool { return e.quorum && e.shape.wal == "fsync" && e.shape.nodes > 1 }

// foreignTarget is a running one.
type foreignTarget struct {
	foreign
	dir  string
	have table
}

func (t *foreignTarget) processes() []*cluster.Process { return t.Processes() }
func (t *foreignTarget) blame(err error) error         { return t.Blame(err) }

func (t *foreignTarget) stop() {
	t.Stop()
	os.RemoveAll(t.dir)
}

func (t *foreignTarget) fill(ctx context.Context, want table) error {
	if t.have == want {
		return nil
	}
	t.have = table{}
	if err := t.Prepare(ctx, want.keys, load.Value(want.value)); err != nil {
		return err
	}
	t.have = want
	return nil
}

func (t *foreignTarget) drive(ctx context.Context, w load.Workload, p load.Plan) (*load.Result, *meter, error) {
	m := &meter{dev: device(t.dir)} // processes below others would not be counted, so none is
	p.Connect, p.Mark = t.Connect, m.mark
	r, err := load.Run(ctx, w, p)
	return r, m, err
}
