package server

import (
	"context"
	"net/http"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/metrics"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/router"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are the figures of an instance: first those of Tarantool's module, by its names and
// labels, then ours. Sources: docs/metrics.md.
var Metrics metrics.Set

// figures is what a scrape tells of, taken before anything is told.
type figures struct {
	s      *Server
	n      *node
	e      *engine // nil: there is no core, or its Loop hangs
	of     condition
	info   instance.Info // that of the condition
	peers  []replication.PeerStatus
	memory box.Memory
	net    iproto.Stats
}

// newExporter makes the answer to scrapes.
func (s *Server) newExporter() (http.Handler, error) {
	conf := &s.in.Metrics
	e := metrics.New(metrics.Config{Sets: []*metrics.Set{&Metrics, &router.Metrics}, Labels: conf.Labels, Has: conf.Has, Collect: s.collect})
	var others []prometheus.Collector
	if conf.Has("go") {
		others = append(others, collectors.NewGoCollector()) // the one of the process reads files of /proc for longer than all else takes
	}
	return e.Handler(others...)
}

// collect puts the figures of this moment.
func (s *Server) collect(to *metrics.Samples) { s.figures(context.Background()).collect(to) }

// figures looks. It waits for a Loop that hangs until stepLimit at most.
func (s *Server) figures(ctx context.Context) *figures {
	f := &figures{s: s, n: s.main(), net: s.port.clients.Stats(), of: s.condition(ctx)}
	if e := f.n.engine.Load(); e != nil && !f.n.leaving.Load() && !f.of.hangs {
		f.e, f.info, f.peers = e, f.of.info, f.of.peers
		e.loop.Read(func(c *instance.Core) { f.memory = c.Box().Memory() })
	}
	return f
}

func (f *figures) collect(to *metrics.Samples) {
	f.process(to)
	f.network(to)
	f.limits(to)
	f.config(to)
	f.health(to)
	if f.e != nil {
		f.core(to)
	}
	if r := f.s.port.router; r != nil {
		st := r.Stats()
		st.Collect(to)
	}
}

// core puts what there is of a core.
func (f *figures) core(to *metrics.Samples) {
	f.instance(to)
	f.election(to)
	f.streams(to)
	f.slab(to)
	f.spaces(to)
	f.store(to)
	f.underWay(to)
	f.filters(to)
}
