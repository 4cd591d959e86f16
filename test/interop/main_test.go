package interop

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// ours is the executable of our nodes: what the variable OURS names, else it is
// built.
var ours string

// peer is a Tarantool that tests run against.
type peer struct {
	path    string
	version string // as "2.6.0"
}

// Peers: the one in PATH, and the one that TARANTOOL names, which is empty if
// it names none.
var debian, modern peer

// standIn has a Tarantool play our part, to see that a scenario holds among
// the Tarantools.
var standIn = os.Getenv("STANDIN") != ""

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		return m.Run() // every test skips itself
	}
	if err := findPeers(); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "tarragon-interop-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if ours = os.Getenv("OURS"); ours != "" {
		return m.Run()
	}
	ours = filepath.Join(dir, "tarragon")
	cmd := exec.Command("go", "build", "-o", ours, "tarragon.dev/tarragon/cmd/tarragon")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build tarragon:", err)
		return 1
	}
	return m.Run()
}

// findPeers looks for the Tarantools. The old one must be there.
func findPeers() (err error) {
	path, err := exec.LookPath("tarantool")
	if err != nil {
		return fmt.Errorf("no tarantool in PATH: it is Debian's package tarantool (apt-get install tarantool), and test/interop/need.sh installs it for root")
	}
	if debian, err = ask(path); err != nil {
		return err
	}
	path = os.Getenv("TARANTOOL")
	if path == "" {
		return nil
	}
	if modern, err = ask(path); err == nil && modern.version < "3" {
		err = fmt.Errorf("%s is version %s, wanted is 3.x", path, modern.version)
	}
	return err
}

// ask runs a Tarantool to learn its version.
func ask(path string) (peer, error) {
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return peer{}, fmt.Errorf("%s --version: %w", path, err)
	}
	found := regexp.MustCompile(`Tarantool (?:Enterprise )?(\d+\.\d+\.\d+)`).FindSubmatch(out)
	if found == nil {
		return peer{}, fmt.Errorf("%s --version says %q", path, out)
	}
	return peer{path: path, version: string(found[1])}, nil
}

// old: the peer takes no part in Raft.
func (p peer) old() bool { return p.version < "2.6.1" }

// eachPeer runs a test against every Tarantool that is there.
func eachPeer(t *testing.T, test func(t *testing.T, p peer)) {
	t.Helper()
	for _, p := range []peer{debian, modern} {
		if p.path != "" {
			t.Run(p.version, func(t *testing.T) { test(t, p) })
		}
	}
}
