package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"
)

// toldTerm is a term as tarragon history --json tells it.
type toldTerm struct {
	Term   uint64  `json:"term"`
	Leader string  `json:"leader"`
	Kind   string  `json:"kind"`
	By     string  `json:"by"`
	Reason string  `json:"reason"`
	At     float64 `json:"at"`
	Still  float64 `json:"nobody_could_write_seconds"`
	AtMost bool    `json:"at_most"`
	First  uint64  `json:"first_lsn"`
	Last   uint64  `json:"last_lsn"`
}

// history asks all nodes, or one; problems are an error.
func (r *rig) history(of *cluster.Node) ([]toldTerm, error) {
	from := []string{"--config", r.Config}
	if of != nil {
		from = []string{"--addr", cluster.User + ":" + cluster.Password + "@" + of.Addr}
	}
	out, exit := r.tool(append([]string{"history", "--json"}, from...)...)
	var told struct {
		Sets []struct {
			Terms    []toldTerm `json:"terms"`
			Problems []string   `json:"problems"`
		} `json:"replicasets"`
		Unanswered []string `json:"unanswered"`
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || exit != 0 || len(told.Sets) != 1 || len(told.Unanswered) > 0 || len(told.Sets[0].Problems) > 0 {
		return nil, fmt.Errorf("history: exit %d, %s: %v", exit, out, err)
	}
	return told.Sets[0].Terms, nil
}

// tellsAll waits until each node by itself tells the same as all together, with these kinds
// at first: on a busy machine there may be further elections.
func (r *rig) tellsAll(kinds ...string) (all []toldTerm) {
	r.t.Helper()
	r.until("all nodes tell one history", func() (err error) {
		if all, err = r.history(nil); err != nil {
			return err
		}
		var got []string
		for _, term := range all {
			got = append(got, term.Kind)
		}
		if !strings.HasPrefix(strings.Join(got, ", ")+", ", strings.Join(kinds, ", ")+", ") {
			return fmt.Errorf("kinds %v, want %v at first", got, kinds)
		}
		for _, n := range r.Nodes {
			one, err := r.history(n)
			if err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
			for i := range max(len(one), len(all)) {
				if i >= len(one) || i >= len(all) {
					return fmt.Errorf("%s tells %d terms, all together %d", n.Name, len(one), len(all))
				}
				if i == len(all)-1 {
					one[i].Last = all[i].Last // it goes on
				}
				if one[i] != all[i] {
					return fmt.Errorf("%s tells %+v, all together %+v", n.Name, one[i], all[i])
				}
			}
		}
		return nil
	})
	return all
}

// However leadership moved, all nodes tell the same, with how and why: at once, behind
// checkpoints and restarts when the log of it is gone, and one that has joined since.
func TestHistory(t *testing.T) {
	r := start(t, options{yaml: retention})
	l := r.startLoad(20)
	l.more(100)
	first := r.leader()
	to := r.others(first.Node)[0]
	if out, exit := r.switchover("--to", to.Name, "--reason", "new kernel"); exit != 0 {
		t.Fatalf("switchover: exit %d, %s", exit, out)
	}
	second := r.leaderAfter(first.term)
	l.more(50)
	second.Kill()
	third := r.leaderAfter(second.term)
	l.more(50)
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(second.Node, l.newest())
	r.until("a promotion that nobody interferes with", func() error {
		if out, exit := r.tool("promote", second.Name, "--config", r.Config); exit != 0 {
			return fmt.Errorf("promote: exit %d, %s", exit, out)
		}
		return nil
	})
	r.leaderAfter(third.term)
	l.more(50)
	kinds := []string{"bootstrap", "switchover", "election"}
	all := r.tellsAll(kinds...)
	if s := all[1]; s.Leader != to.Name || s.Reason != "new kernel" || s.By != "admin" || s.Still <= 0 || s.Still > 5 || s.AtMost {
		t.Errorf("switchover: %+v", s)
	}
	if e := all[2]; e.Leader != third.Name || e.By != "" || e.Reason == "" || e.Still <= 0 || e.Still > 30 {
		t.Errorf("election: %+v", e)
	}
	if f := all[len(all)-1]; f.Leader != second.Name || f.By != "admin" || f.Kind != "forced" && f.Kind != "by hand" {
		t.Errorf("by hand: %+v", f)
	}
	if out, exit := r.tool("history", "--config", r.Config); exit != 0 || !strings.Contains(out, "new kernel") || !strings.Contains(out, "switchover") {
		t.Errorf("history: exit %d, %s", exit, out)
	}

	r.dropLog(l, r.Nodes)
	l.stop()
	for _, n := range r.Nodes {
		n.Kill()
	}
	for _, n := range r.Nodes {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	fifth := r.leader()
	r.tellsAll(kinds...)
	wiped := r.others(fifth.Node)[0]
	wiped.Kill()
	if err := os.RemoveAll(wiped.DataDir()); err != nil {
		t.Fatal(err)
	}
	if err := wiped.Start(); err != nil {
		t.Fatal(err)
	}
	again := r.tellsAll(kinds...)
	for i := range all[:3] {
		again[i].Leader, all[i].Leader = "", "" // who was wiped has another ID now
		if again[i] != all[i] {
			t.Errorf("term %d was told as %+v, now as %+v", all[i].Term, all[i], again[i])
		}
	}
	r.verify()
}
