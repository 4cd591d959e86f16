//go:build linux

package cluster

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/tarantool/go-tarantool/v2"
)

// More sockets than a node may have files, from clients that say nothing: the
// store gets its files all the while, peers their streams, and a client that logs
// in is served. It ends with fewer open files than the limit.
func TestIdleSockets(t *testing.T) {
	const files = 188
	r := start(t, options{files: files})
	leader := r.leader()
	var idle []net.Conn
	defer func() {
		for _, nc := range idle {
			nc.Close()
		}
	}()
	for _, n := range r.Nodes {
		for range 2 * files {
			nc, err := net.Dial("tcp", n.Addr)
			if err != nil {
				t.Fatal(err)
			}
			idle = append(idle, nc)
		}
	}
	payload := strings.Repeat("x", 900_000)
	for key := uint64(1); key <= 160; key++ { // more than two tables of the store
		var err error
		if _, err = leader.conn.Do(tarantool.NewReplaceRequest(space).Tuple([]any{key, payload})).Get(); err != nil {
			t.Fatalf("row %d: %v", key, err)
		}
	}
	if _, err := leader.conn.Do(tarantool.NewCallRequest("box.snapshot").Args([]any{})).Get(); err != nil {
		t.Error(err)
	}
	down := r.others(leader.Node)[0]
	down.Kill()
	if err := down.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(down, 160)
	for _, n := range r.Nodes {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.PID()))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s has %d files open", n.Name, len(open))
		if len(open) >= files {
			t.Errorf("that is all that it may have")
		}
	}
	if log := leader.Tail(1 << 20); !strings.Contains(log, "connection turned away") || strings.Contains(log, "too many open files") {
		t.Errorf("the log of %s tells of no connection turned away, or of a lack of files", leader.Name)
	}
}

// With too few files a node does not begin.
func TestTooFewFiles(t *testing.T) {
	r := newRig(t, options{nodes: 1, files: 80})
	n := r.Nodes[0]
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	r.happens("it ends", n.Exited())
	if text := n.Tail(10); n.ExitCode() <= 0 || !strings.Contains(text, "the process may open 80 files (ulimit -n), and needs 184") {
		t.Errorf("exit code %d, %s", n.ExitCode(), text)
	}
}
