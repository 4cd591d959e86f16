package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"
)

// A replica is made by one command: it is refused with a wrong password, broken off while it joins as a
// user who may not replicate, and when it has joined, and done again; then it runs by what was printed, holds its share, and is dropped.
func TestReplicaIsCreated(t *testing.T) {
	r := start(t, options{nodes: 1})
	for _, name := range []string{staff, archive} {
		r.makeNamed(name)
		r.fill(name, 1, 1000)
	}
	r.call("tarragon.feature_raise")
	r.call("tarragon.filter.create", "hr", map[string]any{"empty": true})
	r.alter("hr", "add", staff)
	r.call("box.schema.user.create", "reader", map[string]any{"password": "of the reader"})
	file := func(name, text string) string {
		path := filepath.Join(r.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	addr, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	words := func(password string) []string {
		return []string{"replica", "create", "made", "--from", r.leader().Addr, "--filter", "hr", "--listen", addr,
			"--user", cluster.User, "--password-file", file("admin.pw", password), "--peer-user", "reader", "--peer-password-file", file("reader.pw", "of the reader")}
	}
	dir := filepath.Join(r.dir, "made")
	if out, exit := r.tool(words("wrong")...); exit != 1 || !strings.Contains(out, "User not found or supplied credentials are invalid") {
		t.Errorf("with a wrong password: exit %d, %s", exit, out)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a directory was made with a wrong password")
	}

	broken := exec.CommandContext(r.ctx, binary, words(cluster.Password)...)
	broken.Dir = r.dir
	said, err := broken.StderrPipe()
	if err == nil {
		err = broken.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	refused, lines := false, bufio.NewScanner(said)
	for !refused && lines.Scan() { // it tries again, until it is killed
		refused = strings.Contains(lines.Text(), "Read access to universe '' is denied for user 'reader'")
	}
	if err := broken.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := broken.Wait(); err == nil || !refused {
		t.Fatalf("as a user who may not replicate: %v, told so: %v", err, refused)
	}
	r.call("box.schema.user.grant", "reader", "replication")
	out, exit := r.tool(words(cluster.Password)...)
	serve := "tarragon serve --config " + filepath.Join(dir, "made.yaml") + " --instance made"
	if exit != 0 || !strings.Contains(out, "replica made has joined; its directory is "+dir+". To run it:\n  "+serve+"\n") || strings.Contains(out, "of the reader") {
		t.Fatalf("exit %d, %s", exit, out)
	}
	uuid := strings.Fields(strings.TrimPrefix(out, "replica made ("))[0]
	file("made/unfinished", strings.TrimSuffix(uuid, ")")+" made\n") // as if it had been killed when all was there
	if out, exit := r.tool(words(cluster.Password)...); exit != 0 || !strings.Contains(out, "has joined") {
		t.Errorf("when all was there: exit %d, %s", exit, out)
	}
	if open, err := cluster.OpenToOthers(dir); err != nil || len(open) > 0 {
		t.Errorf("open to others: %v, %v", open, err)
	}

	node := &cluster.Node{Name: "made", Addr: addr, Process: cluster.Process{Log: filepath.Join(r.dir, "made.log")}}
	r.Readers = append(r.Readers, node)
	if err := node.Process.Start(exec.Command(binary, strings.Fields(serve)[1:]...)); err != nil {
		t.Fatal(err)
	}
	r.tracker.Add(addr)
	r.fill(staff, 1001, 10)
	r.same(node, staff)
	r.says(node, archive, notReplicated)
	if out, exit := r.tool(words(cluster.Password)...); exit != 2 || !strings.Contains(out, "has a replica made already") {
		t.Errorf("again: exit %d, %s", exit, out)
	}
	list := []string{"replica", "list", "--config", filepath.Join(dir, "made.yaml"), "--user", cluster.User, "--password-file", file("admin.pw", cluster.Password)}
	if out, exit := r.tool(list...); exit != 0 || !strings.Contains(out, "made     filtered  hr") || !strings.Contains(out, " MiB  ") {
		t.Errorf("list by its configuration: exit %d, %s", exit, out)
	}
	r.until("the leader tells its memory where nobody asks it", func() error {
		out, exit := r.tool("replica", "list", "--config", r.Config)
		if exit != 0 || !strings.Contains(out, "made     filtered  hr") || !strings.Contains(out, " MiB  ") {
			return fmt.Errorf("exit %d, %s", exit, out)
		}
		return nil
	})
	if out, exit := r.tool("replica", "drop", "made", "--config", r.Config); exit != 0 {
		t.Errorf("drop: exit %d, %s", exit, out)
	}
	r.until("it is told that it was dropped", func() error {
		if !strings.Contains(r.log(node), "was dropped and gets nothing any more") {
			return errors.New("it is not")
		}
		return nil
	})
}
