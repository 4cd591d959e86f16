package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"
)

// During a pause the leader is killed: nobody takes over by itself, an operator does
// by hand, and after resume the next failover is automatic again. What was paused is
// told by each instance.
func TestPausePromoteByHand(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	if out, exit := r.tool("pause", "--config", r.Config); exit == 0 || !strings.Contains(out, "tarragon feature raise") {
		t.Errorf("pause below its level: exit %d, %s", exit, out)
	}
	r.raiseFeature()
	if out, exit := r.tool("resume", "--config", r.Config); exit != 0 || !strings.Contains(out, "it was not paused") {
		t.Errorf("resume before pause: exit %d, %s", exit, out)
	}
	for _, bad := range []string{"0s", "-5s", "25h", "10ms"} {
		if out, exit := r.tool("pause", "--config", r.Config, "--for", bad); exit == 0 {
			t.Errorf("pause for %s: %s", bad, out)
		}
	}
	r.pause("10m0s")
	old := r.leader()
	old.Kill()
	rest := r.others(old.Node)
	for _, n := range rest {
		r.until(n.Name+" has lost its leader", func() error { return r.hasLogged(n, "leader lost") })
	}
	if out, exit := r.tool("status", "--config", r.Config); exit != 3 || !strings.Contains(out, "PAUSED at "+rest[0].Name) || !strings.Contains(out, `by admin: "new switch"`) {
		t.Errorf("status: exit %d, %s", exit, out)
	}
	if out, exit := r.tool("promote", rest[0].Name, "--config", r.Config); exit != 0 {
		t.Fatalf("promote: %s", out)
	}
	if now := r.leaderAfter(old.term); now.Node != rest[0] || now.term != old.term+1 {
		t.Errorf("%s leads term %d behind term %d: somebody campaigned", now.Name, now.term, old.term)
	}
	l.more(100)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(old.Node, l.newest())
	r.until(old.Name+" counts the pause from its start", func() error { return r.isPaused(old.Node, true) })
	if out, exit := r.tool("resume", "--config", r.Config); exit != 0 || !strings.Contains(out, "resumed") {
		t.Fatalf("resume: exit %d, %s", exit, out)
	}
	for _, n := range r.Nodes {
		r.until(n.Name+" is not paused any more", func() error { return r.isPaused(n, false) })
	}
	second := r.leader()
	second.Kill()
	r.leaderAfter(second.term)
	l.more(100)
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(second.Node, l.newest())
	r.verify()
}

// A pause runs out without a leader: an election follows, not before.
func TestPauseRunsOut(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	r.raiseFeature()
	r.pause("6s")
	old := r.leader()
	old.Kill()
	r.leaderAfter(old.term)
	l.more(100)
	for _, n := range r.others(old.Node) {
		_, later, _ := strings.Cut(r.log(n), "for 6s, by")
		lost, campaign, over := strings.Index(later, "leader lost"), strings.Index(later, "campaign"), strings.Index(later, "pause over")
		if lost < 0 || campaign >= 0 && (over < 0 || campaign < over) {
			t.Errorf("%s: leader lost at %d, pause over at %d, campaign at %d of\n%s", n.Name, lost, over, campaign, later)
		}
	}
	r.until("the row of the pause is gone", func() error {
		rows, err := r.sel(r.leader().Node, "_tarragon_set")
		if err == nil && len(rows) > 0 {
			err = fmt.Errorf("it has %v", rows)
		}
		return err
	})
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(old.Node, l.newest())
	r.until(old.Name+" knows that it is over", func() error { return r.isPaused(old.Node, false) })
	r.verify()
}

// raiseFeature raises the level once all have said what they read.
func (r *rig) raiseFeature() {
	r.t.Helper()
	r.until("the feature level is raised", func() error {
		if out, exit := r.tool("feature", "raise", "--config", r.Config); exit != 0 {
			return errors.New(out)
		}
		return nil
	})
}

// pause pauses elections until all know it.
func (r *rig) pause(span string) {
	r.t.Helper()
	out, exit := r.tool("pause", "--config", r.Config, "--for", span, "--reason", "new switch")
	if exit != 0 || !strings.Contains(out, "paused: no automatic elections for "+span) {
		r.t.Fatalf("pause: exit %d, %s", exit, out)
	}
	for _, n := range r.Nodes {
		r.until(n.Name+" is paused", func() error { return r.isPaused(n, true) })
	}
}

// isPaused tells whether a node counts a pause.
func (r *rig) isPaused(n *cluster.Node, want bool) error {
	info, err := r.info(n)
	if err != nil {
		return err
	}
	own, _ := info["tarragon"].(map[any]any)
	if got := own["pause"] != nil; got != want {
		return fmt.Errorf("its pause is %v", own["pause"])
	}
	return nil
}
