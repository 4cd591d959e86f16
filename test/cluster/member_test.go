package cluster

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// A follower whose disk was wiped comes back by itself, as somebody else: under
// a new replica ID. The set goes on with it, also without its old leader.
func TestWipedFollower(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(200)
	wiped := r.others(r.leader().Node)[0]
	before := r.idOf(wiped)
	wiped.Kill()
	l.more(200)
	if err := os.RemoveAll(wiped.DataDir()); err != nil {
		t.Fatal(err)
	}
	if err := wiped.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(wiped, l.newest())
	for _, n := range r.Nodes {
		r.until(n.Name+" knows three members", func() error { return r.knows(n, 3) })
	}
	if after := r.idOf(wiped); after == before {
		t.Errorf("%s has replica ID %d again", wiped.Name, after)
	}
	old := r.leader()
	old.Kill() // what is left is a quorum only with the one that was wiped
	l.more(200)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(old.Node, l.newest())
	r.verify()
}

// idOf is the replica ID of a member by its name.
func (r *rig) idOf(n *cluster.Node) (id uint64) {
	r.t.Helper()
	r.until(n.Name+" is a member", func() error {
		all, err := r.members(r.leader().Node)
		for _, m := range all {
			if m.name == n.Name {
				id = m.id
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("there are %v", all))
	})
	return id
}

// retention is as short as it can be.
const retention = "tarragon:\n  max_log_entries: 20\n  snapshot_threshold: 200\nsnapshot:\n  count: 1\n"

// A follower is away until the log that it needs is gone: it joins anew by
// itself, under its own replica ID, and has its old data until then.
func TestFollowerBeyondRetention(t *testing.T) {
	r := start(t, options{yaml: retention})
	l := r.startLoad(20)
	l.more(100)
	away := r.others(r.leader().Node)[0]
	before := r.idOf(away)
	key := l.newest()
	r.caughtUp(away, key)
	away.Kill()
	r.dropLog(l, r.others(away))
	if err := away.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(away, l.newest())
	r.joinedAnew(away, before)
	l.more(100)
	r.verify()
}

// A leader is cut off with rows that only its disk has, dies, and comes back
// when the log that it needs is gone. It joins anew, and does not forget: its
// LSNs are not used again, and what was voided can still be read.
func TestOldLeaderBeyondRetention(t *testing.T) {
	const first, last = 1_000_001, 1_000_005
	r := start(t, options{proxied: true, yaml: retention})
	l := r.startLoad(20)
	l.more(100)
	l.stop()
	r.verify()
	old := r.leader()
	id := r.idOf(old.Node)
	r.mesh.Isolate(r.index(old.Node))
	for key := first; key <= last; key++ {
		old.conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "nobody knows"}))
	}
	r.undecided(old.Node, last-first+1)
	old.Kill()
	r.leaderAfter(old.term)
	l = r.startLoad(20)
	l.more(50)
	r.mesh.Heal() // what was on its way comes after the newer term
	r.dropLog(l, r.others(old.Node))
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(old.Node, l.newest())
	r.joinedAnew(old.Node, id)
	for now := r.leader(); now.Node != old.Node; now = r.leaderAfter(now.term) {
		now.Kill() // it leads again, and goes on with its LSNs
		l.more(50)
		if err := now.Start(); err != nil {
			t.Fatal(err)
		}
		r.caughtUp(now.Node, l.newest())
	}
	l.more(100)
	r.verify()
	r.until("the voided rows can be read", func() error { return r.lostRows(old.Node, first, last) })
}

// dropLog writes until the nodes have dropped all of their log that there is
// now.
func (r *rig) dropLog(l *load, nodes []*cluster.Node) {
	r.t.Helper()
	for _, n := range nodes {
		last := r.lastGroup(n)
		r.until(n.Name+" drops the log", func() error {
			l.more(50)
			return r.dropped(n, last)
		})
	}
}

// joinedAnew: a node has given up its data for a new copy, as the same
// member.
func (r *rig) joinedAnew(n *cluster.Node, id uint64) {
	r.t.Helper()
	if now := r.idOf(n); now != id {
		r.t.Errorf("%s has replica ID %d, and had %d", n.Name, now, id)
	}
	if log := r.log(n); !strings.Contains(log, "joining the replica set anew") {
		r.t.Errorf("%s did not join anew", n.Name)
	}
	if out, exit := r.tool("xlog", "former", "list", n.DataDir()); exit != 0 || out != "" {
		r.t.Errorf("%s has kept: %d, %s", n.Name, exit, out)
	}
}

// lastGroup is the number of the newest group in a node's log.
func (r *rig) lastGroup(n *cluster.Node) (no uint64) {
	r.t.Helper()
	r.until("box.info of "+n.Name, func() error {
		info, err := r.info(n)
		no = cluster.Number(mapAt(info, "tarragon", "log")["last_group"])
		return err
	})
	return no
}

// dropped: the log begins behind a group.
func (r *rig) dropped(n *cluster.Node, last uint64) error {
	info, err := r.info(n)
	if first := cluster.Number(mapAt(info, "tarragon", "log")["first_group"]); err == nil && first <= last+1 {
		err = fmt.Errorf("the log begins with group %d, wanted is one behind %d", first, last)
	}
	return err
}

func (r *rig) log(n *cluster.Node) string {
	r.t.Helper()
	raw, err := os.ReadFile(n.Log)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(raw)
}

// An expelled node stops taking part, read-only, and says so; the rest counts
// without it. A further node that the configuration names joins.
func TestExpelAndAdd(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(200)
	out := r.others(r.leader().Node)[0]
	r.until("expel", func() error {
		if text, exit := r.tool("expel", out.Name, "--config", r.Config); exit != 0 {
			return errors.New(text)
		}
		return nil
	})
	rest := r.others(out)
	for _, n := range rest {
		r.until(n.Name+" counts without it", func() error {
			info, err := r.info(n)
			if q := cluster.Number(mapAt(info, "synchro")["quorum"]); err == nil && q != 2 {
				err = fmt.Errorf("the quorum is %d", q)
			}
			return errors.Join(err, r.knows(n, 2))
		})
	}
	r.until("it says so", func() error {
		info, err := r.info(out)
		if err == nil && (info["ro"] != true || info["ro_reason"] != "expelled") {
			err = fmt.Errorf("ro is %v because of %v", info["ro"], info["ro_reason"])
		}
		return err
	})
	if text, exit := r.tool("status", "--config", r.Config); !strings.Contains(text, "expelled") {
		t.Errorf("status does not say so, exit code %d:\n%s", exit, text)
	}
	l.more(200)
	out.Signal(syscall.SIGTERM)
	r.happens("the expelled one ends", out.Exited())

	added, err := r.Add()
	if err != nil {
		t.Fatal(err)
	}
	r.tracker.Add(added.Addr)
	if err := added.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(added, l.newest())
	for _, n := range append(slices.Clone(rest), added) {
		r.until(n.Name+" knows three members", func() error { return r.knows(n, 3) })
	}
	for _, n := range rest { // they learn the new one's address
		n.Kill()
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		l.more(100)
		r.caughtUp(n, l.newest())
	}
	r.verify(append(slices.Clone(rest), added)...)
}
