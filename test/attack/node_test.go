package attack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/server"

	"github.com/rs/zerolog"
)

// bossName is the super user that prepares and undoes.
const bossName = "boss"

// peerName is the user by which members would log in.
const peerName = "peer"

// startOurs runs a lone node in this process.
func startOurs(t *testing.T) *node {
	t.Helper()
	return &node{t: t, addr: runOurs(t, "")}
}

// runOurs runs a lone node and returns its address; yaml is more of its file.
func runOurs(t testing.TB, yaml string) (addr string) {
	t.Helper()
	dir, addr := t.TempDir(), freeAddr(t)
	file := filepath.Join(dir, "node.yaml")
	yaml += fmt.Sprintf("credentials: {users: {%s: {password: %s, roles: [super]}, %s: {password: %[2]s, roles: [replication]}}}\nprocess: {work_dir: %[4]s}\nwal: {mode: write}\n",
		bossName, password, peerName, dir) +
		fmt.Sprintf("groups: {g: {replicasets: {r: {instances: {i: {iproto: {listen: [{uri: '%s'}]}}}}}}}\n", addr)
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := config.Load(config.Source{File: file, Instance: "i"})
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- server.Run(ctx, server.Config{Instance: in, Log: zerolog.New(log), Ready: func() { close(ready) }})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return addr
}

// startTheirs runs a Tarantool; options are more of its box.cfg.
func startTheirs(t *testing.T, path, options string) *node {
	t.Helper()
	dir, addr := t.TempDir(), freeAddr(t)
	file := filepath.Join(dir, "node.lua")
	lua := fmt.Sprintf("box.cfg{work_dir = '%s', %s}\nbox.schema.user.create('%s', {password = '%s'})\nbox.schema.user.grant('%[3]s', 'super')\nbox.cfg{listen = '%[5]s'}\n",
		dir, options, bossName, password, addr)
	if err := os.WriteFile(file, []byte(lua), 0o600); err != nil {
		t.Fatal(err)
	}
	p := cluster.Process{Log: filepath.Join(dir, "log")}
	if err := p.Start(exec.Command(path, file)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Log(p.Tail(30))
		}
	})
	return &node{t: t, addr: addr, theirs: true}
}

// awaitBoss waits until the boss may log in: users come with the first rows.
func awaitBoss(t testing.TB, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := cluster.Until(ctx, func() error {
		c, err := iproto.Dial(ctx, addr)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Login(bossName, password)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// welcome waits until the boss may log in, and makes users and spaces.
func (n *node) welcome() {
	n.t.Helper()
	awaitBoss(n.t, n.addr)
	n.boss = n.dialNode(bossName)
	n.setUp()
	if n.behind != "" {
		n.must("tarragon.session.open", 1) // the space for them has a number before cases choose theirs
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	addr, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// Tarantool is the Tarantool 3.8 that TARANTOOL names; empty: none.
func tarantool(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TARANTOOL")
	if path == "" {
		return ""
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`Tarantool (Enterprise )?3\.8\.`).Match(out) {
		t.Logf("the table is that of 3.8, and TARANTOOL is another: %s", out)
		return ""
	}
	return path
}
