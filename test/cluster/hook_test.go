package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"
)

// hookScript notes what each run was told, in a file for each instance.
const hookScript = `echo "$TARRAGON_ROLE $TARRAGON_TERM $TARRAGON_LEADER $TARRAGON_LEADER_URI" >> "$1/hook-$TARRAGON_INSTANCE"`

// hooked runs a replica set with a program for changes of the role, and more of the
// section tarragon.
func hooked(t *testing.T, script, more string) *rig {
	r := newRig(t, options{})
	path := filepath.Join(r.dir, "hook.sh")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	r.edit(func(yaml string) string {
		return strings.Replace(yaml, "groups:\n", fmt.Sprintf("tarragon:\n  on_role_change: [sh, %q, %q]\n%sgroups:\n", path, r.dir, more), 1)
	})
	r.run()
	return r
}

// toldLast waits until the newest run of a node's program was told this.
func (r *rig) toldLast(n *cluster.Node, want string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s was told %q", n.Name, want), func() error {
		lines, err := r.told(n)
		if err == nil && lines[len(lines)-1] != want {
			err = fmt.Errorf("%q", lines)
		}
		return err
	})
}

// told is what the runs of a node's program were told, oldest first.
func (r *rig) told(n *cluster.Node) ([]string, error) {
	raw, err := os.ReadFile(filepath.Join(r.dir, "hook-"+n.Name))
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n"), err
}

// Each change of a role runs the program: at the start, by a switchover, by a kill, at a stop.
func TestRoleHook(t *testing.T) {
	r := hooked(t, hookScript, "")
	l := r.startLoad(20)
	leads := func(now leading) string { return fmt.Sprintf("leader %d %s %s", now.term, now.Name, now.Addr) }
	first := r.leader()
	r.toldLast(first.Node, leads(first))
	others := r.others(first.Node)
	for _, n := range others {
		if lines, err := r.told(n); err != nil || !strings.HasPrefix(lines[len(lines)-1], "follower ") {
			t.Errorf("%s was told %q, %v", n.Name, lines, err)
		}
	}
	if out, exit := r.switchover("--to", others[0].Name); exit != 0 {
		t.Fatal(out)
	}
	second := r.leaderAfter(first.term)
	r.toldLast(second.Node, leads(second))
	r.until("the old leader is told that it follows", func() error {
		lines, err := r.told(first.Node)
		if err == nil && !strings.HasPrefix(lines[len(lines)-1], "follower ") {
			err = errors.New(lines[len(lines)-1])
		}
		return err
	})
	second.Signal(syscall.SIGTERM)
	r.happens("the process ends", second.Exited())
	lines, err := r.told(second.Node) // no run is left behind
	if err != nil || !strings.HasPrefix(lines[len(lines)-1], "follower ") {
		t.Errorf("who stopped was told %q, %v", lines, err)
	}
	third := r.leaderAfter(second.term)
	r.toldLast(third.Node, leads(third))
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	l.more(100)
	r.caughtUp(second.Node, l.newest())
	r.verify()
}

// A program that hangs, for as long as its instance lives, is killed, one that fails is shown; neither keeps anybody from
// leading or writing.
func TestRoleHookFails(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"hangs": {"while kill -0 $PPID; do sleep 0.1; done", "tarragon.on_role_change: killed after 1s"},
		"fails": {"echo no such zone >&2; exit 7", "tarragon.on_role_change: exit status 7"},
	} {
		t.Run(name, func(t *testing.T) {
			r := hooked(t, test.script, "  on_role_change_timeout: 1\n")
			l := r.startLoad(20)
			l.more(100)
			old := r.leader()
			r.until("status says so", func() error {
				if out, _ := r.tool("status", "--config", r.Config); !strings.Contains(out, test.want) {
					return errors.New(out)
				}
				return nil
			})
			if out, exit := r.switchover(); exit != 0 {
				t.Error(out)
			}
			r.leaderAfter(old.term)
			l.more(100)
			r.verify()
		})
	}
}
