package cluster

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong before a node runs ends it with one clear line and an exit
// code, and damages nothing: afterwards the node comes back with all its rows.
func TestRefusalsToStart(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(200)
	l.stop()
	leader := r.leader()
	down := r.others(leader.Node)[0]
	r.caughtUp(down, l.newest())
	serve := func(args ...string) []string {
		return append([]string{"serve", "--config", r.Config, "--instance", down.Name}, args...)
	}
	const other = "11111111-2222-4333-8444-555555555555"
	foreign := filepath.Join(r.dir, "foreign")
	writeFile(t, filepath.Join(foreign, "store", "notes.txt"), "the notes of somebody else\n")

	r.refuses("a second process on the directory", serve("--listen", "127.0.0.1:0"), "use")
	down.Kill()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r.refuses("a port that is taken", serve("--listen", taken.Addr().String()), "address already in use")
	r.refuses("another instance uuid", serve("--set", "database.instance_uuid="+other), "belongs to instance")
	r.refuses("another replica set's uuid", serve("--set", "database.replicaset_uuid="+other), other)
	r.refuses("a directory of something else", serve("--set", "wal.dir="+foreign), "foreign")
	if notes, err := os.ReadFile(filepath.Join(foreign, "store", "notes.txt")); err != nil || len(notes) == 0 {
		t.Errorf("the foreign directory was damaged: %v", err)
	}
	r.refuses("a newer format", serveCopy(t, r, serve, down.DataDir(), func(store string) {
		if !replaceIn(t, filepath.Join(store, "TARRAGON"), "format 2", "format 9") {
			t.Fatal("the card has no format")
		}
	}), "its format is 9")
	r.refuses("a damaged log", serveCopy(t, r, serve, down.DataDir(), func(store string) { damageLog(t, store) }), "xlog verify")

	if err := down.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(down, l.newest())
	r.startLoad(20).more(50)
	r.verify()
}

// refuses runs the program, which must end by itself with one line that has
// the text.
func (r *rig) refuses(what string, args []string, text string) {
	r.t.Helper()
	out, exit := r.tool(args...)
	var said []string
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "tarragon: ") {
			said = append(said, line)
		}
	}
	if exit <= 0 || len(said) != 1 || !strings.Contains(said[0], text) {
		r.t.Errorf("%s: exit code %d, wanted is a line with %q:\n%s", what, exit, text, out)
		return
	}
	r.t.Logf("%s: exit code %d, %s", what, exit, said[0])
}

// serveCopy is the command line of a node whose data are a spoiled copy.
func serveCopy(t *testing.T, r *rig, serve func(...string) []string, data string, spoil func(store string)) []string {
	t.Helper()
	dir, err := os.MkdirTemp(r.dir, "copy-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "store"), os.DirFS(filepath.Join(data, "store"))); err != nil {
		t.Fatal(err)
	}
	spoil(filepath.Join(dir, "store"))
	return serve("--set", "wal.dir="+dir, "--set", "snapshot.dir="+dir)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replaceIn turns what is found in a file into something else of the same
// length.
func replaceIn(t *testing.T, path, old, now string) (found bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(text), old)
	if at < 0 {
		return false
	}
	copy(text[at:], now)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

// damageLog changes one byte of an early row, in whatever file has it.
func damageLog(t *testing.T, store string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(store, "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range files {
		found = replaceIn(t, f, "row 20 ", "raw 20 ") || found
	}
	if !found {
		t.Fatal("no file has the row")
	}
}
