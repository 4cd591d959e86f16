package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// binary is the executable that all tests run.
var binary string

// buildFlags are for go build, in front of what is always there.
var buildFlags []string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tarragon-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "tarragon")
	syscall.Umask(0) // so that every test shows who sees to the modes, see rig.end
	cmd := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", binary, "tarragon.dev/tarragon/cmd/tarragon")...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build tarragon:", err)
		return 1
	}
	return m.Run()
}
