package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/server"

	"github.com/rs/zerolog"
)

// tutorial runs the three instances of a file like those of Tarantool's own
// tutorials: its only user may replicate.
func tutorial(t *testing.T) (file string) {
	t.Helper()
	t.Chdir(t.TempDir())
	var addrs []any
	for range 3 {
		addr, err := cluster.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, addr)
	}
	text := fmt.Sprintf(`credentials: {users: {replicator: {password: topsecret, roles: [replication]}}}
iproto: {advertise: {peer: {login: replicator}}}
replication: {failover: election, timeout: 2, reconnect_timeout: 0.3}
groups: {g: {replicasets: {r: {instances: {
  i1: {iproto: {listen: [{uri: '%s'}]}}, i2: {iproto: {listen: [{uri: '%s'}]}}, i3: {iproto: {listen: [{uri: '%s'}]}}}}}}}
`, addrs...)
	if err := os.WriteFile("c.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	for _, name := range []string{"i1", "i2", "i3"} {
		in, err := config.Load(config.Source{File: "c.yaml", Instance: name})
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- server.Run(ctx, server.Config{Instance: in, Log: zerolog.Nop()}) }()
	}
	t.Cleanup(func() {
		stop()
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return "c.yaml"
}

// waitFor runs a command until it does what it should.
func waitFor(t *testing.T, what string, good func(out string, code int) bool, words ...string) string {
	t.Helper()
	tick, limit := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for {
		out, _, err := runWith(t, nil, words...)
		if good(out, exitCode(err)) {
			return out
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s: %v\n%s", what, err, out)
		}
	}
}

// A file whose only user may replicate is administered on the machine of the
// instances without any login, by their control sockets, which nobody else can
// open. Elsewhere, and as a user who may not, status shows what anybody may ask,
// says why it is not more, and gives no verdict about what it was not told.
func TestTutorialFile(t *testing.T) {
	file := tutorial(t)
	well := func(out string, code int) bool { return code == exitOK && strings.Contains(out, "leader") }
	waitFor(t, "healthy, by the control sockets", func(out string, code int) bool {
		return well(out, code) && strings.Count(out, "2/2") == 6
	}, "status", "--config", file)
	for _, name := range []string{"i1", "i2", "i3"} {
		info, err := os.Stat(filepath.Join("var/run", name, "tarragon.sock"))
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("socket of %s: %v, %v", name, info, err)
		}
	}
	waitFor(t, "promoted", func(out string, _ int) bool { return strings.Contains(out, "is the leader") }, "promote", "i2", "--config", file)
	waitFor(t, "i2 leads", func(out string, code int) bool {
		return well(out, code) && strings.Contains(out, "i2        Tarragon  leader")
	},
		"status", "--config", file)

	if err := os.WriteFile("pw", []byte("topsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("wrong", []byte("guess\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ passwords, why string }{{"pw", "denied"}, {"wrong", "wrong password"}} {
		out, _, err := runWith(t, nil, "status", "--config", file, "--user", "replicator", "--password-file", c.passwords)
		if exitCode(err) != exitUnhealthy {
			t.Errorf("%s: exit code %d", c.why, exitCode(err))
		}
		for _, want := range []string{"i2        Tarragon  leader ", "i1        Tarragon  follower ", "problem: i1: " + c.why, "--user and --password-file", "tarragon.control_socket"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is missing in\n%s", c.why, want, out)
			}
		}
		for _, not := range []string{"unreachable", "does not answer", "no leader", " line 0"} {
			if strings.Contains(out, not) {
				t.Errorf("%s: %q is in\n%s", c.why, not, out)
			}
		}
		aligned(t, out)
	}
	_, _, err := runWith(t, nil, "promote", "i1", "--config", file, "--user", "replicator", "--password-file", "pw")
	if err == nil || !strings.Contains(err.Error(), "is denied for user 'replicator'") || strings.Contains(err.Error(), " line 0") {
		t.Errorf("promote without the right: %v", err)
	}

	if out, _, err := runWith(t, nil, "expel", "i3", "--config", file); err != nil || !strings.Contains(out, "i3 is expelled, by i2") {
		t.Errorf("expel: %v\n%s", err, out)
	}
	if out, _, err := runWith(t, nil, "demote", "i2", "--config", file); err != nil || !strings.Contains(out, "gave leadership up") {
		t.Errorf("demote: %v\n%s", err, out)
	}
}

// A control socket is used where it belongs to the instance that is meant.
func TestControlSocketOfAnother(t *testing.T) {
	file := tutorial(t)
	waitFor(t, "healthy", func(out string, code int) bool { return code == exitOK }, "status", "--config", file)
	targets, err := (&connectFlags{file: file}).targets(process{})
	if err != nil {
		t.Fatal(err)
	}
	mixed := targets[0]
	mixed.control = targets[1].control
	if in := ask(t.Context(), mixed, 5*time.Second); in.Refused != refusedDenied || in.Name != "i1" {
		t.Errorf("asked by the socket of another: %+v", in)
	}
	if in := ask(t.Context(), targets[0], 5*time.Second); in.Error != "" || in.Name != "i1" {
		t.Errorf("asked by its own: %+v", in)
	}
}

// aligned: all rows of a table begin their columns where its head does.
func aligned(t *testing.T, out string) {
	t.Helper()
	var starts []int
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "INSTANCE"):
			starts = nil
			for at := range line {
				if at > 0 && line[at] != ' ' && line[at-1] == ' ' {
					starts = append(starts, at)
				}
			}
		case strings.TrimSpace(line) == "" || strings.Contains(line, ":") && !strings.Contains(line, "{"):
			starts = nil
		}
		for _, at := range starts {
			if at >= len(line) || line[at] == ' ' || line[at-1] != ' ' {
				t.Errorf("column %d is crooked in %q of\n%s", at, line, out)
				return
			}
		}
	}
}
