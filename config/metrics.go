package config

import (
	"regexp"
	"slices"
	"strings"
)

// Metrics is what tarragon.http_listen tells of figures.
type Metrics struct {
	Include, Exclude []string          // names of groups, or all
	Labels           map[string]string // of all values
}

// AllMetrics stands for every group.
const AllMetrics = "all"

// Has tells whether a group is told.
func (m *Metrics) Has(group string) bool {
	in := func(list []string) bool { return slices.Contains(list, group) || slices.Contains(list, AllMetrics) }
	return in(m.Include) && !in(m.Exclude)
}

// MetricGroups are the groups that there are: those of Tarantool's module, of which some are
// empty here, and ours.
var MetricGroups = []string{"network", "operations", "system", "replicas", "info", "slab", "runtime", "memory", "spaces", "fibers", "cpu", "vinyl", "memtx",
	"luajit", "clock", "event_loop", "config", "cpu_extended", "schema", "tarragon", "go"}

// labelName is what Prometheus takes. Names with two underscores are its own.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func (o *options) metrics() Metrics {
	m := Metrics{Include: []string{AllMetrics}, Exclude: strs(o.get("metrics.exclude")), Labels: map[string]string{}}
	if o.isSet("metrics.include") {
		m.Include = strs(o.get("metrics.include"))
	}
	o.metricGroups("metrics.include", m.Include)
	o.metricGroups("metrics.exclude", m.Exclude)
	const path = "metrics.labels"
	v := o.get(path)
	if v == nil && o.vars["instance_name"] != "" {
		m.Labels["alias"] = o.vars["instance_name"]
	}
	for _, name := range v.names() {
		if !labelName.MatchString(name) || strings.HasPrefix(name, "__") {
			o.bad(path+"."+name, "no name of a label: letters, digits and _ expected, no digit first, and no two _ there")
		}
		m.Labels[name] = v.fields[name].text
	}
	return m
}

// metricGroups tells of names that are those of no group: newer modules of Tarantool take
// others than groups, too.
func (o *options) metricGroups(path string, groups []string) {
	for _, g := range groups {
		if g != AllMetrics && !slices.Contains(MetricGroups, g) {
			o.warn(o.where(path), path, "no group of metrics here is %q", g)
		}
	}
}
