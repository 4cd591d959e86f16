package main

import (
	"context"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// meter reads the counters that belong to a run: at both ends of its window.
type meter struct {
	nodes []*cluster.Process      // none for a server that somebody else started
	infos []*tarantool.Connection // one to each node whose groups are counted
	dev   string                  // block device below the data

	from, to counters
	also     func(load.Edge) // told of both ends, nearer to the window; nil: nobody
}

// counters since the start of the processes or of the machine.
type counters struct {
	client  time.Duration
	nodes   time.Duration
	each    []usage // of each node
	groups  uint64
	counted bool // groups is known for all nodes
	flushes uint64
	flushed bool // flushes is known
}

func (m *meter) mark(e load.Edge) {
	if e == load.Open {
		m.from = m.read()
	}
	if m.also != nil {
		m.also(e)
	}
	if e == load.Close {
		m.to = m.read()
	}
}

func (m *meter) read() counters {
	c := counters{client: ownCPU(), counted: len(m.infos) > 0}
	for _, n := range m.nodes {
		u := usageOf(n.PID())
		c.each = append(c.each, u)
		c.nodes += u.cpu()
	}
	if m.dev != "" {
		c.flushes, c.flushed = deviceFlushes(m.dev)
	}
	for _, conn := range m.infos {
		n, ok := lastGroup(conn)
		c.groups += n
		c.counted = c.counted && ok
	}
	return c
}

// close ends the connections.
func (m *meter) close() { closeAll(m.infos) }

// lastGroup is the number of the newest group in a node's log. Every group is
// one batch of the store, written with one sync in the mode fsync.
func lastGroup(conn *tarantool.Connection) (uint64, bool) {
	info, err := boxInfo(context.Background(), conn)
	if err != nil {
		return 0, false
	}
	ours, _ := info["tarragon"].(map[any]any)
	log, _ := ours["log"].(map[any]any)
	n, ok := log["last_group"]
	return cluster.Number(n), ok
}
