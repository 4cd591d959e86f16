package interop

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"
)

// driverVersion is the release of tarantool-driver, of the npm registry, that is tried.
const driverVersion = "tarantool-driver@3.1.0"

// The connector of Node.js finds what it is used to: testdata/driver.js says what.
func TestNodeDriver(t *testing.T) {
	dir := installDriver(t)
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		n := r.add(us(p), settings{first: true})
		n.start()
		r.up(n)
		n.must("box.schema.space.create", "driven")
		n.must("box.space.driven:create_index", "pk", map[string]any{"parts": []any{[]any{1, "unsigned"}}})
		n.must("box.space.driven:create_index", "name", map[string]any{"unique": false, "parts": []any{[]any{2, "string"}}})
		script, err := filepath.Abs("testdata/driver.js")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(r.ctx, "node", script, n.addr, cluster.User, cluster.Password)
		cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
		var wrong bytes.Buffer
		cmd.Stderr = &wrong
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last := ""
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if last = lines.Text(); last == "restart" {
				n.terminate()
				n.start()
				r.up(n)
			}
		}
		if err := cmd.Wait(); err != nil || last != "all is well" {
			t.Fatalf("%v, its last word was %q\n%s", err, last, wrong.Bytes())
		}
	})
}

// installDriver fetches the connector into a directory of this test.
func installDriver(t *testing.T) (dir string) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("tarantool-driver is not tried: no %s in PATH (Debian's packages nodejs and npm)", name)
		}
	}
	dir = t.TempDir()
	out, err := exec.CommandContext(t.Context(), "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", driverVersion).CombinedOutput()
	if err != nil {
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		t.Skipf("tarantool-driver is not tried: npm cannot install it, %v: %s", err, lines[0])
	}
	return dir
}
