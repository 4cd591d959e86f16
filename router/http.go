package router

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"tarragon.dev/tarragon/internal/httpport"
	"tarragon.dev/tarragon/internal/metrics"
)

// health answers health checks and scrapes.
type health struct {
	r       *Router
	metrics http.Handler
}

// openHealth listens for health checks.
func openHealth(r *Router, addrs []string) (*httpport.Port, error) {
	figures := metrics.New(metrics.Config{Sets: []*metrics.Set{&Metrics}, Labels: r.cfg.MetricLabels, Collect: func(to *metrics.Samples) {
		st := r.Stats()
		st.Collect(to)
	}})
	scrapes, err := figures.Handler()
	if err != nil {
		return nil, err
	}
	return httpport.Open(addrs, r.cfg.HTTPTLS, &health{r, scrapes}, func(err error) {
		r.cfg.Log.Error().Err(err).Msg("the port for health checks has ended")
	})
}

// ServeHTTP answers a question.
func (h *health) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	lag, err := lagOf(q.FormValue("lag"))
	if err != nil {
		httpport.Answer(w, http.StatusBadRequest, report{Why: err.Error()})
		return
	}
	switch q.URL.Path {
	case "/status":
		httpport.Answer(w, http.StatusOK, h.r.Stats())
		return
	case "/metrics":
		h.metrics.ServeHTTP(w, q)
		return
	}
	s := h.r.standing()
	switch q.URL.Path {
	case "/group/read-write-info":
		body := h.r.readWriteInfo(&s)
		httpport.Answer(w, statusOf(body.OK), body)
		return
	case "/group/read-only-info":
		body := h.r.readOnlyInfo(&s)
		httpport.Answer(w, statusOf(body.OK), body)
		return
	}
	body, known := s.judge(q.URL.Path, lag)
	if !known {
		httpport.Answer(w, http.StatusNotFound, report{Why: "no such health check"})
		return
	}
	httpport.Answer(w, statusOf(body.OK), body)
}

func statusOf(ok bool) int {
	if ok {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// errLagParam says how ?lag= is written.
var errLagParam = errors.New("lag: seconds expected, as in lag=10, lag=0.5 or lag=500ms")

// lagOf reads the bound of a question; negative: there is none.
func lagOf(text string) (time.Duration, error) {
	if text == "" {
		return -1, nil
	}
	if !strings.ContainsAny(text, "smhn") {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errLagParam
	}
	return d, nil
}

// standing is how things stand now.
func (r *Router) standing() standing {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := standing{self: r.self, limit: r.cfg.ReaderMaxLag, stops: r.stops.Load()}
	now := r.now()
	s.names, s.words = r.wordsLocked(now)
	s.to = r.routeLocked(s.words, s.names, now)
	for i, p := range r.ports {
		s.open[i] = p != nil
	}
	return s
}

func (r *Router) member(s *standing, i int) groupMember {
	w := &s.words[i]
	return groupMember{Name: s.names[i], Address: r.insts[i].conf.Addr, UUID: w.uuid, Term: w.term, Lag: w.lagOf(), Clients: r.insts[i].clients.Load()}
}

func (r *Router) readWriteInfo(s *standing) groupReport {
	out := groupReport{OK: s.to.leader >= 0, Why: s.to.why[RW]}
	if out.OK {
		m := r.member(s, s.to.leader)
		out.Leader = &m
	}
	return out
}

func (r *Router) readOnlyInfo(s *standing) groupReport {
	out := groupReport{OK: len(s.to.readers) > 0, Why: s.to.why[RO]}
	for _, i := range s.to.readers {
		out.Readers = append(out.Readers, r.member(s, i))
	}
	return out
}
