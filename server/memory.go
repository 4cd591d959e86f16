package server

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// heapBeside is what the process needs beside tuples and indexes: the store's
// cache and its tables before they are written, groups and queues; answers come on top.
const heapBeside = 512 << 20

// outsideStep is in what steps memory beside the heap counts: each new limit stops
// the process for a moment.
const outsideStep = 64 << 20

// heapLimit is how large the heap may become before the collector works harder:
// what the box may have there, or has as a follower of a larger leader, an eighth of it
// as garbage, and the rest. Without it the heap of a box full of large tuples
// becomes twice as large before a collection begins.
func heapLimit(m box.Memory, answers int64) int64 {
	most := max(m.Limit, m.Taken, m.Pages+m.Nodes) - m.Outside/outsideStep*outsideStep
	return int64(most+most/8+heapBeside) + answers
}

// watchMemory tells the runtime how much there may be, and the operator when
// there is more.
func (s *Server) watchMemory(e *engine) {
	var m box.Memory
	e.loop.Read(func(c *instance.Core) { m = c.Box().Memory() })
	if limit := heapLimit(m, s.in.Tarragon.AnswerMemory); limit != s.heapLimit && s.cfg.SetHeapLimit != nil {
		s.heapLimit = limit
		s.cfg.SetHeapLimit(limit)
	}
	var err error
	if m.Over() {
		err = errors.New("as a leader this instance refuses writes until rows are deleted, or box.cfg{memtx_memory} is raised, as it must be on all members")
	}
	what := fmt.Sprintf("tuples and indexes take more than memtx.memory, which is %d", m.Limit)
	if s.troubles.set(areaMemory, what, err) {
		level := zerolog.WarnLevel
		if err == nil {
			level = zerolog.InfoLevel
			what = "tuples and indexes are within memtx.memory again"
		}
		s.log.WithLevel(level).Err(err).Int("taken", m.Taken).Int("limit", m.Limit).Msg(what)
	}
}

// memoryUse is what the node's tuples and indexes take, as box.info tells it.
func (n *node) memoryUse() (u xrow.MemoryUse) {
	n.engine.Load().loop.Read(func(c *instance.Core) {
		m := c.Box().Memory()
		u = xrow.MemoryUse{Taken: uint64(m.Taken), Limit: uint64(m.Limit)}
	})
	return u
}
