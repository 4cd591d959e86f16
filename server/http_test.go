package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/metrics"
)

// asked is an answer of the port of metrics and health checks.
func (n *node1) asked(path string) (status int, text string) {
	n.set.t.Helper()
	resp, err := http.Get("http://" + n.server().port.http.Addrs()[0] + path)
	if err != nil {
		n.set.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		n.set.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (n *node1) listensHTTP() {
	n.flags = append(n.flags, config.Flag{Name: "--set", Path: "tarragon.http_listen", Value: "127.0.0.1:0"})
}

func TestHTTP(t *testing.T) {
	s := newSet(t, 1, "metrics: {exclude: [slab, go], labels: {alias: '{{ instance_name }}', dc: a}}\n")
	n := s.nodes[0]
	n.listensHTTP()
	s.startAll()
	s.leader()
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/readyz?for=writes": 200, "/healthz": 200, "/readyz?for=x": 400, "/": 404, "/debug/pprof/": 404} {
		if status, text := n.asked(path); status != want || !json.Valid([]byte(text)) {
			t.Errorf("%s: %d, want %d: %s", path, status, want, text)
		}
	}
	_, text := n.asked("/metrics")
	for _, want := range []string{`tnt_info_uptime{alias="i1",dc="a"} `, `tnt_read_only{alias="i1",dc="a"} 0`, `tnt_election_state{alias="i1",dc="a"} 2`, `tarragon_step_seconds_count{alias="i1",dc="a"} `} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "tnt_slab") || strings.Contains(text, "go_gc") {
		t.Error("what was excluded is told")
	}
}

// A Loop that hangs is told of by each health check, and scrapes tell what is known beside it.
func TestHealthOfOneThatHangs(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	s.startAll()
	s.leader()
	srv := n.server()
	ask := func(answer http.HandlerFunc, limit context.Context) (status int, body wellness) {
		w := httptest.NewRecorder()
		answer(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(limit))
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		return w.Code, body
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	srv.main().engine.Load().loop.Read(func(*instance.Core) { // nobody steps meanwhile
		for name, answer := range map[string]http.HandlerFunc{"live": srv.answerLive, "ready": srv.answerReady, "health": srv.answerHealth} {
			if status, body := ask(answer, over); status != http.StatusServiceUnavailable || body.State != "running" || !strings.Contains(strings.Join(body.Reasons, ""), "no step") {
				t.Errorf("%s: %d, %+v", name, status, body)
			}
		}
		handler, err := metrics.New(metrics.Config{Sets: []*metrics.Set{&Metrics}, Collect: func(to *metrics.Samples) { srv.figures(over).collect(to) }}).Handler()
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if text := w.Body.String(); !strings.Contains(text, "\ntnt_info_uptime ") || strings.Contains(text, "\ntnt_info_lsn ") {
			t.Error(text)
		}
	})
	for name, answer := range map[string]http.HandlerFunc{"live": srv.answerLive, "ready": srv.answerReady, "health": srv.answerHealth} {
		if status, body := ask(answer, t.Context()); status != http.StatusOK {
			t.Errorf("%s: %d, %+v", name, status, body)
		}
	}
}
