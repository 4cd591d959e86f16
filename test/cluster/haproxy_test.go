package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// findHAProxy is where haproxy is; Debian has it where only root looks.
func findHAProxy(t *testing.T) string {
	t.Helper()
	for _, at := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if path, err := exec.LookPath(at); err == nil {
			return path
		}
	}
	t.Skip("haproxy is not in PATH: test/cluster/need.sh installs it")
	return ""
}

// A load balancer that knows nothing of the protocol leads clients to the leader, and to replicas,
// by the health checks of the instances, and moves over when the leader is killed.
func TestHAProxyFollowsTheLeader(t *testing.T) {
	haproxy := findHAProxy(t)
	r := newRig(t, options{})
	addr := func() string {
		a, err := cluster.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	rw, ro := addr(), addr()
	conf := "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n  timeout check 5s\n"
	backends := map[string]string{"rw": "OPTIONS /primary", "ro": "GET /replica?lag=60"}
	checks := map[string]string{}
	for _, n := range r.Nodes {
		checks[n.Name] = addr()
		r.editOf(n, func(yaml string) string {
			head := "          " + n.Name + ":\n"
			return strings.Replace(yaml, head, head+"            tarragon: {router: {http: '"+checks[n.Name]+"'}}\n", 1)
		})
	}
	for name, listen := range map[string]string{"rw": rw, "ro": ro} {
		conf += fmt.Sprintf("listen %s\n  bind %s\n  option httpchk %s\n  http-check expect status 200\n  default-server inter 100ms fall 1 rise 1 on-marked-down shutdown-sessions\n", name, listen, backends[name])
		for _, n := range r.Nodes {
			host, port, err := net.SplitHostPort(checks[n.Name])
			if err != nil {
				t.Fatal(err)
			}
			conf += fmt.Sprintf("  server %s %s check addr %s port %s\n", n.Name, n.Addr, host, port)
		}
	}
	file := filepath.Join(r.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &cluster.Process{Log: filepath.Join(r.dir, "haproxy.log")}
	if err := p.Start(exec.Command(haproxy, "-db", "-f", file)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the last words of haproxy:\n%s", p.Tail(40))
		}
	})
	r.run()

	// writes tells whether whom an address leads to takes writes.
	writes := func(at string) (wrote bool, err error) {
		ctx, cancel := context.WithTimeout(r.ctx, patience)
		defer cancel()
		conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: at, User: cluster.User, Password: cluster.Password}, tarantool.Opts{Timeout: patience})
		if err != nil {
			return false, err
		}
		defer conn.Close()
		_, err = conn.Do(tarantool.NewReplaceRequest(space).Tuple([]any{1, "x"})).Get()
		var refused tarantool.Error
		if errors.As(err, &refused) && refused.Code == iproto.ER_READONLY {
			return false, nil
		}
		return err == nil, err
	}
	// all is that as many connections in a row as instances, twice, lead to such ones: haproxy takes turns.
	all := func(at string, want bool) func() error {
		return func() error {
			for range 2 * len(r.Nodes) {
				if wrote, err := writes(at); err != nil || wrote != want {
					return fmt.Errorf("wrote: %v, %v", wrote, err)
				}
			}
			return nil
		}
	}
	leads := func() {
		t.Helper()
		r.until("haproxy leads writes to the leader", all(rw, true))
		r.until("haproxy leads reads to replicas", all(ro, false))
	}
	leads()
	old := r.leader()
	old.Kill()
	r.leaderAfter(old.term)
	leads()
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	r.until("the old leader is back as a replica", func() error {
		resp, err := http.Get("http://" + checks[old.Name] + "/replica?lag=60")
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
	leads()
}
