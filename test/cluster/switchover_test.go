package cluster

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// Leadership moves from one member to the next while clients write, and back: each move
// is one term, to whom was named, nothing is lost and nobody else campaigns.
func TestSwitchover(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	said := regexp.MustCompile(`^(\S+) leads in term (\d+); it took over from (\S+) at LSN \d+, writes waited for \S+\n$`)
	for _, mode := range []string{"--strict", "--fast", "--strict"} {
		old := r.leader()
		to := r.others(old.Node)[0]
		out, exit := r.switchover("--to", to.Name, mode, "--reason", "new kernel")
		if m := said.FindStringSubmatch(out); exit != 0 || m == nil || m[1] != to.Name || m[3] != old.Name {
			t.Fatalf("switchover %s: exit %d, %s", mode, exit, out)
		}
		if now := r.leaderAfter(old.term); now.Node != to || now.term != old.term+1 {
			t.Errorf("%s leads term %d behind term %d of %s", now.Name, now.term, old.term, old.Name)
		}
		l.more(100)
	}
	old := r.leader()
	if out, exit := r.switchover(); exit != 0 {
		t.Errorf("switchover without a name: exit %d, %s", exit, out)
	}
	r.leaderAfter(old.term)
	l.more(100)
	r.verify()
}

// switchover asks again while a target gives no word, as on a machine that is busy: nothing
// has moved then.
func (r *rig) switchover(args ...string) (out string, exit int) {
	r.t.Helper()
	return r.switchoverBy(r.Config, args...)
}

// switchoverBy is switchover by some file.
func (r *rig) switchoverBy(config string, args ...string) (out string, exit int) {
	r.t.Helper()
	r.until("there is a target", func() error {
		out, exit = r.tool(append([]string{"switchover", "--config", config}, args...)...)
		if exit != 0 && (strings.Contains(out, "gives no word") || strings.Contains(out, "does not acknowledge rows")) {
			return errors.New(out)
		}
		return nil
	})
	return out, exit
}

// What cannot be is refused with what to do, and nothing moves.
func TestSwitchoverRefused(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	old := r.leader()
	rest := r.others(old.Node)
	for _, bad := range []struct {
		args []string
		want string
	}{
		{[]string{"--to", "nobody"}, "'nobody' is no member; members are "},
		{[]string{"--to", old.Name}, "leads already"},
		{[]string{"--to", rest[0].Name, "--timeout", "2m"}, "at most 60 seconds"},
		{[]string{"--to", rest[0].Name, "--reason", strings.Repeat("x", 201)}, "at most 200 bytes"},
		{[]string{"--strict", "--fast"}, "exclude each other"},
	} {
		if out, exit := r.tool(append([]string{"switchover", "--config", r.Config}, bad.args...)...); exit == 0 || !strings.Contains(out, bad.want) {
			t.Errorf("%v: exit %d, %s", bad.args, exit, out)
		}
	}
	rest[0].Kill()
	if out, exit := r.tool("switchover", "--config", r.Config, "--to", rest[0].Name, "--timeout", "1s"); exit == 0 {
		t.Errorf("to one that is gone: exit %d, %s", exit, out)
	}
	l.more(100)
	if now := r.leader(); now.Node != old.Node || now.term != old.term {
		t.Errorf("%s leads term %d; before it was %s in term %d", now.Name, now.term, old.Name, old.term)
	}
	if err := rest[0].Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(rest[0], l.newest())
	r.verify()
}

// A leader that is told to stop moves leadership first; one after the other restarts, and
// there is a leader all the time. Told not to, it resigns, and somebody is elected.
func TestStopHandsOver(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	for _, n := range r.Nodes {
		r.caughtUp(n, l.newest()) // who has joined just now cannot take over yet
	}
	for range 3 {
		l.more(100)
		old := r.leader()
		old.Signal(syscall.SIGTERM)
		<-old.Exited()
		if now := r.leaderAfter(old.term); now.term != old.term+1 {
			t.Errorf("term %d follows term %d of %s", now.term, old.term, old.Name)
		}
		if err := r.hasLogged(old.Node, "another instance leads"); err != nil {
			t.Error(err)
		}
		l.more(100)
		if err := old.Start(); err != nil {
			t.Fatal(err)
		}
		r.caughtUp(old.Node, l.newest())
	}
	r.verify()
}

// A leader that is told to stop while leadership moves waits for that; where it comes to nothing
// it moves leadership to somebody else.
func TestStopWhileMoving(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	old := r.leader()
	to := r.others(old.Node)[0]
	c, err := tarantool.Connect(r.ctx, tarantool.NetDialer{Address: old.Addr, User: cluster.User, Password: cluster.Password}, tarantool.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	to.Signal(syscall.SIGSTOP)
	defer to.Signal(syscall.SIGCONT)
	asked := c.Do(tarantool.NewCallRequest("box.ctl.switchover").Args([]any{map[string]any{"to": to.Name}})).WaitChan()
	r.until("leadership is about to move", func() error {
		select {
		case <-asked: // on a busy machine the target counted as silent already
			return nil
		default:
			return r.hasLogged(old.Node, "handover begins")
		}
	})
	old.Signal(syscall.SIGTERM)
	<-old.Exited()
	<-asked
	if err := r.hasLogged(old.Node, "another instance leads"); err != nil {
		t.Error(err)
	}
	to.Signal(syscall.SIGCONT)
	r.leaderAfter(old.term)
	l.more(100)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(old.Node, l.newest())
	r.verify()
}

// Somebody whose name is longer than what a move of leadership carries moves it, and all go on, also
// when they read their logs again.
func TestLongName(t *testing.T) {
	r := start(t, options{})
	name := strings.Repeat("ä", 150)
	r.call("box.schema.user.create", name, map[string]any{"password": "x"})
	r.call("box.schema.user.grant", name, "super")
	l := r.startLoad(20)
	l.more(50)
	old := r.leader()
	to := r.others(old.Node)[0]
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	r.caughtUp(to, l.newest())
	c, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: to.Addr, User: name, Password: "x"}, tarantool.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(what string) error {
		_, err := c.Do(tarantool.NewCallRequest(what)).Get()
		return err
	}
	promote := func() error { return ask("box.ctl.promote") } // again on a busy machine, where another one may come first
	r.until("it is promoted", promote)
	r.leaderAfter(old.term)
	l.more(50)
	r.until("another one takes over", func() error {
		if err := promote(); err != nil {
			return err
		}
		return ask("box.ctl.switchover")
	})
	l.more(50)
	to.Kill()
	if err := to.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(to, l.newest())
	r.verify()
}
