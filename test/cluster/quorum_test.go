package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

const quorumOption = "replication_synchro_quorum"

// quorumOf is the synchronous quorum as a node counts by it.
func (r *rig) quorumOf(n *cluster.Node) (uint64, error) {
	info, err := r.info(n)
	return cluster.Number(mapAt(info, "synchro")["quorum"]), err
}

// allCountBy waits until nodes count by a quorum.
func (r *rig) allCountBy(want uint64, nodes ...*cluster.Node) {
	r.t.Helper()
	for _, n := range nodes {
		r.until(fmt.Sprintf("%s counts by a quorum of %d", n.Name, want), func() error {
			q, err := r.quorumOf(n)
			if err == nil && q != want {
				err = fmt.Errorf("it counts by %d", q)
			}
			return err
		})
	}
}

// askQuorum is box.cfg{replication_synchro_quorum} on one node, whose answer may
// never come.
func (l leading) askQuorum(n int) *tarantool.Future {
	return l.conn.Do(tarantool.NewCallRequest("box.cfg").Args([]any{map[string]any{quorumOption: n}}))
}

// The quorum is changed by box.cfg on the leader under load, and each time the
// leader is killed before it has told whether it is changed. Asked again, the
// next one does it.
func TestQuorumChangedUnderLoad(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	for _, n := range []int{3, 1, 2} {
		l.more(100)
		old := r.leader()
		old.askQuorum(n)
		old.Kill()
		if err := old.Start(); err != nil { // of three who might have acknowledged alone, none may be missing
			t.Fatal(err)
		}
		r.leaderAfter(old.term)
		r.call("box.cfg", map[string]any{quorumOption: n})
		r.allCountBy(uint64(n), r.Nodes...)
		l.more(100)
	}
	r.verify()
}

// The leader is told a quorum of one, then the others are killed, and it goes on
// alone (fencing, which counts by who elects, would end that in a second). It is
// paused, and the others come back: they cannot know what it has acknowledged, so
// they elect nobody until it wakes up.
func TestQuorumOfOne(t *testing.T) {
	r := newRig(t, options{})
	r.edit(func(yaml string) string {
		return strings.Replace(yaml, "replication:\n", "replication:\n  election_fencing_mode: 'off'\n", 1)
	})
	r.run()
	l := r.startLoad(20)
	l.more(100)
	r.call("box.cfg", map[string]any{quorumOption: 1})
	lead := r.leader()
	rest := r.others(lead.Node)
	r.allCountBy(1, rest...)
	for _, n := range rest {
		n.Kill()
	}
	l.more(300) // nobody else has them
	lead.Pause()
	paused := time.Now()
	for _, n := range rest {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	r.until("three seconds in which both see each other", func() error {
		for _, n := range rest {
			info, err := r.info(n)
			if err == nil && info["ro"] != true {
				t.Fatalf("%s takes writes, and %s may have acknowledged what it lacks", n.Name, lead.Name)
			}
			if err == nil {
				err = r.follows(n, 1)
			}
			if err != nil {
				paused = time.Now()
				return err
			}
		}
		return since(paused, 3*time.Second)
	})
	lead.Resume()
	for _, n := range rest {
		r.caughtUp(n, l.newest())
	}
	l.more(100)
	r.verify()
}

// The others are killed first: then a quorum of one is what nobody else knows of.
// It does not come about, and the leader acknowledges nothing by it.
func TestQuorumOfOneTooLate(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	l.stop() // a change waits until nothing is undecided
	r.verify()
	lead := r.leader()
	rest := r.others(lead.Node)
	for _, n := range rest {
		n.Kill()
	}
	done := lead.askQuorum(1)
	r.readOnly(lead.Node)
	r.allCountBy(2, lead.Node)
	lead.Pause()
	for _, n := range rest {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	r.leaderAfter(lead.term)
	l = r.startLoad(20)
	l.more(100)
	lead.Resume()
	if _, err := done.Get(); err == nil {
		t.Error("the quorum of one was told to be done, and nobody else knew of it")
	}
	r.caughtUp(lead.Node, l.newest())
	r.allCountBy(2, r.Nodes...)
	r.verify()
}

// fileAsks gives a node a file that asks for a quorum, and starts it again.
func (r *rig) fileAsks(n *cluster.Node, l *load, quorum int) {
	r.t.Helper()
	n.Kill()
	r.editOf(n, func(yaml string) string {
		return strings.Replace(yaml, "replication:\n", fmt.Sprintf("replication:\n  synchro_quorum: %d\n", quorum), 1)
	})
	if err := n.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.caughtUp(n, l.newest())
}

// complains waits until the status names just those whose file asks for another
// quorum than the set has.
func (r *rig) complains(about ...*cluster.Node) {
	r.t.Helper()
	r.until("the status says whose file differs", func() error {
		text, _ := r.tool("status", "--config", r.Config)
		for _, n := range r.Nodes {
			want := false
			for _, o := range about {
				want = want || o == n
			}
			if strings.Contains(text, n.Name+": its file asks for") != want {
				return errors.New(text)
			}
		}
		return nil
	})
}

// The files ask for another quorum, one after the other by restarts: it changes
// when a majority does. What box.cfg sets later stays, whatever the files say.
func TestFilesThatDiffer(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	lead := r.leader()
	one, two := r.others(lead.Node)[0], r.others(lead.Node)[1]
	r.fileAsks(one, l, 3)
	r.complains(one)
	r.allCountBy(2, r.Nodes...)
	l.more(100)
	r.fileAsks(two, l, 3)
	r.allCountBy(3, r.Nodes...)
	r.complains(lead.Node)
	l.more(100)
	r.fileAsks(lead.Node, l, 3)
	r.complains()
	r.call("box.cfg", map[string]any{quorumOption: 2})
	r.allCountBy(2, r.Nodes...)
	r.complains(r.Nodes...)
	again := r.leader()
	again.Kill()
	r.leaderAfter(again.term)
	l.more(100)
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(again.Node, l.newest())
	r.oneLeader()
	r.allCountBy(2, r.Nodes...)
	r.verify()
}
