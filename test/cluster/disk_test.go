//go:build linux

package cluster

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// The leader's disk takes no more (a limit of the size of files stands in for a
// full one): it gives up, another leads, and it still answers reads and says
// what is wrong.
func TestDiskFull(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(1000)
	l.more(100)
	sick := r.leader()
	key := l.newest()
	if err := limitFiles(sick.PID(), 512<<10); err != nil { // some hundred rows more
		t.Fatal(err)
	}
	r.leaderAfter(sick.term)
	l.more(200)
	if sick.PID() == 0 {
		t.Fatalf("%s ended", sick.Name)
	}
	r.until("it says that its disk failed", func() error {
		info, err := r.info(sick.Node)
		if err == nil && (info["ro"] != true || info["ro_reason"] != "disk") {
			err = fmt.Errorf("ro is %v because of %v", info["ro"], info["ro_reason"])
		}
		return err
	})
	if text, _ := r.tool("status", "--config", r.Config); !strings.Contains(text, "the disk failed") {
		t.Errorf("status does not say so:\n%s", text)
	}
	r.caughtUp(sick.Node, key) // it answers from memory
	sick.Kill()
	if err := sick.Start(); err != nil { // there is room again
		t.Fatal(err)
	}
	r.caughtUp(sick.Node, l.newest())
	r.verify()
}

// limitFiles forbids a process to make files larger than so many bytes.
func limitFiles(pid int, bytes uint64) error {
	limit := syscall.Rlimit{Cur: bytes, Max: bytes}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
