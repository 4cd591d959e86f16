package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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

// values are the samples of a scrape, by their names with labels but alias.
func (n *node1) values() map[string]float64 {
	n.set.t.Helper()
	status, text := n.asked("/metrics")
	if status != http.StatusOK {
		n.set.t.Fatal(status, text)
	}
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		if line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			n.set.t.Fatalf("%s: %v", line, err)
		}
		name := strings.Replace(line[:at], `alias="`+n.name+`"`, "", 1)
		out[strings.NewReplacer("{,", "{", "{}", "").Replace(name)] = v
	}
	return out
}

// sum adds a figure of all instances up: whoever leads meanwhile.
func (s *set) sum() map[string]float64 {
	out := map[string]float64{}
	for _, n := range s.nodes {
		for name, v := range n.values() {
			out[name] += v
		}
	}
	return out
}

// A set that works shows on the dashboard: all that panels ask for, and what was done is counted.
func TestMetricsOfASet(t *testing.T) {
	s := newSet(t, 3, "")
	for _, n := range s.nodes {
		n.listensHTTP()
	}
	s.startAll()
	s.makeSpace()
	before := s.sum()
	s.fill(0, 100)
	s.level()
	behind := s.sum()
	lead := s.leader()
	at := lead.values()
	begin, _ := untold(t)
	for _, a := range dashboard(t) {
		if slices.ContainsFunc(begin, func(b string) bool { return strings.HasPrefix(a.name, b) }) {
			continue
		}
		var with []string
		for label, values := range a.labels {
			for _, v := range values {
				with = append(with, label+`="`+v+`"`)
			}
		}
		for _, label := range append(with, "") {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(at)), func(k string) bool {
				return (k == a.name || strings.HasPrefix(k, a.name+"{")) && strings.Contains(k, label)
			}) {
				t.Errorf("%s{%s} is asked for, and not there", a.name, label)
			}
		}
	}
	for name, want := range map[string]float64{
		`tnt_space_len{engine="memtx",name="t"}`: 100, "tnt_read_only": 0, "tnt_election_state": 2, "tarragon_ready": 1, "tarragon_disk_failed": 0,
		`tarragon_health_reasons{level="reason"}`: 0, "tarragon_quorum": 2,
	} {
		if at[name] != want {
			t.Errorf("%s: %v, want %v", name, at[name], want)
		}
	}
	for name, least := range map[string]float64{
		`tnt_stats_op_total{operation="replace"}`: 100, "tarragon_quorum_wait_seconds_count": 1, "tarragon_group_write_seconds_count": 1, "tarragon_log_sync_seconds_count": 1,
		"tarragon_group_rows_sum": 100, "tarragon_step_seconds_count": 1, "tarragon_apply_seconds_count": 1, "tarragon_log_written_bytes_total": 10000, "tnt_net_received_total": 10000,
	} {
		if grown := behind[name] - before[name]; grown < least {
			t.Errorf("%s has grown by %v, want %v", name, grown, least)
		}
	}
	if sum, n := behind["tarragon_quorum_wait_seconds_sum"], behind["tarragon_quorum_wait_seconds_count"]; sum <= 0 || sum > n*patience.Seconds() {
		t.Errorf("quorums took %v seconds, %v times", sum, n)
	}
	peers := 0.0
	for _, n := range s.nodes {
		if n == lead {
			continue
		}
		i, _ := n.info()
		peers += at[fmt.Sprintf(`tnt_replication_status{id="%d",stream="downstream"}`, i.ID)]
		there := n.values()
		if there["tnt_read_only"] != 1 || there[`tnt_space_len{engine="memtx",name="t"}`] != 100 {
			t.Errorf("%s: %v", n.name, there)
		}
	}
	if peers != 2 {
		t.Errorf("streams to %v peers", peers)
	}
}
