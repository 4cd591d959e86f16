package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tarantool/go-tarantool/v2"
)

// An administrator fences the leader: leadership moves to the one of the greatest priority, clients
// of the router see no error, the fenced one follows and has no clients, and when the
// new leader is killed it is the third one that leads.
func TestFences(t *testing.T) {
	r := start(t, options{})
	r.until("all read the newer level", func() error {
		if out, exit := r.tool("feature", "raise", "--config", r.Config); exit != 0 {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	rw, ro, _ := r.startRouter()
	w, c := r.connectRouter(rw), r.connectRouter(ro)
	set := func(args ...string) {
		t.Helper()
		if out, exit := r.tool(append([]string{"node", "set", "--config", r.Config}, args...)...); exit != 0 {
			t.Fatal(out)
		}
	}
	old := r.leader()
	var others []string
	for _, n := range r.Nodes {
		if n != old.Node {
			others = append(others, n.Name)
		}
	}
	set(others[1], "--route-priority", "10")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := uint64(0); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := w.Do(tarantool.NewReplaceRequest(space).Tuple([]any{n % 100, "x"})).Get(); err != nil {
				t.Errorf("a write while leadership moves: %v", err)
			}
			if _, err := c.Do(tarantool.NewSelectRequest(space).Limit(1).Iterator(tarantool.IterAll)).Get(); err != nil {
				t.Errorf("a read: %v", err)
			}
		}
	}()
	set(old.Name, "--route-fence")
	next := r.leaderAfter(old.term)
	if next.Name != others[1] {
		t.Errorf("%s leads, and %s has the greater priority", next.Name, others[1])
	}
	out, exit := r.tool("node", "list", "--config", r.Config)
	if exit != 0 || !strings.Contains(out, old.Name) || !strings.Contains(out, others[1]) {
		t.Errorf("node list: %s", out)
	}
	if out, _ := r.tool("status", "--config", r.Config); !strings.Contains(out, old.Name+" is FENCED") || !strings.Contains(out, others[1]+" has priority 10") {
		t.Errorf("status: %s", out)
	}
	close(stop)
	<-done
	next.Kill()
	if third := r.leaderAfter(next.term); third.Name != others[0] {
		t.Errorf("%s leads, and %s is fenced", third.Name, old.Name)
	}
	if out, exit := r.tool("node", "set", "nobody", "--route-fence", "--config", r.Config); exit == 0 || !strings.Contains(out, "neither a member nor a registered replica") {
		t.Errorf("of nobody: %d, %s", exit, out)
	}
}
