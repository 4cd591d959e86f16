package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// outcome is how a test ended.
type outcome struct {
	version, pkg, test string
	verdict            verdict
	said               string // by the test, unless it passed
	reason             string // of one that does not pass
}

type verdict string

const (
	passed  verdict = "PASS"
	failed  verdict = "FAIL"
	skipped verdict = "SKIP"
)

// runner runs test binaries.
type runner struct {
	environ []string
	log     io.Writer
}

const (
	packageTime = 5 * time.Minute // for the tests of a package together
	testTime    = time.Minute     // for one alone
)

// measure runs the tests of a package: all together first, and again those behind one
// that ended the process. What has not passed runs alone then, with servers of its
// own, and that counts: some tests leave servers to the next that are not as it needs
// them.
func (r *runner) measure(ctx context.Context, dir, only string) ([]outcome, error) {
	if _, err := goTool(ctx, dir, "test", "-c", "-o", "suite.test", "."); err != nil {
		return nil, err
	}
	names, err := r.list(ctx, dir)
	if err != nil {
		return nil, err
	}
	if only != "" {
		found, output := r.alone(ctx, dir, only)
		_, err := r.log.Write(output)
		return []outcome{found}, err
	}
	verdicts := map[string]outcome{}
	for waiting := names; len(waiting) > 0; {
		found, _ := r.run(ctx, dir, waiting, packageTime)
		if len(found) == 0 {
			break // not even the first one began
		}
		for _, f := range found {
			verdicts[f.test] = f
		}
		waiting = without(waiting, verdicts)
	}
	all := make([]outcome, 0, len(names))
	for _, name := range names {
		found := verdicts[name]
		if found.verdict != passed && found.verdict != skipped {
			found, _ = r.alone(ctx, dir, name)
			fmt.Fprintf(r.log, "  %s %s\n", found.verdict, name)
		}
		all = append(all, found)
	}
	return all, ctx.Err()
}

func without(names []string, done map[string]outcome) (left []string) {
	for _, name := range names {
		if _, ok := done[name]; !ok {
			left = append(left, name)
		}
	}
	return left
}

// list are the tests, and the examples with an output that is checked.
func (r *runner) list(ctx context.Context, dir string) (names []string, err error) {
	out, err := r.exec(ctx, dir, testTime, "-test.list", "^(Test|Example)")
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, "Test") || strings.HasPrefix(word, "Example") {
			names = append(names, word)
		}
	}
	if err != nil {
		err = fmt.Errorf("list the tests: %w\n%s", err, out)
	}
	return names, err
}

// alone runs one test; what says nothing has failed.
func (r *runner) alone(ctx context.Context, dir, name string) (outcome, []byte) {
	found, output := r.run(ctx, dir, []string{name}, testTime)
	if len(found) == 0 {
		return outcome{test: name, verdict: failed, said: "no server, or the process ended"}, output
	}
	return found[0], output
}

// run is what became of the tests that began.
func (r *runner) run(ctx context.Context, dir string, names []string, limit time.Duration) ([]outcome, []byte) {
	output, _ := r.exec(ctx, dir, limit, "-test.v=test2json", "-test.timeout="+limit.String(), "-test.run=^("+strings.Join(names, "|")+")$")
	return verdictsOf(output), output
}

// exec runs the test binary and ends the servers that it left.
func (r *runner) exec(ctx context.Context, dir string, limit time.Duration, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "suite.test"), args...)
	cmd.Dir, cmd.Env = dir, r.environ
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	if kill := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); kill != nil && !errors.Is(kill, os.ErrProcessDone) && kill != syscall.ESRCH {
		err = errors.Join(err, kill)
	}
	return output.Bytes(), err
}
