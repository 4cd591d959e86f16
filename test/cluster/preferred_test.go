package cluster

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
)

const (
	preferredCalm = 4 * time.Second
	byPreference  = "tarragon.preferred_leader"
)

func unixTime(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// returns waits until the newest term is one of this node, and began behind a moment. On a busy machine it
// may have been elected meanwhile, and needs no switchover.
func (r *rig) returns(to *cluster.Node, behind time.Time) {
	r.t.Helper()
	r.until(to.Name+" leads", func() error {
		all, err := r.history(nil)
		if err != nil {
			return err
		}
		if last := all[len(all)-1]; last.Leader != to.Name || last.At < unixTime(behind) {
			return fmt.Errorf("the newest term is %+v", last)
		}
		return nil
	})
}

// calmTimes checks of all terms that began because somebody is preferred that its process was there for the calm
// time, and tells how many there are.
func (r *rig) calmTimes(to *cluster.Node, starts []time.Time) (n int) {
	r.t.Helper()
	all, err := r.history(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, term := range all {
		if term.By != byPreference {
			continue
		}
		n++
		if term.Leader != to.Name || term.Kind != "switchover" {
			r.t.Errorf("%+v", term)
		}
		for _, s := range starts {
			if there := term.At - unixTime(s); there > 0 && there < preferredCalm.Seconds()*0.9 {
				r.t.Errorf("it was there for %.3f s only: %+v", there, term)
			}
		}
	}
	return n
}

// The preferred leader is killed, flaps, and is told to stop: each time it gets leadership back by a switchover, under load,
// when it was there for the calm time. What an operator moves away stays there, until leadership moves again.
func TestPreferredLeader(t *testing.T) {
	r := newRig(t, options{yaml: fmt.Sprintf("tarragon: {preferred_leader: i-002, preferred_leader_calm: %d}\n", preferredCalm/time.Second)})
	r.run()
	preferred := r.Nodes[1]
	r.returns(preferred, time.Time{})
	l := r.startLoad(20)
	l.more(50)
	starts := []time.Time{}
	again := func() time.Time {
		t.Helper()
		if err := preferred.Start(); err != nil {
			t.Fatal(err)
		}
		starts = append(starts, time.Now())
		return starts[len(starts)-1]
	}

	preferred.Kill()
	again()
	r.caughtUp(preferred, l.newest())
	preferred.Kill() // it flaps
	r.returns(preferred, again())
	l.more(50)

	preferred.Signal(syscall.SIGTERM)
	<-preferred.Exited()
	r.returns(preferred, again())
	l.more(50)
	if n := r.calmTimes(preferred, starts); n == 0 {
		t.Error("leadership came back by no switchover")
	}

	other := r.others(preferred)[0]
	if out, exit := r.switchover("--to", other.Name); exit != 0 && !strings.Contains(out, "leads already") {
		t.Fatal(out)
	}
	r.until("status says that it stays there", func() error {
		out, _ := r.tool("status", "--config", r.Config)
		if strings.Contains(out, "preferred leader: i-002 gets nothing from "+other.Name+": leadership was moved here by hand, by ") {
			return nil
		}
		all, err := r.history(nil)
		if err == nil && all[len(all)-1].Kind == "election" {
			return nil // on a busy machine: that ends the wish
		}
		return fmt.Errorf("%v; status says\n%s", err, out)
	})
	stopped := time.Now()
	other.Signal(syscall.SIGTERM) // the wish ends with it
	<-other.Exited()
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	r.returns(preferred, stopped)
	l.more(50)
	r.calmTimes(preferred, starts)
	r.verify()
}
