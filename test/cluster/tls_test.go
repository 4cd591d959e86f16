package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/client"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/internal/testcert"

	"github.com/tarantool/go-tarantool/v2"
)

// Three nodes with mutual TLS elect, replicate and lose their leader, and writes go on.
// The one that was lost comes back with a certificate of another CA, then with one of a name that is no
// member's, and is let in with neither; with its own it follows again, and has not been restarted for that.
func TestMutualTLS(t *testing.T) {
	ca := testcert.New(t, t.TempDir())
	names := []string{"i-001", "i-002", "i-003"}
	for _, name := range append([]string{"app"}, names...) {
		ca.Issue(name)
	}
	r := newRig(t, options{ssl: ca.Dir, yaml: "tarragon: {peer_names: [i-001, i-002, i-003]}\n"})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.ctx, 4*patience)
	defer cancel()
	conf := ca.Client("app")
	c, err := client.Connect(ctx, r.Addrs(), client.LoginTLS(cluster.User, cluster.Password, conf.Clone), client.HoldLimit(patience), client.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	call := func(function string, args ...any) []any {
		t.Helper()
		data, err := c.Do(tarantool.NewCallRequest(function).Args(append([]any{}, args...)).Context(ctx)).Get()
		if err != nil {
			t.Fatal(function, err)
		}
		return data
	}
	insert := func(key uint64) {
		t.Helper()
		if _, err := c.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "x"}).Context(ctx)).Get(); err != nil {
			t.Fatal("insert", key, err)
		}
	}
	call("box.schema.space.create", space, map[string]any{"is_sync": true})
	call("box.space."+space+":create_index", "primary", map[string]any{"parts": []any{[]any{1, "unsigned"}}})
	insert(1)

	lead := call("box.info")[0].(map[any]any)["name"].(string)
	var lost *cluster.Node
	var others []*cluster.Node
	for _, n := range r.Nodes {
		if n.Name == lead {
			lost = n
		} else {
			others = append(others, n)
		}
	}
	pw := filepath.Join(r.dir, "pw")
	if err := os.WriteFile(pw, []byte(cluster.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	asks := []string{"status", "--config", r.Config, "--user", cluster.User, "--password-file", pw} // a user: so by the network
	r.until("all are members, as status sees over TLS", func() error {
		if out, exit := r.tool(asks...); exit != 0 || strings.Count(out, "Tarragon ") < 3 || strings.Contains(out, "problem") {
			return fmt.Errorf("exit %d\n%s", exit, out)
		}
		return nil
	})
	if out, exit := r.tool(append(asks, "--ssl-name", "somebody-else")...); exit == 0 || !strings.Contains(out, "which is none of somebody-else") {
		t.Errorf("status of instances with other names: exit %d\n%s", exit, out)
	}
	lost.Kill()
	insert(2)

	wrong := testcert.New(t, t.TempDir())
	give := func(cert, key string) {
		t.Helper()
		for from, to := range map[string]string{cert: ".crt", key: ".key"} {
			data, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(from+".copy", data, 0o600)
			}
			if err == nil {
				err = os.Rename(from+".copy", ca.Dir+"/"+lost.Name+to)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	give(wrong.Issue(lost.Name))
	if err := lost.Start(); err != nil {
		t.Fatal(err)
	}
	for _, n := range others {
		r.until(n.Name+" refuses the wrong CA", func() error { return r.hasLogged(n, "unknown authority") })
	}
	give(ca.Issue("stranger"))
	for _, n := range others {
		r.until(n.Name+" refuses the wrong name", func() error {
			return r.hasLogged(n, "is that of stranger, localhost, 127.0.0.1, ::1, which is none of i-001, i-002, i-003")
		})
	}
	insert(3)
	if n, err := r.rowsTLS(lost, conf); err != nil || n != 1 {
		t.Errorf("%s has %d rows (%v): somebody has let it in", lost.Name, n, err)
	}
	ca.Issue(lost.Name)
	r.until(lost.Name+" follows with its own certificate", func() error {
		n, err := r.rowsTLS(lost, conf)
		if err == nil && n != 3 {
			err = fmt.Errorf("it has %d rows", n)
		}
		return err
	})
}

// rowsTLS is how many rows a node has, whatever certificate it shows.
func (r *rig) rowsTLS(n *cluster.Node, conf *tls.Config) (int, error) {
	conf = conf.Clone()
	conf.InsecureSkipVerify = true
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	conn, err := tarantool.Connect(ctx, client.TLSDialer{Address: n.Addr, User: cluster.User, Password: cluster.Password, Config: func(string) *tls.Config { return conf }},
		tarantool.Opts{Timeout: patience, SkipSchema: true})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	all, err := cluster.ReadAll(conn, space)
	return len(all), err
}
