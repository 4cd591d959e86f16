package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// agent says who leads, as a program outside of the set would: it has one instance promoted
// by a token, renews the lease, and turns to the next one when that fails.
type agent struct {
	r     *rig
	lease time.Duration
	end   context.CancelFunc
	ended chan struct{}

	mu    sync.Mutex
	token uint64        // drawn last
	by    *cluster.Node // who leads by it; nil: nobody
}

// startAgent runs one whose tokens begin behind a number.
func (r *rig) startAgent(token uint64) *agent {
	ctx, end := context.WithCancel(r.ctx)
	a := &agent{r: r, lease: 2 * time.Second, token: token, end: end, ended: make(chan struct{})}
	go a.run(ctx)
	r.t.Cleanup(a.stop)
	return a
}

// stop is the agent's death: it releases nothing.
func (a *agent) stop() {
	a.end()
	<-a.ended
}

func (a *agent) run(ctx context.Context) {
	defer close(a.ended)
	next := 0
	for ctx.Err() == nil {
		token, n := a.state()
		if n == nil {
			token++
			n = a.r.Nodes[next%len(a.r.Nodes)]
			next++
		}
		err := a.r.promoteBy(ctx, n, token, a.lease)
		if err != nil {
			n = nil
		}
		a.set(token, n)
		select {
		case <-ctx.Done():
		case <-time.After(a.lease / 5): // what an agent does: nothing happens in between
		}
	}
}

func (a *agent) state() (uint64, *cluster.Node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token, a.by
}

func (a *agent) set(token uint64, by *cluster.Node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token, a.by = token, by
}

// led waits until the agent has somebody who leads.
func (a *agent) led() (n *cluster.Node) {
	a.r.t.Helper()
	a.r.until("somebody leads by the agent's word", func() error {
		if _, n = a.state(); n == nil {
			return errors.New("nobody does")
		}
		return nil
	})
	return n
}

// promoteBy is one word of an agent.
func (r *rig) promoteBy(ctx context.Context, n *cluster.Node, token uint64, lease time.Duration) error {
	conn := r.tracker.Conn(n.Addr)
	if conn == nil {
		return errors.New("not connected")
	}
	ctx, cancel := context.WithTimeout(ctx, lease)
	defer cancel()
	_, err := conn.Do(tarantool.NewCallRequest("box.ctl.promote").Args([]any{map[string]any{"token": token, "lease": lease.Seconds()}}).Context(ctx)).Get()
	return err
}

// An agent leads a set through a killed leader, a paused one, and its own death. Nothing that
// was acknowledged is lost, no leader outlives its lease, and no older token counts.
func TestAgentLeads(t *testing.T) {
	r := newRig(t, options{agent: true})
	r.begin()
	a := r.startAgent(0)
	r.settle()
	l := r.startLoad(20)
	l.more(50)

	killed := r.leader()
	killed.Kill()
	r.leaderAfter(killed.term)
	l.more(50)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(killed.Node, l.newest())

	paused := r.leader()
	paused.Pause()
	r.leaderAfter(paused.term)
	l.more(50)
	paused.Resume()
	r.caughtUp(paused.Node, l.newest())

	alone, token := a.led(), uint64(0)
	a.stop()
	r.until(alone.Name+" resigns", func() error {
		info, err := r.info(alone)
		if ro, _ := info["ro"].(bool); err == nil && !ro {
			err = errors.New("it may write")
		}
		return err
	})
	if err := r.hasLogged(alone, "its lease is over"); err != nil {
		t.Error(err)
	}
	token, _ = a.state()
	for _, old := range []uint64{1, token} {
		if err := r.promoteBy(r.ctx, alone, old, time.Second); code(err) != iproto.Error(xrow.ErrOldToken) {
			t.Errorf("token %d of %d: %v", old, token, err)
		}
	}
	if out, exit := r.tool("promote", alone.Name, "--config", r.Config); exit == 0 || !strings.Contains(out, "a token and a lease are needed") {
		t.Errorf("promote without a token: exit %d, %s", exit, out)
	}
	b := r.startAgent(token + 10)
	b.led()
	l.more(50)
	if out, exit := r.tool("status", "--config", r.Config); exit != 0 || !strings.Contains(out, "supervised: ") || !strings.Contains(out, "leads by token") {
		t.Errorf("status: exit %d, %s", exit, out)
	}
	r.verify()
	r.tokensAscend()
}

// tokensAscend: the history has one newer token after the other.
func (r *rig) tokensAscend() {
	r.t.Helper()
	for _, n := range r.Nodes {
		all, err := r.history(n)
		if err != nil {
			r.t.Fatal(err)
		}
		last := 0
		for _, term := range all {
			if term.Kind != "supervised" {
				continue
			}
			token := 0
			if _, err := fmt.Sscanf(term.Reason, "token %d", &token); err != nil || token <= last {
				r.t.Errorf("%s: %+v behind token %d", n.Name, term, last)
			}
			last = token
		}
		if last == 0 {
			r.t.Errorf("%s tells of no token: %+v", n.Name, all)
		}
	}
}
