package router

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

func TestConsensus(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	anon := says(5, 1)
	anon.anon = true
	for name, c := range map[string]struct {
		words  []word
		agreed bool
	}{
		"all":                                {[]word{leads(5, 1), says(5, 1), says(5, 1)}, true},
		"two of three":                       {[]word{leads(5, 1), {}, says(5, 1)}, true},
		"one of three":                       {[]word{leads(5, 1), {}, {}}, false},
		"one of two":                         {[]word{leads(5, 1), {}}, false},
		"those that believe in another one":  {[]word{leads(5, 1), says(6, 2), says(4, 1)}, false},
		"nobody leads":                       {[]word{says(5, 0), says(5, 0), says(5, 0)}, false},
		"who is no member does not count":    {[]word{leads(5, 1), {}, {}, anon}, false},
		"nor is it one of those to convince": {[]word{leads(5, 1), says(5, 1), {}, {anon: true}}, true},
	} {
		if got := route(c.words, names[:len(c.words)], routing{leaderReads: true}); got.agreed != c.agreed {
			t.Errorf("%s: %+v", name, got)
		}
	}
	yes := func() routes { return routes{leader: 0, readers: []int{1}, agreed: true} }
	no := func() routes { return routes{leader: 0, readers: []int{1}} }
	open := func(to routes) bool { return to.leader == 0 && len(to.readers) == 1 }
	for _, limit := range []time.Duration{0, -1, 10} {
		c := consensus{limit: limit}
		if !open(c.over(yes(), 100)) || open(c.over(no(), 109)) != (limit >= 0) || open(c.over(no(), 110)) != (limit == 0) || !open(c.over(yes(), 111)) || open(c.over(no(), 112)) != (limit >= 0) {
			t.Errorf("limit %d", limit)
		}
	}
}

// A router that hears of too few leads nowhere, and says why.
func TestConsensusIsLost(t *testing.T) {
	a, b, c := newFake(t, leadsIn(5, 1)), newFake(t, follows(5, 1)), newFake(t, follows(5, 1))
	r := startTest(t, func(c *Config) { c.ConsensusTimeout, c.HoldTime = -1, 100*time.Millisecond }, a, b, c)
	leadsTo(t, r, RW, "a takes writes in term 5, say 3 of 3")
	cl := client(t, r, RO)
	if code := ask(t, cl, xrow.Select, read); code != 0 {
		t.Fatal(code)
	}
	b.stop()
	c.stop()
	eventually(t, "the ports lead nowhere", func() bool {
		return len(r.ports[RW].target.Load().insts)+len(r.ports[RO].target.Load().insts) == 0
	})
	_, err := cl.Do(xrow.Select, read)
	var e *xrow.Error
	if !errors.As(err, &e) || e.Code != xrow.ErrNoConnection || !strings.Contains(e.Message, "consensus_timeout") {
		t.Errorf("%v", err)
	}
}

// eventually waits for something that nothing tells of, as what a health check says: who wants to
// know asks again. It waits for as long as a busy machine may need.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("never: ", what)
		}
	}
}

// Each port has room for so many clients, and for so many of a user.
func TestPortLimits(t *testing.T) {
	a := newFake(t, leadsIn(5, 1))
	r := startTest(t, func(c *Config) {
		c.Limits = iproto.Limits{PerUser: 2, Option: "tarragon.router."}
	}, a)
	clients := []*iproto.Client{client(t, r, RW), client(t, r, RW)}
	client(t, r, RO) // another port
	more, err := iproto.Dial(t.Context(), r.Addrs(RW)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer more.Close()
	if err := more.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := more.Login(testUser, testPassword); err == nil || !strings.Contains(err.Error(), "user 'alice' has 2 connections, which is all that tarragon.router.max_connections_per_user allows") {
		t.Errorf("one too many: %v", err)
	}
	_ = clients[0].Close()
	eventually(t, "one that leaves makes room", func() bool { return more.Login(testUser, testPassword) == nil })
}
