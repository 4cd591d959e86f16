package router

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/httpport"
)

// two is a leader and a reader that is some time behind.
func two(self int, lag time.Duration) *standing {
	s := &standing{self: self, names: []string{"a", "b"}, words: []word{leads(5, 1), says(5, 1)}, open: [ports]bool{true, true}, limit: time.Second}
	s.words[1].lag = lag
	s.to = route(s.words, s.names, routing{maxLag: s.limit, leaderReads: true})
	return s
}

func TestHealthChecks(t *testing.T) {
	const second = time.Second
	unheard := func(self int) *standing {
		s := two(self, 0)
		s.words = make([]word, 2)
		s.to = route(s.words, s.names, routing{maxLag: s.limit, leaderReads: true})
		return s
	}
	leaderless := func(self int) *standing {
		s := two(self, 0)
		s.words[0].ro = true
		s.to = route(s.words, s.names, routing{maxLag: s.limit, leaderReads: true})
		return s
	}
	// Who stands how, and what holds of it; the other paths are false.
	const always = "/liveness /connection/is-live"
	const leader = "/ /leader /primary /read-write /node/is-read-write"
	for name, c := range map[string]struct {
		s    *standing
		lag  time.Duration
		true string
	}{
		"the leader":                   {two(0, 0), -1, leader + " /read-only /health /readiness /connection/is-ready /connection/is-ready-rw /connection/is-ready-ro"},
		"the leader, no reader":        {two(0, 2*second), -1, leader + " /read-only /node/is-read-only /health /readiness /connection/is-ready /connection/is-ready-rw /connection/is-ready-ro"},
		"a replica":                    {two(1, 0), -1, "/replica /read-only /node/is-read-only /health /readiness /connection/is-ready /connection/is-ready-rw /connection/is-ready-ro"},
		"a late replica":               {two(1, 2*second), -1, "/replica /read-only /health /connection/is-ready /connection/is-ready-rw /connection/is-ready-ro"},
		"a late replica, within lag":   {two(1, 2*second), 3 * second, "/replica /read-only /health /readiness /connection/is-ready /connection/is-ready-rw /connection/is-ready-ro"},
		"a replica, beyond lag":        {two(1, second/2), second / 4, "/node/is-read-only /health /connection/is-ready /connection/is-ready-rw /connection/is-ready-ro"},
		"nobody leads":                 {leaderless(0), -1, "/replica /read-only /node/is-read-only /health /readiness /connection/is-ready /connection/is-ready-ro"},
		"an instance that starts":      {unheard(0), -1, ""},
		"a router":                     {two(-1, 0), -1, leader + " /replica /read-only /node/is-read-only /health /readiness /connection/is-ready /connection/is-ready-rw /connection/is-ready-ro"},
		"a router, no reader":          {two(-1, 2*second), second, leader + " /read-only /node/is-read-only /health /readiness /connection/is-ready /connection/is-ready-rw /connection/is-ready-ro"},
		"a router, nobody leads":       {leaderless(-1), -1, "/replica /read-only /node/is-read-only /health /readiness /connection/is-ready /connection/is-ready-ro"},
		"a router that reaches nobody": {unheard(-1), -1, ""},
	} {
		want := map[string]bool{}
		for _, path := range strings.Fields(always + " " + c.true) {
			want[path] = true
		}
		for path := range checks {
			got, known := c.s.judge(path, c.lag)
			if !known || got.OK != want[path] || got.Why == "" {
				t.Errorf("%s: %s: %+v, want %v", name, path, got, want[path])
			}
		}
		c.s.stops = true
		for path := range checks {
			lives := path == "/liveness" || path == "/connection/is-live"
			if got, _ := c.s.judge(path, c.lag); got.OK != lives || got.State != "stopping" {
				t.Errorf("%s, stopping: %s: %+v", name, path, got)
			}
		}
	}
	closed := two(-1, 0)
	closed.open = [ports]bool{RO: true}
	if got, _ := closed.judge("/connection/is-ready-rw", -1); got.OK || got.Why != "rw: off" {
		t.Errorf("a port that is off: %+v", got)
	}
	late := two(1, 0)
	late.words[1].lags = false
	if got, _ := late.judge("/replica", second); got.OK {
		t.Errorf("a lag that nobody knows: %+v", got)
	}
	fenced := two(1, 0)
	fenced.words[1].fenced = true
	for _, path := range []string{"/replica", "/read-only", "/readiness"} {
		if got, _ := fenced.judge(path, -1); got.OK || got.Why != "b is fenced" {
			t.Errorf("one that is fenced: %s: %+v", path, got)
		}
	}
	lies := two(1, 0)
	lies.words[1].ro = false // it has not heard that it was replaced
	for _, path := range []string{"/primary", "/replica"} {
		if got, _ := lies.judge(path, -1); got.OK {
			t.Errorf("one that believes it leads: %s: %+v", path, got)
		}
	}
}

// checked asks for a health check until it has a status.
func checked(t *testing.T, r *Router, path string, status int) (body report) {
	t.Helper()
	answered(t, r, path, status, &body)
	return body
}

// answered is the same for any body.
func answered(t *testing.T, r *Router, path string, status int, body any) {
	t.Helper()
	var text []byte
	eventually(t, fmt.Sprintf("%s: %d", path, status), func() bool {
		resp, err := http.Get("http://" + r.HTTPAddrs()[0] + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode == status
	})
	if err := json.Unmarshal(text, body); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func TestHealthFollowsTheLeader(t *testing.T) {
	a, b := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1))
	r := startTest(t, func(c *Config) {
		c.RW, c.RO, c.HTTP, c.Self = nil, nil, []string{"127.0.0.1:0"}, "b"
	}, a, b)
	var group groupReport
	if answered(t, r, "/group/read-write-info", http.StatusOK, &group); group.Leader == nil || group.Leader.Name != "a" || group.Leader.Address != a.addr {
		t.Errorf("%+v", group)
	}
	if got := checked(t, r, "/replica?lag=100", http.StatusOK); got.Name != "b" || got.Role != "replica" || got.Leader != "a" || got.Term != 5 || got.Lag == nil {
		t.Errorf("%+v", got)
	}
	checked(t, r, "/primary", http.StatusServiceUnavailable)
	if answered(t, r, "/group/read-only-info", http.StatusOK, &group); len(group.Readers) != 1 || group.Readers[0].Name != "b" {
		t.Errorf("%+v", group)
	}
	a.says(follows(6, 2))
	b.says(leadsIn(6, 2))
	if got := checked(t, r, "/primary", http.StatusOK); got.Role != "leader" || got.Leader != "b" || got.Term != 6 {
		t.Errorf("%+v", got)
	}
	b.stop()
	checked(t, r, "/health", http.StatusServiceUnavailable)
	checked(t, r, "/primary", http.StatusServiceUnavailable)
	checked(t, r, "/liveness", http.StatusOK)
	r.Drain()
	if got := checked(t, r, "/connection/is-ready", http.StatusServiceUnavailable); got.Why != "it is stopping" || got.State != "stopping" {
		t.Errorf("%+v", got)
	}
}

// What is no health check is refused, and the port stands.
func TestAttackHealthChecks(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	r := startTest(t, func(c *Config) { c.HTTP = []string{"127.0.0.1:0"} }, a)
	for request, want := range map[string]string{
		"HEAD /primary HTTP/1.1\r\nHost: x\r\n\r\n":                                   "HTTP/1.1 200 ",
		"OPTIONS /primary HTTP/1.0\r\n\r\n":                                           "HTTP/1.0 200 ",
		"OPTIONS /primary HTTP/1.1\r\nHost: x\r\n\r\n":                                "HTTP/1.1 200 ",
		"POST /primary HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n":              "HTTP/1.1 405 ",
		"GET /primary HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n":         "HTTP/1.1 400 ",
		"GET /primary HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n":      "HTTP/1.1 400 ",
		"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n":                           "HTTP/1.1 404 ",
		"GET /primary/ HTTP/1.1\r\nHost: x\r\n\r\n":                                   "HTTP/1.1 404 ",
		"GET /replica?lag=16kB HTTP/1.1\r\nHost: x\r\n\r\n":                           "HTTP/1.1 400 ",
		"GET /replica?lag=-1 HTTP/1.1\r\nHost: x\r\n\r\n":                             "HTTP/1.1 400 ",
		"GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n":        "HTTP/1.1 431 ",
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n": "HTTP/1.1 431 ",
		"\x00\x01\x02\r\n\r\n":                                                        "HTTP/1.1 400 ",
	} {
		checked(t, r, "/primary", http.StatusOK)
		c, err := net.Dial("tcp", r.HTTPAddrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(c, request) }() // it may be refused before its end
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		line, err := bufio.NewReader(c).ReadString('\n')
		_ = c.Close()
		if err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("%.60q: %q, %v; want %q", request, line, err, want)
		}
	}
}

// Those that say nothing take no room from those that come after: they are closed when there are
// too many, and one that leaves makes room.
func TestHealthRoom(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	r := startTest(t, func(c *Config) { c.HTTP = []string{"127.0.0.1:0"} }, a)
	var silent []net.Conn
	defer func() {
		for _, c := range silent {
			_ = c.Close()
		}
	}()
	for range httpport.Clients {
		c, err := net.Dial("tcp", r.HTTPAddrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	more, err := net.Dial("tcp", r.HTTPAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer more.Close()
	_ = more.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := more.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("one too many: %d, %v", n, err)
	}
	_ = silent[0].Close()
	eventually(t, "there is room for one more", func() bool {
		resp, err := http.Get(fmt.Sprintf("http://%s/liveness", r.HTTPAddrs()[0]))
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
}
