package result

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what everything ran on: servers, load and disks.
type Machine struct {
	Model      string `json:"model"` // of the processor
	Processors int    `json:"processors"`
	MemoryMiB  int    `json:"memory_mib"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	FileSystem string `json:"file_system,omitempty"` // below the data
	Device     string `json:"device,omitempty"`
	// Load is the load average of the last minute when the run began: what others
	// did on the machine.
	Load float64 `json:"load"`
}

// ThisMachine describes the machine that we run on. What the system does not
// tell stays empty.
func ThisMachine() Machine {
	m := Machine{Processors: runtime.NumCPU(), Go: runtime.Version()}
	cpus, _ := os.ReadFile("/proc/cpuinfo")
	m.Model = field(cpus, "model name")
	memory, _ := os.ReadFile("/proc/meminfo")
	if kib, _, ok := strings.Cut(field(memory, "MemTotal"), " "); ok {
		n, _ := strconv.Atoi(kib)
		m.MemoryMiB = n >> 10
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(kernel))
	average, _ := os.ReadFile("/proc/loadavg")
	if one, _, ok := strings.Cut(string(average), " "); ok {
		m.Load, _ = strconv.ParseFloat(one, 64)
	}
	return m
}

// field is the value of the first line "name : value".
func field(table []byte, name string) string {
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Commit is that of the tree we run in, with a "+" if it has changes; empty
// where Git knows none.
func Commit() string {
	head, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return ""
	}
	commit := strings.TrimSpace(string(head))
	if changes, err := exec.Command("git", "status", "--porcelain").Output(); err == nil && len(changes) > 0 {
		commit += "+"
	}
	return commit
}
