package router

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// standing is what the port for health checks tells of, at one moment. It is a value.
//
// Where the router is in an instance, its answers are about that instance; else they are
// about where the router's ports lead to. Questions about connections and about the
// replica set have the same answers in both.
type standing struct {
	self  int // the place of the instance that the router is in; -1: it is in none
	names []string
	words []word
	to    routes
	open  [ports]bool
	stops bool          // clients have been asked to leave
	limit time.Duration // of the lag of readers
}

// report is the body of an answer about an instance or a router.
type report struct {
	OK     bool     `json:"ok"`
	Why    string   `json:"why"`
	Name   string   `json:"name,omitempty"`   // of the instance
	State  string   `json:"state"`            // running, starting, stopping
	Role   string   `json:"role"`             // leader, replica, router
	Leader string   `json:"leader,omitempty"` // of the replica set
	Term   uint64   `json:"term,omitempty"`   // of the leader; without one, the instance's own
	Lag    *float64 `json:"lag_seconds,omitempty"`
}

// groupMember is an instance in an answer about the replica set.
type groupMember struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	UUID    string   `json:"uuid"`
	Term    uint64   `json:"term"`
	Lag     *float64 `json:"lag_seconds,omitempty"`
	Clients int64    `json:"clients"` // of this router
}

// groupReport is the body of an answer about the replica set.
type groupReport struct {
	OK      bool          `json:"ok"`
	Why     string        `json:"why"`
	Leader  *groupMember  `json:"leader,omitempty"`
	Readers []groupMember `json:"readers,omitempty"`
}

// lagOf is how far an instance is behind, in seconds; nil: nobody knows.
func (w *word) lagOf() *float64 {
	if !w.lags {
		return nil
	}
	seconds := w.lag.Seconds()
	return &seconds
}

// about is what is true of whom the answers are about, whatever was asked.
func (s *standing) about() (r report) {
	r.State, r.Role = "running", "router"
	if s.to.leader >= 0 {
		r.Leader, r.Term = s.names[s.to.leader], s.words[s.to.leader].term
	}
	if s.self >= 0 {
		w := &s.words[s.self]
		r.Name, r.Role, r.Lag = s.names[s.self], "replica", w.lagOf()
		if s.to.leader == s.self {
			r.Role = "leader"
		}
		if s.to.leader < 0 {
			r.Term = w.term
		}
	}
	switch {
	case s.stops:
		r.State = "stopping"
	case !s.answers():
		r.State = "starting"
	}
	return r
}

// answers tells whether the instance, or for a router any one, answers.
func (s *standing) answers() bool {
	if s.self >= 0 {
		return s.words[s.self].heard
	}
	return slices.ContainsFunc(s.words, func(w word) bool { return w.heard })
}

// verdictOf is whether something holds, and why.
type verdictOf struct {
	ok  bool
	why string
}

// checks are the questions of the port for health checks, by path. lag is the bound of the
// question; negative: it has none.
var checks = map[string]func(s *standing, lag time.Duration) verdictOf{
	"/":                       (*standing).writes,
	"/leader":                 (*standing).writes,
	"/primary":                (*standing).writes,
	"/read-write":             (*standing).writes,
	"/node/is-read-write":     (*standing).writes,
	"/replica":                (*standing).replica,
	"/read-only":              (*standing).reads,
	"/node/is-read-only":      (*standing).reader,
	"/health":                 (*standing).healthy,
	"/liveness":               (*standing).live,
	"/readiness":              (*standing).ready,
	"/connection/is-live":     (*standing).live,
	"/connection/is-ready":    func(s *standing, _ time.Duration) verdictOf { return s.leads(RW, RO) },
	"/connection/is-ready-rw": func(s *standing, _ time.Duration) verdictOf { return s.leads(RW) },
	"/connection/is-ready-ro": func(s *standing, _ time.Duration) verdictOf { return s.leads(RO) },
}

// judge answers a question. A process that ends says no to everything but whether it lives.
func (s *standing) judge(path string, lag time.Duration) (report, bool) {
	check, ok := checks[path]
	if !ok {
		return report{}, false
	}
	r := s.about()
	v := check(s, lag)
	if s.stops && path != "/liveness" && path != "/connection/is-live" {
		v = verdictOf{false, "it is stopping"}
	}
	r.OK, r.Why = v.ok, v.why
	return r, true
}

func (s *standing) live(time.Duration) verdictOf { return verdictOf{true, "it answers"} }

func (s *standing) healthy(time.Duration) verdictOf {
	switch {
	case s.self < 0 && s.answers():
		return verdictOf{true, "instances answer"}
	case s.self < 0:
		return verdictOf{false, "no instance that answers"}
	case s.answers():
		return verdictOf{true, "the instance serves clients"}
	}
	return verdictOf{false, "the instance does not serve clients"}
}

// writes: the instance takes writes; the router has somebody who does.
func (s *standing) writes(time.Duration) verdictOf {
	return verdictOf{s.to.leader >= 0 && (s.self < 0 || s.self == s.to.leader), s.to.why[RW]}
}

// replica: the instance does not lead and is within the lag; the router has such a one.
func (s *standing) replica(lag time.Duration) verdictOf {
	if s.self >= 0 {
		return s.within(s.self, lag, false)
	}
	for i := range s.words {
		if v := s.within(i, lag, false); v.ok {
			return v
		}
	}
	return verdictOf{false, "no replica that answers within the lag"}
}

// reads is the same, and the leader too.
func (s *standing) reads(lag time.Duration) verdictOf {
	if s.self >= 0 {
		return s.within(s.self, lag, true)
	}
	return verdictOf{len(s.to.readers) > 0, s.to.why[RO]}
}

// within tells whether an instance may be read from.
func (s *standing) within(i int, lag time.Duration, leader bool) verdictOf {
	w := &s.words[i]
	switch {
	case !w.heard:
		return verdictOf{false, s.names[i] + " does not serve clients"}
	case w.fenced:
		return verdictOf{false, s.names[i] + " is fenced"}
	case i == s.to.leader:
		return verdictOf{leader, s.names[i] + " leads"}
	case !w.ro:
		return verdictOf{leader, s.names[i] + " takes writes"}
	case lag < 0:
		return verdictOf{true, s.names[i] + " does not lead"}
	case !w.lags:
		return verdictOf{false, "nobody knows how far " + s.names[i] + " is behind"}
	}
	return verdictOf{w.lag <= lag, fmt.Sprintf("%s is %.3f s behind, of %g s", s.names[i], w.lag.Seconds(), lag.Seconds())}
}

// reader: the port ro leads, or would lead, to the instance; the router's leads anywhere.
func (s *standing) reader(time.Duration) verdictOf {
	return verdictOf{len(s.to.readers) > 0 && (s.self < 0 || slices.Contains(s.to.readers, s.self)), s.to.why[RO]}
}

// ready: requests make sense here: for an instance, as the leader or within the lag of readers.
func (s *standing) ready(lag time.Duration) verdictOf {
	if s.self < 0 {
		return s.leads(RW, RO)
	}
	if lag < 0 {
		lag = s.limit
	}
	return s.within(s.self, lag, true)
}

// leads tells whether any of the ports is open and leads somewhere.
func (s *standing) leads(any ...Port) verdictOf {
	var why []string
	ok := false
	for _, p := range any {
		switch {
		case !s.open[p]:
			why = append(why, p.String()+": off")
			continue
		case p == RW && s.to.leader >= 0, p == RO && len(s.to.readers) > 0:
			ok = true
		}
		why = append(why, p.String()+": "+s.to.why[p])
	}
	return verdictOf{ok, strings.Join(why, "; ")}
}
