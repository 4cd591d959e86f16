package metrics

// Kind tells how a metric moves.
type Kind uint8

// Kinds of metrics.
const (
	Gauge Kind = iota
	Counter
	Distribution // a histogram
)

func (k Kind) String() string { return [...]string{"gauge", "counter", "histogram"}[k] }

// Metric is what is known of one before it has values.
type Metric struct {
	Group  string // by which a configuration leaves it out
	Name   string
	Help   string // a sentence, with its unit
	Kind   Kind
	Labels []string // of each value, in the order of Samples.Put
}

// Set is metrics that belong together, in the order in which they were made. It is filled
// while variables are initialised, and not changed any more.
type Set struct{ all []*Metric }

// All lists them.
func (s *Set) All() []*Metric { return s.all }

func (s *Set) add(m *Metric) *Metric {
	s.all = append(s.all, m)
	return m
}

// Gauge adds one that goes up and down.
func (s *Set) Gauge(group, name, help string, labels ...string) *Metric {
	return s.add(&Metric{group, name, help, Gauge, labels})
}

// Counter adds one that counts up from the start of the process.
func (s *Set) Counter(group, name, help string, labels ...string) *Metric {
	return s.add(&Metric{group, name, help, Counter, labels})
}

// Histogram adds one that tells how values are spread.
func (s *Set) Histogram(group, name, help string, labels ...string) *Metric {
	return s.add(&Metric{group, name, help, Distribution, labels})
}
