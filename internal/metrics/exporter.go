package metrics

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Scrapes is how many are answered at a time.
const Scrapes = 8

// Config is what an exporter tells.
type Config struct {
	Sets   []*Set
	Labels map[string]string       // of all values, but where a metric has one of that name
	Has    func(group string) bool // whether a group is told; nil: all are
	// Collect puts the values of this moment. One scrape at a time asks for them.
	Collect func(*Samples)
}

// Exporter answers scrapes.
type Exporter struct {
	cfg   Config
	descs map[*Metric]*prometheus.Desc // of those that are told
	mu    sync.Mutex                   // one scrape collects at a time
}

// New is an exporter. What else is registered, if any, comes behind.
func New(cfg Config) *Exporter {
	e := &Exporter{cfg: cfg, descs: map[*Metric]*prometheus.Desc{}}
	for _, s := range cfg.Sets {
		for _, m := range s.all {
			if cfg.Has == nil || cfg.Has(m.Group) {
				e.descs[m] = prometheus.NewDesc(m.Name, m.Help, m.Labels, m.beside(cfg.Labels))
			}
		}
	}
	return e
}

// beside are the labels of all that m has not by itself.
func (m *Metric) beside(all map[string]string) prometheus.Labels {
	out := prometheus.Labels{}
	for name, value := range all {
		if !slices.Contains(m.Labels, name) && (m.Kind != Distribution || name != "le") {
			out[name] = value
		}
	}
	return out
}

// Handler answers scrapes with what the exporter and others tell.
func (e *Exporter) Handler(others ...prometheus.Collector) (http.Handler, error) {
	r := prometheus.NewRegistry()
	for _, c := range append([]prometheus.Collector{e}, others...) {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: Scrapes, ErrorHandling: promhttp.ContinueOnError, DisableCompression: true}), nil
}

// Describe is that of prometheus.Collector.
func (e *Exporter) Describe(out chan<- *prometheus.Desc) {
	for _, d := range e.descs {
		out <- d
	}
}

// Collect is that of prometheus.Collector.
func (e *Exporter) Collect(out chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cfg.Collect(&Samples{e, out})
}

// Samples takes values. Those of metrics that are not told are left out.
type Samples struct {
	e   *Exporter
	out chan<- prometheus.Metric
}

// Wants tells whether a metric is told: what is dear to find out need not be, else.
func (s *Samples) Wants(m *Metric) bool { return s.e.descs[m] != nil }

// Put is a value of a gauge or a counter.
func (s *Samples) Put(m *Metric, value float64, labels ...string) {
	d := s.e.descs[m]
	if d == nil {
		return
	}
	kind := prometheus.GaugeValue
	if m.Kind == Counter {
		kind = prometheus.CounterValue
	}
	s.out <- prometheus.MustNewConstMetric(d, kind, value, readable(labels)...)
}

// Count is a value of a counter or a gauge that is a number of things.
func Count[N int | int64 | uint32 | uint64](s *Samples, m *Metric, n N, labels ...string) {
	s.Put(m, float64(n), labels...)
}

// Yes is 1 for true.
func (s *Samples) Yes(m *Metric, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	s.Put(m, value, labels...)
}

// Spread is the value of a histogram.
func (s *Samples) Spread(m *Metric, h *Histogram, labels ...string) {
	if d := s.e.descs[m]; d != nil {
		upTo, count, sum := h.read()
		s.out <- prometheus.MustNewConstHistogram(d, count, sum, upTo, readable(labels)...)
	}
}

// readable makes text of what users have named: the format takes no other.
func readable(labels []string) []string {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return labels
}
