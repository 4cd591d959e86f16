package router

import (
	"encoding/json"
	"errors"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of the port for health checks: it has no login.
const (
	httpHeader  = 8 << 10         // bytes of a request, which has no body
	httpTime    = 5 * time.Second // for a request to come, and for an answer to be taken
	httpIdle    = time.Minute     // between requests of a connection
	httpClients = 128             // connections at a time; more are closed at once
)

// health is the port for health checks.
type health struct {
	r   *Router
	srv http.Server
	at  []net.Listener
	wg  sync.WaitGroup
}

// openHealth listens for health checks.
func openHealth(r *Router, addrs []string) (*health, error) {
	h := &health{r: r}
	h.srv = http.Server{
		Handler: h, ReadHeaderTimeout: httpTime, ReadTimeout: httpTime, WriteTimeout: httpTime, IdleTimeout: httpIdle,
		MaxHeaderBytes: httpHeader, ErrorLog: stdlog.New(io.Discard, "", 0),
	}
	room := make(chan struct{}, httpClients)
	for _, addr := range addrs {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			h.close()
			return nil, err
		}
		h.at = append(h.at, ln)
		h.wg.Go(func() { h.serve(&bounded{ln, room}) })
	}
	return h, nil
}

func (h *health) serve(ln net.Listener) {
	if err := h.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		h.r.cfg.Log.Error().Err(err).Msg("the port for health checks has ended")
	}
}

func (h *health) close() {
	_ = h.srv.Close() // what it could not close is closed with the process
	for _, ln := range h.at {
		_ = ln.Close() // one whose Serve has not begun; else it is closed already
	}
	h.wg.Wait()
}

// ServeHTTP answers a question. The request's body is not wanted, and not read.
func (h *health) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	switch q.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		answer(w, http.StatusMethodNotAllowed, report{Why: "GET, HEAD or OPTIONS expected"})
		return
	}
	if q.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		answer(w, http.StatusBadRequest, report{Why: "a health check has no body"})
		return
	}
	lag, err := lagOf(q.FormValue("lag"))
	if err != nil {
		answer(w, http.StatusBadRequest, report{Why: err.Error()})
		return
	}
	switch q.URL.Path {
	case "/status":
		answer(w, http.StatusOK, h.r.Stats())
		return
	case "/metrics":
		st := h.r.Stats()
		answerText(w, http.StatusOK, metricsType, st.Metrics())
		return
	}
	s := h.r.standing()
	switch q.URL.Path {
	case "/group/read-write-info":
		body := h.r.readWriteInfo(&s)
		answer(w, statusOf(body.OK), body)
		return
	case "/group/read-only-info":
		body := h.r.readOnlyInfo(&s)
		answer(w, statusOf(body.OK), body)
		return
	}
	body, known := s.judge(q.URL.Path, lag)
	if !known {
		answer(w, http.StatusNotFound, report{Why: "no such health check"})
		return
	}
	answer(w, statusOf(body.OK), body)
}

func statusOf(ok bool) int {
	if ok {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte("{}")
	}
	answerText(w, status, "application/json", append(text, '\n'))
}

func answerText(w http.ResponseWriter, status int, kind string, text []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // else the client has gone
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

// bounded is a listener that closes what is too much at once: who asks for health asks
// again, and must not wait behind those that say nothing.
type bounded struct {
	net.Listener
	room chan struct{}
}

// Accept is that of net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.room <- struct{}{}:
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { <-b.room })}, nil
		default:
			_ = c.Close()
		}
	}
}

// boundedConn gives its room back when it is closed.
type boundedConn struct {
	net.Conn
	leave func()
}

// Close is that of net.Conn.
func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
