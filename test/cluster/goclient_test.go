package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"tarragon.dev/tarragon/client"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// goClients is how many goroutines write through one client.
const goClients = 16

// startClientLoad writes through a client. What it says of a row is believed: it is
// not there, unless the outcome is unknown.
func (r *rig) startClientLoad(c *client.Client) *load {
	known := func(err error) bool {
		var u *client.UnknownError
		return !errors.As(err, &u)
	}
	return r.startLoadBy(goClients, 20, known, func(l *load, _ context.Context) {
		key, value := l.take()
		_, err := c.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, value}).Context(r.ctx)).Get() // to its end, also when the load ends
		l.note(key, err)
	})
}

// fails is how many rows have errors by now, and of how many nobody knows.
func (l *load) fails() (refused, unknown int, last string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.refused), len(l.unknown), l.lastError()
}

// Goroutines write and read through one Go client of a set whose leaders are killed, stopped and moved: its writes have
// numbers, and none has an unknown outcome.
func TestGoClientHidesFailovers(t *testing.T) {
	r := start(t, options{})
	r.raiseFeature()
	var addrs []string
	for _, n := range r.Nodes {
		addrs = append(addrs, n.Addr)
	}
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	c, err := client.Connect(ctx, addrs, client.Login(cluster.User, cluster.Password), client.HoldLimit(patience), client.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	r.hidesFailovers(func() tarantool.Doer { return c })
}

// Sixteen goroutines write through the Go client of a set without exactly-once sessions, to which each node is behind a proxy.
// Switchovers cost no write an error. When leaders die, are cut off from the others, or
// from the client, all errors are of outcomes that nobody knows; rows are inserted once, so
// whatever was sent a second time in vain shows as a duplicate, or as a refused row
// that is there.
func TestGoClient(t *testing.T) {
	r := newRig(t, options{proxied: true})
	var addrs []string
	var fronts []*cluster.Proxy
	for _, n := range r.Nodes {
		p, err := cluster.NewProxy(n.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		fronts, addrs = append(fronts, p), append(addrs, p.Addr())
	}
	r.run()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	c, err := client.Connect(ctx, addrs, client.Login(cluster.User, cluster.Password), client.HoldLimit(patience), client.Timeout(6*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	l := r.startClientLoad(c)
	l.more(200)
	allowed := 0 // writes that may have an unknown outcome
	phase := func(name string, more int) {
		t.Helper()
		allowed += more
		refused, unknown, last := l.fails()
		t.Logf("%s: %d rows, %d with an unknown outcome", name, l.count(), unknown)
		if refused > 0 || unknown > allowed {
			t.Fatalf("%s: %d refused, %d with an unknown outcome, %d may have one; %s", name, refused, unknown, allowed, last)
		}
	}

	for range 10 {
		old := r.leader()
		if out, exit := r.switchoverBy(r.Nodes[0].Config); exit != 0 {
			t.Fatal(out)
		}
		r.leaderAfter(old.term)
		l.more(50)
	}
	phase("ten switchovers", 0)

	for range 5 {
		old := r.leader()
		old.Kill()
		r.leaderAfter(old.term)
		l.more(100)
		if err := old.Start(); err != nil {
			t.Fatal(err)
		}
		r.caughtUp(old.Node, l.newest())
		phase("a leader was killed", goClients)
	}

	old := r.leader()
	r.mesh.Isolate(r.index(old.Node))
	r.leaderAfter(old.term)
	l.more(100)
	r.mesh.Heal()
	r.caughtUp(old.Node, l.newest())
	r.oneLeader()
	phase("the leader was cut off from the others", goClients)

	front := fronts[r.index(r.leader().Node)]
	front.Cut(cluster.Forth, cluster.Back)
	r.until("those under way are given up", func() error {
		if _, unknown, _ := l.fails(); unknown == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	front.Reset() // what is held in it never arrives
	front.Heal()
	l.more(100)
	phase("the leader was cut off from the client", goClients)
	r.verify()
}
