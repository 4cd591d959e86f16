package cluster

import (
	"syscall"
	"testing"
	"time"
)

// The leader dies, another takes over, and the dead one comes back: each time
// with writes on their way.
func TestLeaderKilled(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	for range 4 {
		l.more(200)
		dead := r.leader()
		dead.Kill()
		l.more(200)
		if now := r.leaderAfter(dead.term); now.Node == dead.Node {
			t.Fatalf("%s leads, and is dead", dead.Name)
		}
		if err := dead.Start(); err != nil {
			t.Fatal(err)
		}
		r.caughtUp(dead.Node, l.newest())
	}
	r.verify()
}

// A paused leader wakes up when another leads already.
func TestLeaderPaused(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(200)
	old := r.leader()
	old.Pause()
	paused := time.Now()
	r.leaderAfter(old.term)
	l.more(200)
	r.until("three seconds of pause", func() error { return since(paused, 3*time.Second) })
	old.Resume()
	r.caughtUp(old.Node, l.newest())
	r.oneLeader()
	l.more(200)
	r.verify()
}

// A leader that is asked to stop tells its clients, hands over at once and ends
// well.
func TestLeaderStopsGracefully(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(200)
	old := r.leader()
	told := r.watchShutdown(old.Node)
	old.Signal(syscall.SIGTERM)
	r.leaderAfter(old.term)
	r.happens("clients are told", told)
	r.happens("the process ends", old.Exited())
	if code := old.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	l.more(200)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(old.Node, l.newest())
	r.verify()
}

// All nodes die at once.
func TestAllKilled(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	for range 2 {
		l.more(500)
		for _, n := range r.Nodes {
			n.Signal(syscall.SIGKILL)
		}
		for _, n := range r.Nodes {
			n.Kill()
		}
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		l.more(200)
	}
	r.verify()
}
