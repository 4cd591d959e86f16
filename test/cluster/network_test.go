package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// The leader loses the others, in any direction: it gives up by itself, another
// leads, and the old one comes back when the network does.
func TestLeaderCutOff(t *testing.T) {
	for name, cut := range map[string]func(r *rig, leader int){
		"both ways":   func(r *rig, leader int) { r.mesh.Isolate(leader) },
		"cannot send": func(r *rig, leader int) { r.eachOther(leader, func(o int) { r.mesh.Cut(leader, o) }) },
		"cannot hear": func(r *rig, leader int) { r.eachOther(leader, func(o int) { r.mesh.Cut(o, leader) }) },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, options{proxied: true})
			l := r.startLoad(20)
			l.more(200)
			old := r.leader()
			cut(r, r.index(old.Node))
			r.readOnly(old.Node)
			r.leaderAfter(old.term)
			l.more(200)
			r.mesh.Heal()
			r.caughtUp(old.Node, l.newest())
			r.oneLeader()
			l.more(200)
			r.verify()
		})
	}
}

func (r *rig) eachOther(node int, f func(other int)) {
	for i := range r.Nodes {
		if i != node {
			f(i)
		}
	}
}

// A leader is cut off with writes that only its disk has, and pauses before it
// notices. Another one takes writes meanwhile. The old one's writes are void,
// their clients were not told otherwise, and they can be read afterwards.
func TestRowsOfAMinorityAreVoided(t *testing.T) {
	const first, last = 1_000_001, 1_000_005
	r := start(t, options{proxied: true})
	l := r.startLoad(20)
	l.more(200)
	l.stop() // what was under way is decided before the cut
	r.verify()
	old := r.leader()
	r.mesh.Isolate(r.index(old.Node))
	var outcomes []*tarantool.Future
	for key := first; key <= last; key++ {
		outcomes = append(outcomes, old.conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "nobody knows"})))
	}
	r.undecided(old.Node, len(outcomes))
	r.notShown(old.Node, first)
	old.Pause()
	paused := time.Now()
	r.leaderAfter(old.term)
	l2 := r.startLoad(20)
	l2.more(200)
	r.until("a second of pause", func() error { return since(paused, time.Second) })
	old.Resume()
	r.mesh.Heal()
	r.caughtUp(old.Node, l2.newest())
	for i, o := range outcomes {
		if _, err := o.Get(); err == nil {
			t.Errorf("the write of row %d was acknowledged", first+i)
		}
	}
	r.verify() // a voided row that shows anywhere was "never written"
	r.until("the voided rows can be read", func() error { return r.lostRows(old.Node, first, last) })
}

// undecided waits until so many transactions wait for a quorum on a node.
func (r *rig) undecided(n *cluster.Node, want int) {
	r.t.Helper()
	r.until("undecided rows on "+n.Name, func() error {
		info, err := r.info(n)
		if have := cluster.Number(mapAt(info, "synchro", "queue")["len"]); err == nil && have != uint64(want) {
			err = fmt.Errorf("%d are undecided", have)
		}
		return err
	})
}

// notShown: a default read does not show an undecided row.
func (r *rig) notShown(n *cluster.Node, key uint64) {
	r.t.Helper()
	data, err := r.sel(n, space, key)
	if err != nil || len(data) != 0 {
		r.t.Errorf("%s shows the undecided row %d: %v, %v", n.Name, key, data, err)
	}
}

// lostRows looks for voided rows of the space by their keys.
func (r *rig) lostRows(n *cluster.Node, first, last uint64) error {
	out, exit := r.tool("xlog", "cat", "--lost", "--json", "--type", "insert", n.DataDir())
	if exit != 0 {
		return fmt.Errorf("exit code %d: %s", exit, out)
	}
	seen := map[uint64]bool{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var e struct {
			Body struct {
				Tuple []any `json:"tuple"`
			} `json:"body"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return fmt.Errorf("%w: %q", err, line)
		}
		if len(e.Body.Tuple) == 2 && e.Body.Tuple[1] == "nobody knows" {
			id, _ := e.Body.Tuple[0].(float64)
			seen[uint64(id)] = true
		}
	}
	for key := first; key <= last; key++ {
		if !seen[key] {
			return fmt.Errorf("row %d is not among the lost ones: %s", key, out)
		}
	}
	return nil
}

// A follower of a leader without a quorum never shows what is undecided; a
// linearizable read there waits, and says so when it has waited enough.
func TestNoDirtyReads(t *testing.T) {
	const key = 1_000_001
	r := start(t, options{proxied: true, yaml: "database:\n  txn_synchro_timeout: 2\n"})
	r.startLoad(20).more(50)
	r.verify()
	leader := r.leader()
	follower, silent := r.others(leader.Node)[0], r.others(leader.Node)[1]
	silent.Pause() // no quorum without the acks of the other one
	r.mesh.Cut(r.index(follower), r.index(leader.Node))
	outcome := leader.conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "who knows"}))
	r.byHand[key] = true
	r.undecided(follower, 1)
	r.notShown(follower, key)
	r.notShown(leader.Node, key)
	if data, err := r.linear(follower, key); err == nil {
		t.Errorf("a linearizable read of an undecided row answered %v", data)
	}
	if _, err := outcome.Get(); err == nil {
		t.Error("the write was acknowledged without a quorum")
	}
	r.mesh.Heal()
	silent.Resume()
	r.oneLeader()
	r.startLoad(20).more(50)
	r.verify()
}

// linear reads one row as the newest acknowledged state has it.
func (r *rig) linear(n *cluster.Node, key uint64) ([]any, error) {
	return linearSelect(r.ctx, r.tracker.Conn(n.Addr), key)
}

// mapAt goes down into nested maps; what is not there is an empty map.
func mapAt(m map[any]any, path ...string) map[any]any {
	for _, name := range path {
		m, _ = m[name].(map[any]any)
	}
	return m
}
