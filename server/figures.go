package server

import (
	"context"
	"net/http"
	"time"

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
	e      *engine // nil: there is no core, or its Loop hangs
	info   instance.Info
	memory box.Memory
	peers  []replication.PeerStatus
	net    iproto.Stats
}

// newExporter makes the answer to scrapes.
func (s *Server) newExporter() (http.Handler, error) {
	conf := &s.in.Metrics
	e := metrics.New(metrics.Config{Sets: []*metrics.Set{&Metrics, &router.Metrics}, Labels: conf.Labels, Has: conf.Has, Collect: s.collect})
	var others []prometheus.Collector
	if conf.Has("go") {
		others = append(others, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	return e.Handler(others...)
}

// collect puts the figures of this moment.
func (s *Server) collect(to *metrics.Samples) {
	s.figures(context.Background()).collect(to)
}

func (f *figures) collect(to *metrics.Samples) {
	f.process(to)
	f.network(to)
	if f.e != nil {
		f.core(to)
	}
	if r := f.s.port.router; r != nil {
		st := r.Stats()
		st.Collect(to)
	}
}

// figures looks. It waits for a Loop that hangs until stepLimit at most.
func (s *Server) figures(ctx context.Context) *figures {
	f := &figures{s: s, net: s.port.clients.Stats()}
	n := s.main()
	e := n.engine.Load()
	if e == nil || n.leaving.Load() || !e.steps(ctx, stepLimit) {
		return f
	}
	f.e = e
	now := e.loop.Now().Mono
	e.loop.Read(func(c *instance.Core) {
		f.info = c.Info(now)
		f.memory = c.Box().Memory()
	})
	if hub := n.hub.Load(); hub != nil {
		f.peers = hub.Status()
	}
	return f
}

// core puts what there is of a core.
func (f *figures) core(to *metrics.Samples) {
	f.instance(to)
	f.election(to)
	f.streams(to)
	f.slab(to)
}

var (
	infoUptime = Metrics.Gauge("info", "tnt_info_uptime", "Seconds since the process was started.")
	cfgTime    = Metrics.Gauge("system", "tnt_cfg_current_time", "The clock of the machine, seconds since 1970.")
)

func (f *figures) process(to *metrics.Samples) {
	metrics.Count(to, infoUptime, int64(time.Since(f.s.started)/time.Second))
	metrics.Count(to, cfgTime, time.Now().Unix())
	f.s.meters.collect(to)
}
