package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fileSystem names the file system that holds a directory, by its own magic
// number and by the table of mounts.
func fileSystem(dir string) (name string, volatile bool, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return "", false, err
	}
	known := map[int64]string{
		0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x01021994: "tmpfs", 0x858458f6: "ramfs",
		0x794c7630: "overlayfs", 0x2fc12fc1: "zfs", 0x6969: "nfs", 0xf2f52010: "f2fs", 0x65735546: "fuse", 0x01021997: "9p",
	}
	magic := int64(st.Type)
	name = known[magic]
	if name == "" {
		name = fmt.Sprintf("file system %#x", magic)
	}
	return name, name == "tmpfs" || name == "ramfs", nil
}

// device is the block device below a directory, as the kernel's counters call
// it; empty: there is none, or it cannot be told.
func device(dir string) string {
	var st syscall.Stat_t
	if syscall.Stat(dir, &st) != nil {
		return ""
	}
	major, minor := (st.Dev>>8)&0xfff, st.Dev&0xff|(st.Dev>>12)&0xfff00
	link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", major, minor))
	if err != nil {
		return ""
	}
	return filepath.Base(link)
}

// deviceFlushes is how many cache flushes the device has completed since boot,
// for everybody on this machine. ok is false where the kernel does not count.
func deviceFlushes(dev string) (n uint64, ok bool) {
	f, err := os.Open("/proc/diskstats")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	return findFlushes(bufio.NewScanner(f), dev)
}

// Columns of /proc/diskstats: Documentation/admin-guide/iostats.rst of Linux.
const (
	diskName    = 2
	diskFlushes = 18
)

func findFlushes(lines *bufio.Scanner, dev string) (uint64, bool) {
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) <= diskFlushes || f[diskName] != dev {
			continue
		}
		n, err := strconv.ParseUint(f[diskFlushes], 10, 64)
		return n, err == nil
	}
	return 0, false
}

// ownCPU is the processor time that this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// stopped says which thread of a process still runs; nil: none does.
func stopped(pid int) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return fmt.Errorf("process %d is gone", pid)
	}
	for _, name := range threads {
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		stat := string(raw)
		if f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]); len(f) == 0 || f[0] != "T" {
			return fmt.Errorf("%s is not stopped", name)
		}
	}
	return nil
}
