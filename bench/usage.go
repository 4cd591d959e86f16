package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process of this machine has used since its start.
type usage struct {
	user, kernel time.Duration
	slept        uint64 // how often a thread gave its processor away, to be woken later
	pushed       uint64 // how often a thread lost its processor to another one
	in, out      uint64 // bytes that it read and wrote, sockets and files alike
}

func (u usage) cpu() time.Duration { return u.user + u.kernel }

func (u usage) minus(o usage) usage {
	return usage{u.user - o.user, u.kernel - o.kernel, u.slept - o.slept, u.pushed - o.pushed, u.in - o.in, u.out - o.out}
}

// usageOf reads what the kernel counts under /proc. Threads that have ended are
// missing in slept and pushed; ours and Tarantool's stay. What cannot be read is 0.
func usageOf(pid int) (u usage) {
	read := func(path string) string {
		raw, _ := os.ReadFile(path)
		return string(raw)
	}
	u.user, u.kernel = parseCPU(read(fmt.Sprintf("/proc/%d/stat", pid)))
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, path := range threads {
		status := read(path)
		u.slept += named(status, "voluntary_ctxt_switches")
		u.pushed += named(status, "nonvoluntary_ctxt_switches")
	}
	io := read(fmt.Sprintf("/proc/%d/io", pid))
	u.in, u.out = named(io, "rchar"), named(io, "wchar")
	return u
}

// named finds the number behind a name and a colon, in lines of them.
func named(text, name string) uint64 {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			return n
		}
	}
	return 0
}

// tick is the unit of processor times under /proc: USER_HZ, 100 on all
// architectures that Go runs on.
const tick = 10 * time.Millisecond

// parseCPU reads utime and stime, fields 14 and 15. The name of the command,
// which may hold blanks, ends at the last bracket.
func parseCPU(stat string) (user, kernel time.Duration) {
	i := strings.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, 0
	}
	f := strings.Fields(stat[i+1:]) // f[0] is field 3
	if len(f) < 13 {
		return 0, 0
	}
	u, err1 := strconv.ParseUint(f[11], 10, 63)
	k, err2 := strconv.ParseUint(f[12], 10, 63)
	if errors.Join(err1, err2) != nil {
		return 0, 0
	}
	return time.Duration(u) * tick, time.Duration(k) * tick
}
