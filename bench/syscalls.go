package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
)

// rates are events a second, by their names.
type rates map[string]float64

// Names of what the budget counts by perf.
const (
	callsFigure = "syscalls"
	readFigure  = "read"
	writeFigure = "write"
	epollFigure = "epoll"
	futexFigure = "futex"
	syncFigure  = "sync"
)

// traced are the events that perf counts for each name.
var traced = map[string]string{
	"raw_syscalls:sys_enter":             callsFigure,
	"syscalls:sys_enter_read":            readFigure,
	"syscalls:sys_enter_recvfrom":        readFigure,
	"syscalls:sys_enter_write":           writeFigure,
	"syscalls:sys_enter_writev":          writeFigure,
	"syscalls:sys_enter_sendto":          writeFigure,
	"syscalls:sys_enter_epoll_wait":      epollFigure,
	"syscalls:sys_enter_epoll_pwait":     epollFigure,
	"syscalls:sys_enter_futex":           futexFigure,
	"syscalls:sys_enter_fsync":           syncFigure,
	"syscalls:sys_enter_fdatasync":       syncFigure,
	"syscalls:sys_enter_sync_file_range": syncFigure,
}

// syscallsOf has perf count the system calls of a process for some time. Where there
// is no perf, or it may not look, they are not counted.
func syscallsOf(ctx context.Context, n *cluster.Process, d time.Duration) (rates, error) {
	var events []string
	for event := range traced {
		events = append(events, event)
	}
	cmd := exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-e", strings.Join(events, ","), "-p", strconv.Itoa(n.PID()),
		"--timeout", strconv.FormatInt(d.Milliseconds(), 10))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: perf: %w: %s", errUncounted, err, strings.TrimSpace(string(out)))
	}
	return parsePerf(string(out), d)
}

// parsePerf reads lines of value, unit, event and more, counted for some time. (The
// time that perf tells, duration_time, is that of all threads together.)
func parsePerf(out string, d time.Duration) (rates, error) {
	counts := rates{}
	for line := range strings.Lines(out) {
		f := strings.Split(line, ",")
		if len(f) < 3 {
			continue
		}
		n, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			continue // it counts no such event
		}
		if name := traced[f[2]]; name != "" {
			counts[name] += n / d.Seconds()
		}
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("%w: perf counts nothing: %s", errUncounted, strings.TrimSpace(out))
	}
	return counts, nil
}
