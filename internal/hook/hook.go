// Package hook runs a program of the operator's for each new state that it is told:
// one run at a time, bounded in time and output, in a process group of its own.
//
// It is no queue: of states that are told while a run is under way the newest gets
// the next run, and the others none.
//
// # Invariants
//
//  1. Tell never blocks.
//  2. The last state that was told before Run's context ended gets a run, unless a run
//     with it is done.
//  3. When a run has ended by its limit, nothing of its process group is left.
package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// outputMax is how many bytes of a run's output are kept, the last ones.
	outputMax = 4 << 10
	// outputWait is how long the output may stay open when the program itself has ended.
	outputWait = time.Second
	// grace is what a run has left of its time when the process wants to end.
	grace = 3 * time.Second
)

// Config is fixed before Run.
type Config struct {
	Argv    []string      // program and arguments, as they are: there is no shell; required
	Dir     string        // working directory; empty: ours
	Timeout time.Duration // a run that takes longer is killed; required
	Done    func(Result)  // told of each run, on Run's goroutine; required, but for Once
}

// Result is how a run ended.
type Result struct {
	Took    time.Duration
	Output  string // the end of its output, of both streams
	Dropped int    // bytes of output in front of that
	Err     error  // nil: exit code 0 in time
}

// Hook is a program and the newest state that it was told.
type Hook struct {
	conf Config
	next chan []string // capacity 1: the newest state without a run
}

// New returns a hook that nobody has told anything.
func New(c Config) *Hook { return &Hook{conf: c, next: make(chan []string, 1)} }

// Tell asks for a run with these variables, NAME=value, added to our environment. Calls
// come one after the other.
func (h *Hook) Tell(env []string) {
	select {
	case <-h.next: // an older one that had no run
	default:
	}
	h.next <- env // room: nobody else fills it
}

// Run runs the program until ctx ends; what was told by then has its run, with less time.
func (h *Hook) Run(ctx context.Context) {
	for {
		select {
		case env := <-h.next:
			h.conf.Done(h.once(ctx, env))
		case <-ctx.Done():
			select {
			case env := <-h.next:
				h.conf.Done(h.once(ctx, env))
			default:
			}
			return
		}
	}
}

// once is one run.
func (h *Hook) once(ctx context.Context, env []string) Result {
	limit, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), h.conf.Timeout, fmt.Errorf("killed after %v", h.conf.Timeout))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		t := time.AfterFunc(min(grace, h.conf.Timeout), cancel)
		context.AfterFunc(limit, func() { t.Stop() })
	})()
	return run(limit, &h.conf, env)
}

// Once runs a program, and kills it when ctx ends. Done is not told.
func Once(ctx context.Context, c Config) Result {
	limit, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("killed after %v", c.Timeout))
	defer cancel()
	return run(limit, &c, nil)
}

// run is a run until limit.
func run(limit context.Context, c *Config, env []string) Result {
	out := &tail{}
	cmd := exec.CommandContext(limit, c.Argv[0], c.Argv[1:]...)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	killAll := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = killAll, outputWait
	began := time.Now()
	err := cmd.Run()
	switch {
	case err != nil && limit.Err() != nil && errors.Is(context.Cause(limit), context.Canceled):
		err = errors.New("killed: the instance stops")
	case err != nil && limit.Err() != nil:
		err = context.Cause(limit)
	case errors.Is(err, exec.ErrWaitDelay):
		_ = killAll() // who holds the output is of the group, or has left it on purpose
		err = errors.New("it has ended, but not what it started: killed")
	}
	return Result{Took: time.Since(began), Output: out.String(), Dropped: out.dropped, Err: err}
}

// tail keeps the end of what is written to it. One goroutine of the run writes, and
// has ended when the run has.
type tail struct {
	b       []byte
	dropped int
}

// Write takes all, whatever becomes of it: a full pipe would hold the program up.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - outputMax; over > 0 {
		t.dropped += over
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// String is the end of it.
func (t *tail) String() string { return string(t.b) }
