package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// newer is the version of the binary that sets are upgraded to.
const newer = "1000.0.0"

// upgradeFrom names a variable with the path of the binary that TestUpgrade begins with, one of an
// earlier commit, say. Without it that is the one that all tests run.
const upgradeFrom = "TARRAGON_UPGRADE_FROM"

// builds are the binaries of other versions.
var builds = struct {
	mu   sync.Mutex
	done map[string]bool
}{done: map[string]bool{}}

// buildOf builds this program as another version, once for all tests that want it.
func buildOf(t *testing.T, version string) string {
	t.Helper()
	builds.mu.Lock()
	defer builds.mu.Unlock()
	path := filepath.Join(filepath.Dir(binary), "tarragon-"+version)
	if builds.done[version] {
		return path
	}
	words := slices.Concat([]string{"build"}, buildFlags, []string{"-ldflags", "-X main.version=" + version, "-o", path, "tarragon.dev/tarragon/cmd/tarragon"})
	if out, err := exec.Command("go", words...).CombinedOutput(); err != nil {
		t.Fatalf("build version %s: %v\n%s", version, err, out)
	}
	builds.done[version] = true
	return path
}

// restartPause is how long a service waits before it starts again what has ended: one that does
// not start would take the processor otherwise.
const restartPause = 100 * time.Millisecond

// service is what a service manager is to the nodes: it starts each again that ends, with
// the binary of then.
type service struct {
	r     *rig
	wg    sync.WaitGroup
	ended chan struct{}

	mu     sync.Mutex
	binary string
	held   map[string]chan struct{} // nodes that wait for it to be closed, by name
}

// serve runs one for all nodes of the rig.
func (r *rig) serve() *service {
	s := &service{r: r, ended: make(chan struct{}), binary: r.Nodes[0].Binary, held: map[string]chan struct{}{}}
	for _, n := range slices.Concat(r.Nodes, r.Readers) {
		s.note(n)
		s.wg.Go(func() { s.keep(n) })
	}
	r.t.Cleanup(s.stop)
	return s
}

// install puts a binary where nodes are started from.
func (s *service) install(binary string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.binary = binary
}

// hold keeps a node from being started until the channel is closed.
func (s *service) hold(n *cluster.Node) (release chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[n.Name] = make(chan struct{})
	return s.held[n.Name]
}

func (s *service) stop() {
	s.mu.Lock()
	close(s.ended)
	s.mu.Unlock()
	for _, n := range slices.Concat(s.r.Nodes, s.r.Readers) {
		n.Kill()
	}
	s.wg.Wait()
}

// keep starts a node whenever it has ended.
func (s *service) keep(n *cluster.Node) {
	for {
		<-n.Exited()
		s.mu.Lock()
		held := s.held[n.Name]
		s.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-s.ended:
			}
		}
		select {
		case <-time.After(restartPause):
		case <-s.ended:
		}
		if !s.start(n) {
			return
		}
		s.note(n)
	}
}

// start tells whether it was: not once the test ends.
func (s *service) start(n *cluster.Node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.ended:
		return false
	default:
	}
	n.Binary = s.binary
	if err := n.Start(); err != nil {
		s.r.t.Error(err)
		return false
	}
	return true
}

// note writes the number of a node's process where the restart command finds it.
func (s *service) note(n *cluster.Node) {
	path := s.r.pidFile(n.Name)
	err := os.WriteFile(path+".new", fmt.Appendf(nil, "%d", n.PID()), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		s.r.t.Error(err)
	}
}

func (r *rig) pidFile(name string) string { return filepath.Join(r.dir, name+".pid") }

// restartBy is the command that has the service restart a node.
func (r *rig) restartBy() string { return "kill -TERM $(cat " + r.pidFile("%s") + ")" }

// upgradeBy is the command line of an upgrade by a binary.
func (r *rig) upgradeBy(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.ctx, program, append([]string{"upgrade", "--config", r.Config, "--restart", r.restartBy()}, args...)...)
	cmd.Dir = r.dir
	return cmd
}

// upgrade runs it to its end, and wants these words.
func (r *rig) upgrade(want int, words []string, program string, args ...string) (out string) {
	r.t.Helper()
	cmd := r.upgradeBy(program, args...)
	raw, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		r.t.Fatalf("upgrade %v: %v", args, err)
	}
	out = string(raw)
	if exit := cmd.ProcessState.ExitCode(); exit != want {
		r.t.Fatalf("upgrade %v: exit %d, not %d\n%s", args, exit, want, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			r.t.Fatalf("upgrade %v: no %q in\n%s", args, w, out)
		}
	}
	return out
}

// versions are those that the nodes say they run, in their order; empty: one does not answer or does not say.
func (r *rig) versions() (out []string) {
	for _, n := range r.Nodes {
		version := ""
		if info, err := r.info(n); err == nil {
			own, _ := info["tarragon"].(map[any]any)
			program, _ := own["program"].(map[any]any)
			version, _ = program["version"].(string)
		}
		out = append(out, version)
	}
	return out
}

// counts are how many nodes run a version.
func (r *rig) counts(version string) (n int) {
	for _, v := range r.versions() {
		if v == version {
			n++
		}
	}
	return n
}

// Three members and a reader are upgraded to another build while plain clients write through a router
// without code for failures: no write fails, each is done once, readers go first and the leader last.
func TestUpgrade(t *testing.T) {
	next := buildOf(t, newer)
	r := startFiltered(t, options{filters: []string{"hr"}, binary: os.Getenv(upgradeFrom)})
	s := r.serve()
	rw, _, _ := r.startRouter("--hold-time", "2m")
	l := r.startPlainLoad(func() tarantool.Doer { return r.connectRouter(rw) })
	l.more(50)
	s.install(next)
	lead := r.leader()
	rest := r.others(lead.Node)
	r.upgrade(0, []string{"  1. restart r-hr, reader", "  2. restart " + rest[0].Name + ", follower", "  3. restart " + rest[1].Name + ", follower",
		"  4. switchover: " + lead.Name + " hands", "  5. restart " + lead.Name + ", leader"}, next, "--plan")
	if n := r.counts(newer); n > 0 {
		t.Errorf("a plan has restarted %d nodes", n)
	}
	t.Log(r.upgrade(0, []string{"all 4 instances run " + newer}, next, "--run"))
	l.more(50)
	if n := r.counts(newer); n != len(r.Nodes) {
		t.Errorf("%d nodes run it", n)
	}
	l.verify()
	r.upgrade(0, []string{"4 instances run " + newer, "0 steps are left"}, next, "--plan")
}

// A new binary that does not start ends the upgrade at the first instance, and no other is touched. With
// one that starts the same goes on from there.
func TestUpgradeStops(t *testing.T) {
	next := buildOf(t, newer)
	r := start(t, options{})
	s := r.serve()
	l := r.startLoad(20)
	l.more(50)
	bad := filepath.Join(r.dir, "bad")
	if err := os.WriteFile(bad, []byte("#!/bin/sh\necho no such instruction >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	lead := r.leader()
	first, other := r.others(lead.Node)[0], r.others(lead.Node)[1]
	was := map[*cluster.Node]int{lead.Node: lead.PID(), other: other.PID()}
	s.install(bad)
	r.upgrade(1, []string{"upgrade stopped at " + first.Name, "it did not come back: not within 3s: it does not answer", other.Name, "no other instance is touched"}, next, "--run", "--wait", "3s")
	for n, pid := range was {
		if n.PID() != pid {
			t.Errorf("%s was restarted", n.Name)
		}
	}
	l.more(50)
	r.upgrade(1, []string{first.Name, "it does not answer", "bring it back first", "nothing was touched"}, next, "--run")
	s.install(next)
	r.until(first.Name+" is back", func() error {
		if r.counts(newer) != 1 {
			return fmt.Errorf("%v", r.versions())
		}
		return nil
	})
	out := r.upgrade(0, []string{"all 3 instances run " + newer}, next, "--run")
	if strings.Contains(out, "restart "+first.Name) {
		t.Errorf("%s was restarted again:\n%s", first.Name, out)
	}
	l.more(50)
	r.verify()
}

// What must not be begun is refused with what to do, and nothing is restarted: an older program, a member
// that is down, too few for a quorum; and the run ends at an instance whose command fails, or which comes back as it was.
func TestUpgradeRefused(t *testing.T) {
	next, older := buildOf(t, newer), buildOf(t, "0.0.1")
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(50)
	was := map[string]int{}
	for _, n := range r.Nodes {
		was[n.Name] = n.PID()
	}
	untouched := func() {
		t.Helper()
		for _, n := range r.Nodes {
			if n.PID() != was[n.Name] {
				t.Errorf("%s was restarted", n.Name)
			}
		}
	}
	r.upgrade(1, []string{"this program is older, 0.0.1", "--allow-older", "nothing was touched"}, older, "--run")
	r.upgrade(2, []string{"--run needs --restart"}, next, "--run", "--restart", "")
	r.upgrade(2, []string{"there is no such instance"}, next, "--run", "--without", "i9")
	lead := r.leader()
	first, other := r.others(lead.Node)[0], r.others(lead.Node)[1]
	r.upgrade(1, []string{"its restart command failed: exit status 7; it answers and runs"}, next, "--run", "--restart", "echo %s; exit 7")
	r.upgrade(1, []string{"upgrade stopped at " + first.Name, "the process that was there before still runs"}, next, "--run", "--restart", "true %s", "--wait", "2s")
	untouched()
	s := r.serve()
	r.upgrade(1, []string{"upgrade stopped at " + first.Name, "it came back and runs", "is the new binary where it is started from?"}, next, "--run")
	s.hold(first)
	first.Kill()
	was[first.Name] = 0
	r.upgrade(1, []string{first.Name, "it does not answer", "--without " + first.Name}, next, "--run")
	r.upgrade(1, []string{"2 of 3 members are there, and 2 are needed", "--allow-outage"}, next, "--run", "--without", first.Name)
	untouched()
	if now := r.leader(); now.Node != lead.Node || now.term != lead.term {
		t.Errorf("%s leads term %d, behind %s in %d", now.Name, now.term, lead.Name, lead.term)
	}
	l.more(50)
	r.verify(lead.Node, other)
}

// Leadership moves while an upgrade runs, to one that is restarted already or not: what is left follows
// from who leads then, and nobody is restarted twice.
func TestUpgradeLeaderMoves(t *testing.T) {
	next := buildOf(t, newer)
	r := start(t, options{})
	r.raiseFeature()
	s := r.serve()
	rw, _, _ := r.startRouter("--hold-time", "2m")
	l := r.startPlainLoad(func() tarantool.Doer { return r.connectRouter(rw) })
	l.more(50)
	s.install(next)
	lead := r.leader()
	to := r.others(lead.Node)[1] // the first is restarted when it moves
	moves := fmt.Sprintf("test -e moved || { touch moved; until %s switchover --config %s --to %s; do :; done; } && ", binary, r.Config, to.Name)
	out := r.upgrade(0, []string{to.Name + " leads in term", "all 3 instances run " + newer}, next, "--run", "--restart", moves+r.restartBy())
	for _, n := range r.Nodes {
		if strings.Count(out, "\nrestart "+n.Name) != 1 {
			t.Errorf("%s was not restarted once:\n%s", n.Name, out)
		}
	}
	if strings.Index(out, "\nrestart "+to.Name) < strings.Index(out, "\nrestart "+lead.Name) {
		t.Errorf("the new leader was not the last:\n%s", out)
	}
	l.more(50)
	l.verify()
}

// A run that is broken off while an instance is away, by a word or by force, goes on from there.
func TestUpgradeGoesOn(t *testing.T) {
	next := buildOf(t, newer)
	r := start(t, options{})
	s := r.serve()
	l := r.startLoad(20)
	l.more(50)
	s.install(next)
	lead := r.leader()
	for i, n := range r.others(lead.Node) {
		release, ended := s.hold(n), n.Exited()
		cmd := r.upgradeBy(next, "--run")
		var said strings.Builder
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.happens(n.Name+" is told to stop", ended)
		signal, exit := os.Interrupt, 130
		if i == 1 {
			signal, exit = syscall.SIGKILL, -1
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != exit {
			t.Errorf("exit %d, %v", cmd.ProcessState.ExitCode(), err)
		}
		if exit == 130 && !strings.Contains(said.String(), "upgrade broken off") {
			t.Errorf("it says %s", said.String())
		}
		close(release)
		r.until(n.Name+" is back", func() error {
			if have := r.counts(newer); have != i+1 {
				return errors.New(strings.Join(r.versions(), ", "))
			}
			return nil
		})
		l.more(50)
	}
	out := r.upgrade(0, []string{"all 3 instances run " + newer, "switchover: "}, next, "--run")
	if n := strings.Count(out, "\nrestart "); n != 1 {
		t.Errorf("%d instances were restarted by the last run:\n%s", n, out)
	}
	l.more(50)
	r.verify()
}

// Sets without a quorum during a restart say what it costs, and are upgraded if that may be.
func TestUpgradeFew(t *testing.T) {
	next := buildOf(t, newer)
	for _, c := range []struct {
		nodes int
		says  string
	}{
		{1, "there is one member: nobody reads or writes while it restarts"},
		{2, "2 of 2 members are there, and 2 are needed"},
	} {
		t.Run(fmt.Sprint(c.nodes), func(t *testing.T) {
			r := start(t, options{nodes: c.nodes})
			s := r.serve()
			l := r.startLoad(20)
			l.more(50)
			s.install(next)
			r.upgrade(1, []string{c.says, "--allow-outage says that this may be", "nothing was touched"}, next, "--run")
			r.upgrade(0, []string{fmt.Sprintf("all %d instances run %s", c.nodes, newer)}, next, "--run", "--allow-outage")
			l.more(50)
			r.verify()
		})
	}
}
