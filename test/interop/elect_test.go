package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// set is a replica set that is described by one Tarantool 3 file.
type set struct {
	yaml    string // more of the global scope
	uuids   bool   // fixed ones: a node that lost its files comes back as the same
	oneFile bool   // all read one file, and no proxy is between them
}

// configured makes nodes that take their instance from the file. With proxies
// each has a file of its own, which differs in the others' addresses.
func (r *rig) configured(s set, peers ...peer) {
	r.t.Helper()
	for _, p := range peers {
		n := r.add(p, settings{env: []string{"TT_TARRAGON_ALLOW_TARANTOOL=true"}})
		n.command = func() (*exec.Cmd, error) { return n.fromFile(s) }
	}
	r.watch()
}

// file is the configuration as one node sees the others.
func (n *node) file(s set) string {
	var b strings.Builder
	fmt.Fprintf(&b, "credentials:\n  users:\n    %s: {password: '%s', roles: [replication]}\n    %s: {password: '%s', roles: [super]}\n", replicator, replicatorPassword, cluster.User, cluster.Password)
	fmt.Fprintf(&b, "iproto:\n  advertise:\n    peer: {login: %s}\nprocess:\n  work_dir: '%s'\n", replicator, n.r.dir)
	fmt.Fprintf(&b, "replication:\n  failover: election\n  timeout: 0.5\n  election_timeout: 2\n  synchro_timeout: 30\n%s", s.yaml)
	fmt.Fprintf(&b, "groups:\n  g-001:\n    replicasets:\n      r-001:\n        instances:\n")
	for _, o := range n.r.nodes {
		if o.set.anon {
			continue // it has a script of its own
		}
		fmt.Fprintf(&b, "          %s:\n            iproto:\n              listen: [{uri: '%s'}]\n", o.name, o.addr)
		if !s.oneFile {
			fmt.Fprintf(&b, "              advertise: {peer: {uri: '%s', login: %s}}\n", n.r.mesh.Peer(n.index, o.index, o.addr), replicator)
		}
		if s.uuids {
			fmt.Fprintf(&b, "            database: {instance_uuid: '00000000-0000-4000-8000-%012d'}\n", o.index+1)
		}
	}
	return b.String()
}

func (n *node) fromFile(s set) (*exec.Cmd, error) {
	path := filepath.Join(n.r.dir, n.name+".yaml")
	if s.oneFile {
		path = filepath.Join(n.r.dir, "cluster.yaml")
	}
	text := []byte(n.file(s))
	if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, text) { // another process may be reading it
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(n.peer.path, "--name", n.name, "--config", path)
	if n.isOurs() {
		cmd = exec.Command(ours, "serve", "--config", path, "--instance", n.name)
	}
	cmd.Env = append(os.Environ(), n.set.env...)
	if n.isOurs() {
		cmd.Env = append(cmd.Env, "TT_PROCESS_WORK_DIR="+filepath.Join(n.r.dir, "tarragon"))
	}
	return cmd, nil
}

// views is what the nodes of a set with elections say of themselves.
type views struct {
	mu  sync.Mutex
	all map[*node]view
}

// view of one node, as it was a moment ago; the zero view if it does not
// answer.
type view struct {
	state string // of the election
	term  uint64
	owner uint64 // of the queue
	id    uint64
	ro    bool
}

// leads: it may write because it owns the queue. With elections off that is
// how the one is found who was promoted last.
func (v view) leads() bool { return !v.ro && v.owner != 0 && v.owner == v.id }

// watch asks all nodes again and again, each over a connection of its own: one
// that hangs holds nobody up.
func (r *rig) watch() {
	r.views.all = map[*node]view{}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(r.ctx)
	r.t.Cleanup(func() { cancel(); wg.Wait() })
	for _, n := range r.nodes {
		wg.Go(func() {
			for ctx.Err() == nil {
				r.ask(ctx, n)
			}
		})
	}
}

// ask follows a node until it does not answer.
func (r *rig) ask(ctx context.Context, n *node) {
	const often, limit = 20 * time.Millisecond, 500 * time.Millisecond
	pause := func() {
		select {
		case <-ctx.Done():
		case <-time.After(often):
		}
	}
	defer pause()
	defer r.views.put(n, view{})
	conn, err := cluster.Connect(ctx, n.addr)
	if err != nil {
		return
	}
	defer conn.Close()
	for ctx.Err() == nil {
		once, done := context.WithTimeout(ctx, limit)
		out, err := conn.Do(tarantool.NewCallRequest("box.info").Args([]any{}).Context(once)).Get()
		done()
		if err != nil || len(out) == 0 {
			return
		}
		info := value{out[0]}
		e := info.at("election")
		r.views.put(n, view{e.at("state").text(), e.at("term").num(), info.at("synchro", "queue", "owner").num(), info.at("id").num(), info.at("ro").any == true})
		pause()
	}
}

func (v *views) put(n *node, now view) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all[n] = now
}

// of is the view of one node.
func (v *views) of(n *node) view {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all[n]
}

// leading is the node that leads the newest term and takes writes, nil for
// none.
func (r *rig) leading(context.Context) (leader *node) {
	r.views.mu.Lock()
	defer r.views.mu.Unlock()
	term := uint64(0)
	for _, n := range r.nodes {
		if v := r.views.all[n]; v.leads() && v.term > term {
			leader, term = n, v.term
		}
	}
	return leader
}

// leader waits for one of a term greater than after.
func (r *rig) leader(after uint64) (leader *node, term uint64) {
	r.t.Helper()
	r.until(fmt.Sprintf("a leader after term %d", after), func() error {
		leader = r.leading(r.ctx)
		if leader == nil {
			return fmt.Errorf("nobody leads: %v", r.said())
		}
		if term = r.views.of(leader).term; term <= after {
			return fmt.Errorf("%s leads term %d", leader.name, term)
		}
		return nil
	})
	return leader, term
}

// said is all views, for messages.
func (r *rig) said() (out []string) {
	for _, n := range r.nodes {
		out = append(out, fmt.Sprintf("%s, %s: %+v", n.name, n.kind(), r.views.of(n)))
	}
	return out
}

// lead makes a node the leader. What nodes say of themselves comes a moment
// later than the answer to the call, which is not made again meanwhile: each
// call may begin another term.
func (r *rig) lead(n *node) {
	r.t.Helper()
	var asked time.Time
	r.until(n.name+" leads", func() error {
		if r.leading(r.ctx) == n {
			return nil
		}
		if time.Since(asked) < 2*time.Second {
			return fmt.Errorf("it does not yet: %v", r.said())
		}
		if err := n.run("box.ctl.promote"); err != nil {
			return err
		}
		asked = time.Now()
		return fmt.Errorf("it does not yet: %v", r.said())
	})
}

// formed runs the set until all are members and follow each other, and makes
// the spaces of the writers.
func (r *rig) formed() {
	r.t.Helper()
	for _, n := range r.nodes {
		n.start()
	}
	r.up(r.nodes...)
	r.meshed(r.nodes...)
	l, _ := r.leader(0)
	r.space(l, orders, map[string]any{"is_sync": true})
}

// meshed waits until nodes follow all others of the set.
func (r *rig) meshed(nodes ...*node) {
	r.t.Helper()
	for _, n := range nodes {
		for _, o := range nodes {
			if o != n {
				r.upstream(n, o, "follow", "")
			}
		}
	}
}

// mixes are sets of both kinds.
func mixes() map[string][]peer {
	return map[string][]peer{
		"two Tarantools": {modern, modern, us(modern)},
		"one Tarantool":  {modern, us(modern), us(modern)},
	}
}

// eachMix runs a test with each of them, if there is a Tarantool 3.
func eachMix(t *testing.T, test func(t *testing.T, peers []peer)) {
	t.Helper()
	if modern.path == "" {
		t.Skip("TARANTOOL names no Tarantool 3")
	}
	for name, peers := range mixes() {
		t.Run(name, func(t *testing.T) { test(t, peers) })
	}
}

// The
// leaders of either kind are killed, paused, cut off and stopped under load.
func TestElections(t *testing.T) {
	faults := map[string]func(r *rig, n *node) (end func()){
		"killed": func(r *rig, n *node) func() {
			n.kill()
			return n.start
		},
		"paused": func(r *rig, n *node) func() {
			n.Pause()
			return n.Resume
		},
		"cut off": func(r *rig, n *node) func() {
			r.mesh.Isolate(n.index)
			r.until(n.name+" takes no more writes", func() error {
				if v := r.views.of(n); !v.ro {
					return fmt.Errorf("%+v", v)
				}
				return nil
			})
			return r.mesh.Heal
		},
		"stopped": func(r *rig, n *node) func() {
			n.terminate()
			return n.start
		},
	}
	eachMix(t, func(t *testing.T, peers []peer) {
		for name, fault := range faults {
			t.Run(name, func(t *testing.T) {
				r := newRig(t)
				r.configured(set{}, peers...)
				r.formed()
				l := r.write(orders, r.leading)
				l.more(100)
				for _, n := range r.nodes[1:] { // the first is of the kind of one of these
					r.lead(n)
					l.more(50)
					term := r.views.of(n).term
					end := fault(r, n)
					r.leader(term)
					l.more(50)
					end()
					r.up(n)
					r.meshed(r.nodes...)
					l.more(50)
				}
				r.same()
				for _, n := range r.nodes {
					if r.views.of(n).state == "" {
						t.Errorf("%s does not answer", n.name)
					}
				}
			})
		}
	})
}

// One file describes the set, each process takes its instance from it. Everybody
// is promoted by hand in turn, and demoted.
func TestPromoteAndDemote(t *testing.T) {
	eachMix(t, func(t *testing.T, peers []peer) {
		r := newRig(t)
		r.configured(set{oneFile: true}, peers...)
		r.formed()
		l := r.write(orders, r.leading)
		for range 2 {
			for _, n := range r.nodes {
				r.lead(n)
				l.more(30)
			}
		}
		for _, n := range r.nodes {
			r.lead(n)
			l.more(30)
			term := r.views.of(n).term
			n.must("box.ctl.demote")
			r.leader(term)
			l.more(30)
		}
		r.same()
	})
}
