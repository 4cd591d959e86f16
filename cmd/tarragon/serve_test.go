package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/raft"
)

// runWith runs the program as main does.
func runWith(t *testing.T, environ []string, words ...string) (out, errOut string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	err = run(t.Context(), words, process{in: strings.NewReader(""), out: &o, err: &e, environ: environ})
	return o.String(), e.String(), err
}

// TestLoneNode: the first start makes a directory and a password that only the
// owner can read and shows it; the second finds both and shows nothing.
func TestLoneNode(t *testing.T) {
	t.Chdir(t.TempDir())
	p := process{}
	cfg, lone, err := resolveServe(p, serveFlags{})
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.IProto.Listen; len(got) != 1 || got[0].Address() != "127.0.0.1:3301" {
		t.Errorf("listens on %v", got)
	}
	dir, _ := filepath.Abs(defaultDataDir)
	if cfg.WAL.Dir != dir || cfg.Replication.ElectionMode != raft.Candidate || cfg.ReadOnly {
		t.Errorf("%+v %+v", cfg.WAL, cfg.Replication)
	}
	u := cfg.Credentials.Users[0]
	if u.Name != "tarragon" || u.Roles[0] != "super" || len(u.Password) != 24 || u.Password != lone.password {
		t.Errorf("user %+v", u)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, lone.passwordPath(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	var first bytes.Buffer
	if err := lone.announce(&first, cfg); err != nil {
		t.Fatal(err)
	}
	dial := fmt.Sprintf(`NetDialer{Address: "127.0.0.1:3301", User: "tarragon", Password: %q}`, u.Password)
	for _, want := range []string{"(created)", "this machine only", "shown this once", dial} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("%q is missing in\n%s", want, first.String())
		}
	}

	if err := os.Chmod(lone.passwordPath(), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, again, err := resolveServe(p, serveFlags{})
	if err != nil || again.password != lone.password || cfg.Credentials.Users[0].Password != lone.password {
		t.Fatalf("%v: the password changed", err)
	}
	if info, _ := os.Stat(lone.passwordPath()); info.Mode() != 0o600 {
		t.Errorf("the password file is %v", info.Mode())
	}
	var second bytes.Buffer
	if err := again.announce(&second, cfg); err != nil || strings.Contains(second.String(), lone.password) {
		t.Errorf("%v: shown twice\n%s", err, second.String())
	}
}

func TestLonePrecedence(t *testing.T) {
	t.Chdir(t.TempDir())
	p := process{environ: []string{"TT_IPROTO_LISTEN=127.0.0.1:5", "TT_INSTANCE_NAME=x", "TT_WAL_MODE=write"}}
	cfg, _, err := resolveServe(p, serveFlags{data: "d", walMode: "none", set: []string{"tarragon.sync_all=true"}})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.IProto.Listen[0].Port != "5" || cfg.Name != "x" || cfg.WAL.Mode != config.WALNone || !cfg.Tarragon.SyncAll || !strings.HasSuffix(cfg.WAL.Dir, "/d") {
		t.Errorf("%+v", cfg)
	}
	if _, err := os.Stat(defaultDataDir); err == nil {
		t.Error("the default directory was made all the same")
	}
	// Even an old variable, the lowest that a user can set, is above our defaults.
	cfg, _, err = resolveServe(process{environ: []string{"TT_LISTEN=127.0.0.1:6"}}, serveFlags{data: "d"})
	if err != nil || cfg.IProto.Listen[0].Port != "6" {
		t.Errorf("%v %+v", err, cfg)
	}
}

// TestLoneRefusals: nothing is damaged, and one line says what is wrong.
func TestLoneRefusals(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := resolveServe(process{}, serveFlags{data: "file"}); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("data is a file: %v", err)
	}
	if err := os.MkdirAll("d", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("d/password", []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := resolveServe(process{}, serveFlags{data: "d"}); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("empty password: %v", err)
	}
	if _, _, err := resolveServe(process{}, serveFlags{set: []string{"wal.mode=x"}}); exitCode(err) != exitUsage {
		t.Errorf("mistake: %v", err)
	}
	if _, err := os.Stat(defaultDataDir); err == nil {
		t.Error("a directory was made for a wrong configuration")
	}
}

func TestServeCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	text := "vinyl: {memory: 1}\ngroups: {g: {replicasets: {r: {instances: {i1: {}}}}}}\n"
	if err := os.WriteFile("c.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := runWith(t, []string{"TT_CONFIG=c.yaml"}, "serve", "--check", "-i", "i1")
	if err != nil || !strings.Contains(out, "warning: c.yaml:1: vinyl") || !strings.Contains(out, "instance i1 is good") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = runWith(t, nil, "serve", "--check")
	if err != nil || !strings.Contains(out, "is good") {
		t.Errorf("%v\n%s", err, out)
	}
	if entries, _ := os.ReadDir("."); len(entries) != 1 {
		t.Errorf("a check left %v", entries)
	}
}

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		words []string
		want  int
	}{
		{[]string{"version"}, exitOK},
		{nil, exitOK},
		{[]string{"--help"}, exitOK},
		{[]string{"sevre"}, exitUsage},
		{[]string{"serve", "--nonsense"}, exitUsage},
		{[]string{"serve", "extra"}, exitUsage},
		{[]string{"serve", "--set", "x"}, exitUsage},
		{[]string{"serve", "--config", "none.yaml", "-i", "i"}, exitUsage},
		{[]string{"status", "--addr", "nonsense"}, exitUsage},
		{[]string{"expel"}, exitUsage},
		{[]string{"expel", "x", "--addr", freeAddress(t)}, exitFailed},
	} {
		_, _, err := runWith(t, nil, c.words...)
		if got := exitCode(err); got != c.want {
			t.Errorf("%v: exit code %d, want %d (%v)", c.words, got, c.want, err)
		}
	}
}

func TestComplain(t *testing.T) {
	var b bytes.Buffer
	complain(&b, errors.Join(errors.New("one"), errors.New("two")))
	complain(&b, errUnhealthy)
	complain(&b, fmt.Errorf("outside: %w", errors.Join(errors.New("inside"))))
	if b.String() != "tarragon: one\ntarragon: two\ntarragon: outside: inside\n" {
		t.Errorf("%q", b.String())
	}
}

// TestHelp: every command says what it does, at length and by example.
func TestHelp(t *testing.T) {
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if c.Short == "" || c.HasParent() && c.Example == "" {
			t.Errorf("%s has no help", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(newRoot(process{}))
	out, _, err := runWith(t, nil, "serve", "--help")
	if err != nil || !strings.Contains(out, "--instance") || !strings.Contains(out, "./tarragon-data") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestLoggerForms(t *testing.T) {
	var b bytes.Buffer
	log, _, err := newLogger(config.Log{To: "stderr", Level: 5}, &config.Tarragon{}, &b)
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Str("peer", "i2").Msg("x")
	log.Debug().Msg("hidden")
	if !strings.HasPrefix(b.String(), `{"level":"info","peer":"i2"`) || strings.Contains(b.String(), "hidden") {
		t.Errorf("%s", b.String())
	}
	b.Reset()
	log, _, _ = newLogger(config.Log{To: "stderr", Level: 7, Format: "plain"}, &config.Tarragon{}, &b)
	log.Debug().Msg("shown")
	if !strings.Contains(b.String(), "DBG shown") {
		t.Errorf("%s", b.String())
	}
	file := filepath.Join(t.TempDir(), "a", "b.log")
	log, out, err := newLogger(config.Log{To: "file", File: file, Level: 5}, &config.Tarragon{}, &b)
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("kept")
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if data, _ := os.ReadFile(file); !strings.Contains(string(data), `"kept"`) {
		t.Errorf("%s", data)
	}
}

// Under an umask that hides nothing, what the commands make by themselves is
// closed: data directory, password, log, a recording and the socket it is made at.
// A log that was there stays as it is, which the log says.
func TestAttackModes(t *testing.T) {
	old := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(old) })
	t.Chdir(t.TempDir())
	cfg, _, err := resolveServe(process{}, serveFlags{set: []string{"log.to=file"}})
	if err != nil {
		t.Fatal(err)
	}
	start := func() {
		t.Helper()
		log, out, err := newLogger(cfg.Log, &cfg.Tarragon, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		log.Info().Msg("started")
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	}
	start()
	ctx, interrupt := context.WithCancel(t.Context())
	ready, done := &firstLine{said: make(chan struct{})}, make(chan error, 1)
	words := []string{"debug", "record", "--listen", "./from", "--to", "./to", "talk"}
	go func() { done <- run(ctx, words, process{in: strings.NewReader(""), out: io.Discard, err: ready}) }()
	<-ready.said
	if open, err := cluster.OpenToOthers("."); err != nil || len(open) > 0 {
		t.Errorf("open to others: %v, %v", open, err)
	}
	interrupt()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := errors.Join(os.Chmod(cfg.Log.File, 0o644), os.Chmod("tarragon-data/password", 0o644)); err != nil {
		t.Fatal(err)
	}
	start()
	if _, _, err := resolveServe(process{}, serveFlags{}); err != nil {
		t.Error(err)
	}
	if open, err := cluster.OpenToOthers("."); err != nil || len(open) != 1 || !strings.HasPrefix(open[0], cfg.Log.File) {
		t.Errorf("open to others: %v, %v", open, err)
	}
	if text, err := os.ReadFile(cfg.Log.File); err != nil || strings.Count(string(text), "open wider than tarragon.file_mode") != 1 {
		t.Errorf("%v\n%s", err, text)
	}
}

// What a check cannot know is whether there is a replica set to join, so files
// of a Tarantool are a warning; a look into them says what they are.
func TestForeignFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	const dir, file = "var/lib/i1", "var/lib/i1/00000000000000000000.snap"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("SNAP\n0.13\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("c.yaml", []byte("groups: {g: {replicasets: {r: {instances: {i1: {}}}}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := runWith(t, nil, "serve", "--config", "c.yaml", "-i", "i1", "--check")
	if err != nil || !strings.Contains(out, "warning: var/lib/i1 holds data of Tarantool (00000000000000000000.snap)") || !strings.Contains(out, "docs/migration.md") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, words := range [][]string{{"cat", file}, {"cat", dir}, {"verify", file}, {"repair", dir}} {
		_, _, err := runWith(t, nil, append([]string{"xlog"}, words...)...)
		if exitCode(err) != exitFailed || !strings.Contains(err.Error(), file+" is a file of Tarantool") {
			t.Errorf("%v: %v", words, err)
		}
	}
}
