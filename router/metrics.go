package router

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// metricsType is the format of Prometheus's text exposition.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// exposition is metrics as text.
type exposition struct{ bytes.Buffer }

// label is the name of a label and its value.
type label struct{ name, value string }

// sample is a value of a metric.
type sample struct {
	value  float64
	labels []label
}

// metric writes all values of one: kind is counter or gauge. One without values is not there.
func (e *exposition) metric(name, kind, help string, all ...sample) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(e, "# HELP tarragon_router_%s %s\n# TYPE tarragon_router_%s %s\n", name, help, name, kind)
	for _, s := range all {
		e.WriteString("tarragon_router_" + name)
		for i, l := range s.labels {
			e.WriteString([...]string{"{", ","}[min(i, 1)] + l.name + `="` + escaped.Replace(l.value) + `"`)
		}
		if len(s.labels) > 0 {
			e.WriteByte('}')
		}
		e.WriteString(" " + strconv.FormatFloat(s.value, 'g', -1, 64) + "\n")
	}
}

// escaped is what the format has escaped in values of labels.
var escaped = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func one[N int | int64 | uint64](n N) sample { return sample{value: float64(n)} }

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Metrics are the same numbers as Prometheus reads them. What counts up does so from the start of the process.
func (st *Stats) Metrics() []byte {
	var e exposition
	st.portMetrics(&e)
	st.instanceMetrics(&e)
	const counter, gauge = "counter", "gauge"
	e.metric("failovers_total", counter, "Times that another instance came to lead.", one(st.Failovers))
	e.metric("failovers_hidden_total", counter, "Failovers over which no client was told an error of the router's own.", one(st.Hidden))
	e.metric("held_requests", gauge, "Requests that wait for an instance.", one(st.Held.Now))
	e.metric("held_bytes", gauge, "What these take of hold_bytes.", one(st.Held.Bytes))
	e.metric("held_requests_total", counter, "Requests that have waited for an instance.", one(st.Held.Total))
	e.metric("expired_requests_total", counter, "Requests that no instance took within hold_time.", one(st.Held.Expired))
	e.metric("refused_requests_total", counter, "Times that an instance refused a request which then went to another one.", one(st.Held.Refused))
	e.metric("resent_requests_total", counter, "Requests that went on to another connection when theirs ended.", one(st.Held.Again))
	e.metric("unknown_requests_total", counter, "Requests whose outcome nobody could tell.", one(st.Held.Unknown))
	e.metric("numbered_writes_total", counter, "Writes that had a number of an exactly-once session.", one(st.Writes.Numbered))
	e.metric("repeated_writes_total", counter, "Writes that were sent once more under their number.", one(st.Writes.Repeated))
	e.metric("sessions", gauge, "Exactly-once sessions that are open.", one(st.Writes.Sessions))
	e.metric("session_slots", gauge, "Slots of these sessions.", one(st.Writes.Slots))
	e.metric("session_slots_taken", gauge, "Slots that have a write under way.", one(st.Writes.Taken))
	return e.Bytes()
}

func (st *Stats) portMetrics(e *exposition) {
	each := func(value func(*PortStats) float64) (all []sample) {
		for i := range st.Ports {
			all = append(all, sample{value(&st.Ports[i]), []label{{"port", st.Ports[i].Port}}})
		}
		return all
	}
	count := func(name, help string, value func(*PortStats) uint64) {
		e.metric(name, "counter", help, each(func(p *PortStats) float64 { return float64(value(p)) })...)
	}
	e.metric("port_instances", "gauge", "Instances that a port leads to.", each(func(p *PortStats) float64 { return float64(len(p.LeadsTo)) })...)
	e.metric("clients", "gauge", "Connections of clients.", each(func(p *PortStats) float64 { return float64(p.Clients) })...)
	e.metric("clients_logged_in", "gauge", "Connections of clients that are logged in.", each(func(p *PortStats) float64 { return float64(p.LoggedIn) })...)
	count("connections_total", "Connections that clients have made.", func(p *PortStats) uint64 { return p.Connections })
	count("clients_refused_total", "Clients for whom there was no room.", func(p *PortStats) uint64 { return p.Refused })
	count("logins_failed_total", "Logins with a wrong password.", func(p *PortStats) uint64 { return p.Failed })
	count("requests_total", "Requests of clients.", func(p *PortStats) uint64 { return p.Requests })
	count("errors_total", "Errors among the answers.", func(p *PortStats) uint64 { return p.Errors })
	count("received_bytes_total", "Bytes from clients.", func(p *PortStats) uint64 { return p.Received })
	count("sent_bytes_total", "Bytes to clients.", func(p *PortStats) uint64 { return p.Sent })
}

func (st *Stats) instanceMetrics(e *exposition) {
	gauge := func(name, help string, value func(*InstanceStats) float64) {
		var all []sample
		for i := range st.Instances {
			all = append(all, sample{value(&st.Instances[i]), []label{{"instance", st.Instances[i].Name}}})
		}
		e.metric(name, "gauge", help, all...)
	}
	gauge("instance_up", "Whether an instance answers.", func(in *InstanceStats) float64 { return yes(in.Answers) })
	gauge("instance_leads", "Whether the router takes an instance for the leader.", func(in *InstanceStats) float64 { return yes(in.Name == st.Leader) })
	gauge("instance_fenced", "Whether administrators keep clients away from an instance.", func(in *InstanceStats) float64 { return yes(in.Fenced) })
	gauge("instance_term", "The term of an instance.", func(in *InstanceStats) float64 { return float64(in.Term) })
	gauge("instance_clients", "Clients whose requests go to an instance.", func(in *InstanceStats) float64 { return float64(in.Clients) })
	gauge("backends", "Connections to an instance for clients.", func(in *InstanceStats) float64 { return float64(in.Backends) })
	gauge("requests_under_way", "Requests on these connections.", func(in *InstanceStats) float64 { return float64(in.UnderWay) })
	var lags []sample
	for _, in := range st.Instances {
		if in.Lag != nil {
			lags = append(lags, sample{*in.Lag, []label{{"instance", in.Name}}})
		}
	}
	e.metric("instance_lag_seconds", "gauge", "How far an instance is behind the leader, by the router's clock.", lags...)
}
