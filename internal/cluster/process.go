package cluster

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// Process is a program that is started, killed, paused and started again. It
// writes into one log.
type Process struct {
	Log      string // path of its log; fixed before Start
	Outlives bool   // it goes on when our process ends; fixed before Start

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
	end  string        // how the last one that has ended did
}

// Start runs cmd, whose output goes to the log. The process ends with ours, unless it
// outlives that.
func (p *Process) Start(cmd *exec.Cmd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd.Stdout, cmd.Stderr = log, log
	if p.Outlives {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	} else {
		endWithUs(cmd)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		_ = cmd.Wait()
		p.mu.Lock()
		p.end = cmd.ProcessState.String()
		p.mu.Unlock()
		close(done)
	}()
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	if done != nil {
		<-done
	}
}

// Pause stops the process with SIGSTOP, Resume lets it go on.
func (p *Process) Pause() { p.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() { p.Signal(syscall.SIGCONT) }

// PID is the process's number, 0 if none runs.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return 0
	}
	return p.cmd.Process.Pid
}

func (p *Process) runningLocked() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process, if one runs.
func (p *Process) Signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runningLocked() {
		_ = p.cmd.Process.Signal(s)
	}
}

// ExitCode is that of the newest process once it has ended: -1 if a signal
// ended it.
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.ProcessState.ExitCode()
}

// Exited is closed when the process that runs now has ended.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// End says how the last process that has ended did: by a signal or with an exit
// code.
func (p *Process) End() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end
}

// Tail is the end of its log, for messages about a failure.
func (p *Process) Tail(lines int) string {
	raw, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
