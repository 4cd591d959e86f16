package router

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

func TestHiding(t *testing.T) {
	const hold = 10
	// What happens, at which time, behind how many errors of the newest failover and of the coming one; which end hidden.
	type step struct {
		at   time.Duration
		n    told
		want bool
	}
	for name, c := range map[string][]step{ // the first step is the first leader, a step at a time below 0 looks whether the newest is over
		"no error":                               {{1, told{0, 0}, false}, {2, told{0, 0}, false}, {3, told{0, 0}, true}},
		"errors before there was a leader":       {{1, told{4, 4}, false}, {2, told{4, 4}, false}, {3, told{4, 4}, true}},
		"an error of it":                         {{1, told{0, 0}, false}, {2, told{0, 0}, false}, {3, told{1, 0}, false}, {4, told{1, 0}, true}},
		"an error before it":                     {{1, told{0, 0}, false}, {2, told{0, 1}, false}, {3, told{0, 1}, false}, {4, told{0, 1}, true}},
		"an error before the next one":           {{1, told{0, 0}, false}, {2, told{0, 0}, false}, {3, told{0, 1}, true}, {4, told{0, 1}, false}},
		"it is over":                             {{1, told{0, 0}, false}, {2, told{0, 0}, false}, {-11, told{0, 0}, false}, {-12, told{0, 0}, true}, {-40, told{0, 0}, false}, {50, told{0, 0}, false}},
		"it is over with an error":               {{1, told{0, 0}, false}, {2, told{0, 0}, false}, {-12, told{1, 0}, false}, {50, told{1, 0}, false}},
		"an error of nothing, when it was over":  {{1, told{0, 0}, false}, {2, told{0, 0}, false}, {-12, told{0, 0}, true}, {50, told{1, 0}, false}, {51, told{1, 0}, true}},
		"an error of the next one, when it over": {{1, told{0, 0}, false}, {2, told{0, 0}, false}, {-12, told{0, 0}, true}, {50, told{0, 1}, false}, {51, told{0, 1}, false}},
	} {
		var h hiding
		for i, s := range c {
			got := false
			if s.at < 0 {
				got = h.ended(-s.at, hold, s.n)
			} else {
				got = h.began(i == 0, s.at, s.n)
			}
			if got != s.want {
				t.Errorf("%s: step %d: %v", name, i, got)
			}
		}
	}
}

// What a router has done, over two failovers: one that nobody has seen, one that a client was told of.
func TestStats(t *testing.T) {
	a, b, d, e := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1)), newFake(t, follows(5, 1)), newFake(t, follows(5, 1))
	m := numbered(a, b, d, e)
	r := startTest(t, func(c *Config) {
		c.HTTP, c.Limits = []string{"127.0.0.1:0"}, iproto.Limits{PerUser: 2, Option: "tarragon.router."}
	}, a, b, d, e)
	leadsTo(t, r, RO, "3 readers within the lag")
	leadsTo(t, r, RW, "a takes writes in term 5, say 4 of 4")
	c, other := client(t, r, RW), client(t, r, RW)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	st := r.Stats()
	if st.Leader != "a" || st.Term != 5 || st.Failovers != 0 || st.Writes.Numbered != 1 || st.Writes.Sessions != 1 || st.Writes.Slots != numbers.LeastSlots || st.Writes.Taken != 0 {
		t.Errorf("%+v", st)
	}
	if rw := st.Ports[RW]; rw.Port != "rw" || !slices.Equal(rw.LeadsTo, []string{"a"}) || rw.Why != "a takes writes in term 5, say 4 of 4" || rw.Clients != 2 || rw.LoggedIn != 2 || rw.Refused != 0 {
		t.Errorf("%+v", rw)
	}
	if ro := st.Ports[RO]; ro.Port != "ro" || !slices.Equal(ro.LeadsTo, []string{"b", "c", "d"}) || ro.Clients != 0 {
		t.Errorf("%+v", ro)
	}
	if in := st.Instances[0]; in.Name != "a" || in.Address != a.addr || !in.Answers || in.ReadOnly || in.Clients != 1 || in.Backends != 1 || in.UnderWay != 0 {
		t.Errorf("%+v", in)
	}

	// One has no room.
	more, err := iproto.Dial(t.Context(), r.Addrs(RW)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer more.Close()
	if err := more.Login(testUser, testPassword); err == nil {
		t.Error("there is room for a third one")
	}
	eventually(t, "it is counted", func() bool { p := r.Stats().Ports[RW]; return p.Refused == 1 && p.LoggedIn == 2 })

	// The leader dies, having executed a write: that goes to the next one under its number.
	m.dies(a, b, 6, true)
	if code := ask(t, c, xrow.Insert, insert); code != 0 {
		t.Fatal(code)
	}
	st = r.Stats()
	if st.Leader != "b" || st.Failovers != 1 || st.Writes.Repeated < 1 || st.Writes.Numbered != 2 || st.Held.Again < 1 || st.Held.Now != 0 || st.Held.Bytes != 0 || st.Held.Unknown != 0 {
		t.Errorf("%+v", st)
	}
	eventually(t, "the router has seen the end of a", func() bool {
		in := r.Stats().Instances[0]
		return !in.Answers && in.Why != "" && in.Backends == 0
	})

	// What waits is counted while it does.
	asked := make(chan bool, 100)
	b.does(func(c *fakeConn, row *xrow.Row) { c.fail(row, xrow.ErrReadonly); asked <- true })
	if err := other.WriteRow(&xrow.Row{Type: xrow.Insert, Sync: 1, Body: insert}); err != nil {
		t.Fatal(err)
	}
	<-asked
	eventually(t, "it waits", func() bool {
		h := r.Stats().Held
		return h.Now == 1 && h.Bytes == int64(len(insert)+heldCost) && h.Total >= 1 && h.Refused >= 1
	})
	b.does(m.serve)
	if row, err := other.ReadRow(); err != nil || row.AsError() != nil {
		t.Error(row.AsError(), err)
	}
	if h := r.Stats().Held; h.Now != 0 || h.Bytes != 0 {
		t.Errorf("%+v", h)
	}

	// The next one dies with a call that has no number: its client is told, and the failover that ends it is not hidden.
	eval := append([]byte{0x82, byte(xrow.KeyExpr), 0xa1, 'x', byte(xrow.KeyTuple)}, 0x90)
	b.does(func(*fakeConn, *xrow.Row) {
		d.says(leadsIn(7, 3))
		b.stop()
	})
	if code := ask(t, c, xrow.Eval, eval); code != xrow.ErrSyncTimeout {
		t.Errorf("%v", code)
	}
	leads := func(name string) func() bool { return func() bool { return r.Stats().Leader == name } }
	eventually(t, "c leads", leads("c"))
	eventually(t, "b has gone", func() bool { return !r.Stats().Instances[1].Answers }) // it would be taken for the leader once more
	if st := r.Stats(); st.Failovers != 2 || st.Hidden != 1 || st.Held.Unknown != 1 {
		t.Errorf("%+v", st)
	}

	e.says(leadsIn(8, 4))
	d.says(follows(8, 4))
	eventually(t, "d leads", leads("d"))

	var got Stats
	answered(t, r, "/status", http.StatusOK, &got)
	if got.Leader != "d" || got.Failovers != 3 || len(got.Instances) != 4 || len(got.Ports) != 2 || got.Hidden != 1 {
		t.Errorf("%+v", got)
	}
	metrics := fetched(t, r, "/metrics", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
	for _, want := range []string{
		`tarragon_router_clients_logged_in{port="rw"} 2`, `tarragon_router_clients_refused_total{port="rw"} 1`, "tarragon_router_failovers_total 3", "tarragon_router_failovers_hidden_total 1",
		fmt.Sprint("tarragon_router_repeated_writes_total ", got.Writes.Repeated), "tarragon_router_unknown_requests_total 1", `tarragon_router_instance_leads{instance="d"} 1`, `tarragon_router_instance_up{instance="d"} 1`,
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("%s is missing in\n%s", want, metrics)
		}
	}
}

func fetched(t *testing.T, r *Router, path, kind string) string {
	t.Helper()
	resp, err := http.Get("http://" + r.HTTPAddrs()[0] + path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != kind {
		t.Fatal(path, resp.Status, resp.Header, err)
	}
	return string(text)
}
