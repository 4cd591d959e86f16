package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
)

// A member is replaced while its process is paused, by one of the same name with
// an empty directory: as when a pod is deleted by force and runs on. The new
// one counts in its place. Then the old one wakes up, and steps aside.
func TestReplacedWhilePaused(t *testing.T) {
	for _, role := range []string{"follower", "leader"} {
		t.Run(role, func(t *testing.T) {
			r := start(t, options{proxied: true})
			l := r.startLoad(20)
			l.more(100)
			lead := r.leader()
			old := lead.Node
			if role == "follower" {
				old = r.others(lead.Node)[0]
			}
			id, rest := r.idOf(old), r.others(old)
			old.Pause()
			if role == "leader" {
				r.leaderAfter(lead.term)
			}
			twin := r.twin(old)
			if err := twin.Start(); err != nil {
				t.Fatal(err)
			}
			r.tracker.Add(twin.Addr)
			r.caughtUp(twin, l.newest())
			now := append(slices.Clone(rest), twin)
			for _, n := range now {
				r.until(n.Name+" knows three members", func() error { return r.knows(n, 3) })
			}
			if got := r.idOf(twin); got == id {
				t.Errorf("the new %s has replica ID %d, which is the old one's", twin.Name, got)
			}
			other := r.followerOf(rest)
			other.Kill() // what is left is a quorum only with the new one
			l.more(100)
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			old.Resume()
			r.stepsAside(old)
			l.more(100)
			r.verify(now...)
		})
	}
}

// A member's directory is copied to another machine and started there, while the
// first process runs on. Nobody counts either, both are told, and the one that is
// left in the end is a member.
func TestCopiedDirectory(t *testing.T) {
	r := start(t, options{proxied: true})
	l := r.startLoad(20)
	l.more(100)
	lead := r.leader()
	one := r.others(lead.Node)[0]
	rest := r.others(one)
	one.Kill()
	two := r.twin(one)
	if err := os.CopyFS(two.DataDir(), os.DirFS(one.DataDir())); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*cluster.Node{one, two} {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	r.tracker.Add(two.Addr)
	for _, n := range []*cluster.Node{one, two} {
		r.until(n.Name+" is told", func() error { return r.hasLogged(n, "two processes are alive as") })
	}
	for _, n := range rest {
		r.until(n.Name+" says so", func() error { return r.hasLogged(n, "two processes are alive under one identity") })
	}
	l.more(100) // by those of whom there is one
	one.Kill()
	r.caughtUp(two, l.newest()) // as a new life, if the first one has acked more
	for _, n := range rest {
		r.until(n.Name+" knows three members", func() error { return r.knows(n, 3) })
	}
	other := r.followerOf(rest)
	other.Kill() // what is left is a quorum only with the second one
	l.more(100)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	r.verify(append(slices.Clone(rest), two)...)
}

func (r *rig) hasLogged(n *cluster.Node, text string) error {
	if !strings.Contains(r.log(n), text) {
		return fmt.Errorf("its log has no %q", text)
	}
	return nil
}

// stepsAside: a node finds that it is no member any more, says so and takes no
// writes.
func (r *rig) stepsAside(n *cluster.Node) {
	r.t.Helper()
	r.until(n.Name+" steps aside", func() error {
		info, err := r.info(n)
		if err == nil && (info["ro"] != true || info["ro_reason"] != "expelled") {
			err = fmt.Errorf("ro is %v because of %v", info["ro"], info["ro_reason"])
		}
		return err
	})
}

// twin makes a process that takes a node's name over. It leads nobody: the others
// know its clients' address by their files, which do not change here.
func (r *rig) twin(n *cluster.Node) *cluster.Node {
	r.t.Helper()
	i := r.index(n)
	t, err := r.Twin(n)
	if err != nil {
		r.t.Fatal(err)
	}
	r.rewrite(t, n.Name+":\n", n.Name+":\n            replication: {election_mode: voter}\n")
	r.Nodes = append(r.Nodes, t)
	r.mesh.Move(i, t.Addr)
	return t
}

// followerOf is a node of some that does not lead.
func (r *rig) followerOf(nodes []*cluster.Node) *cluster.Node {
	lead := r.leader().Node
	return nodes[slices.IndexFunc(nodes, func(n *cluster.Node) bool { return n != lead })]
}

// A follower gets the directory back that was copied yesterday. What it has
// acked since is committed by that ack, and it does not know: the leader tells it,
// and it votes and acks for nothing before it has all of it again.
func TestStoreFromYesterday(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	lead := r.leader()
	back, third := r.others(lead.Node)[0], r.others(lead.Node)[1]
	back.Kill()
	yesterday := filepath.Join(r.dir, "yesterday")
	if err := os.CopyFS(yesterday, os.DirFS(back.DataDir())); err != nil {
		t.Fatal(err)
	}
	if err := back.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(back, l.newest())
	third.Kill()
	l.more(200) // by its acks and the leader's own
	back.Kill()
	if err := errors.Join(os.RemoveAll(back.DataDir()), os.CopyFS(back.DataDir(), os.DirFS(yesterday)), os.Chmod(back.DataDir(), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := back.Start(); err != nil {
		t.Fatal(err)
	}
	r.until(back.Name+" is told", func() error {
		if !strings.Contains(r.log(back), "claim") {
			return errors.New("it is not")
		}
		return nil
	})
	if err := third.Start(); err != nil { // it knows neither
		t.Fatal(err)
	}
	r.caughtUp(back, l.newest())
	for _, n := range r.Nodes {
		r.until(n.Name+" knows three members", func() error { return r.knows(n, 3) })
	}
	last := r.leader()
	last.Kill() // what is left is a quorum only with it
	l.more(100)
	if err := last.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(last.Node, l.newest())
	r.verify()
}

// Three nodes join at once, and all are cut off before they have caught up. They
// count for nothing so far: the set has the quorum that it had, also when one of
// its own members dies. Two of them go on and count, one was killed; the status
// names it until it comes back.
func TestJoinersCutOff(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	old := slices.Clone(r.Nodes)
	mesh := cluster.NewMesh()
	t.Cleanup(mesh.Close)
	var joiners []*cluster.Node
	for range 3 {
		joiners = append(joiners, r.joiner(mesh))
	}
	mesh.Delay(200 * time.Millisecond) // a join takes many words: time to see one under way
	for _, n := range joiners {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range joiners {
		r.until(n.Name+" is a learner", func() error { return r.learns(n) })
		mesh.Isolate(r.index(joiners[i]))
	}
	for _, n := range joiners {
		if err := r.learns(n); err != nil {
			t.Fatal(err)
		}
	}
	r.allCountBy(2, old...)
	dead := r.followerOf(old)
	dead.Kill()
	l.more(100)
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(dead, l.newest())

	gone := joiners[2]
	gone.Kill()
	mesh.Delay(0)
	mesh.Heal()
	for _, n := range joiners[:2] {
		r.tracker.Add(n.Addr)
		r.caughtUp(n, l.newest())
	}
	r.allCountBy(3, append(slices.Clone(old), joiners[:2]...)...)
	r.until("the status names who does not count", func() error {
		text, _ := r.tool("status", "--config", r.Config)
		if !strings.Contains(text, "not counted before they have caught up: "+gone.Name+"\n") {
			return errors.New(text)
		}
		return nil
	})
	if err := gone.Start(); err != nil {
		t.Fatal(err)
	}
	r.tracker.Add(gone.Addr)
	for _, n := range r.Nodes {
		r.until(n.Name+" knows six members", func() error { return r.knows(n, 6) })
	}
	r.allCountBy(4, r.Nodes...)
	l.more(100)
	r.verify()
}

// joiner adds a node that reaches the others through proxies.
func (r *rig) joiner(mesh *cluster.Mesh) *cluster.Node {
	r.t.Helper()
	n, err := r.Add()
	if err != nil {
		r.t.Fatal(err)
	}
	raw, err := os.ReadFile(r.Config)
	if err != nil {
		r.t.Fatal(err)
	}
	n.Config = n.Log + ".yaml"
	r.write(n.Config, string(raw), func(yaml string) string {
		for i, o := range r.others(n) {
			listen := fmt.Sprintf("              listen: [{uri: '%s'}]\n", o.Addr)
			yaml = strings.Replace(yaml, listen, listen+fmt.Sprintf("              advertise: {client: '%s', peer: {uri: '%s', login: replicator}}\n",
				o.Addr, mesh.Peer(r.index(n), i, o.Addr)), 1)
		}
		return yaml
	})
	return n
}

// learns: a node is a member that does not count.
func (r *rig) learns(n *cluster.Node) error {
	all, err := r.members(r.leader().Node)
	for _, m := range all {
		if m.name == n.Name && m.learner {
			return nil
		}
	}
	return errors.Join(err, fmt.Errorf("the members are %v", all))
}
