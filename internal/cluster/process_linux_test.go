package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// parentOf says that this very program is to start a process, tell its number and end.
const parentOf = "TARRAGON_TEST_PARENT_OF"

func TestMain(m *testing.M) {
	if log := os.Getenv(parentOf); log != "" {
		p := Process{Log: log, Outlives: strings.HasSuffix(log, "outlives")}
		if err := p.Start(exec.Command("sleep", "60")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A process ends with the one that has started it, unless it is to outlive it: that goes
// on when the other one is gone.
func TestOutlives(t *testing.T) {
	outlives, ends := orphan(t, "outlives"), orphan(t, "ends")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := Until(ctx, func() error {
		if alive(ends) {
			return errors.New("it lives")
		}
		return nil
	}); err != nil {
		t.Errorf("the one that ends with us: %v", err)
	}
	if !alive(outlives) {
		t.Error("the one that outlives us is gone")
	}
}

// orphan is the number of a process whose parent has ended.
func orphan(t *testing.T, name string) int {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentOf+"="+filepath.Join(t.TempDir(), name))
	out, err := parent.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // the one that is gone, too
	return pid
}

// alive tells whether a process runs: one that has ended and was not waited for does not.
func alive(pid int) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if state, ok := strings.CutPrefix(lines.Text(), "State:"); ok {
			return !strings.Contains(state, "Z") && !strings.Contains(state, "X")
		}
	}
	return false
}
