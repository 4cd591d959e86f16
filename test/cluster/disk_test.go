//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"tarragon.dev/tarragon/internal/cluster"
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

// The disk of the leader fills while it runs, and is full when it is started
// again: both times it answers reads and says what it needs, and it obeys a stop.
// When there is room it is a member as before.
func TestStartOnAFullDisk(t *testing.T) {
	r := newRig(t, options{})
	disks := map[string]disk{}
	for _, n := range r.Nodes {
		disks[n.Name] = r.smallDisk(n)
	}
	r.run()
	l := r.startLoad(1000)
	l.more(100)
	sick, key := r.leader(), l.newest()
	l.more(100) // the log has the CONFIRM of key
	disk := disks[sick.Name]
	disk.fill()
	r.leaderAfter(sick.term)
	r.needsRoom(sick.Node)
	r.caughtUp(sick.Node, key)

	restart := func() {
		done := sick.Exited()
		sick.Signal(syscall.SIGTERM)
		r.happens("it obeys the stop", done)
		if err := sick.Start(); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	disk.filled()
	r.needsRoom(sick.Node)
	r.caughtUp(sick.Node, key)
	l.more(100) // by the others

	disk.free()
	restart()
	r.caughtUp(sick.Node, l.newest())
	r.verify()
}

// needsRoom waits until a node says that it needs room on its disk.
func (r *rig) needsRoom(n *cluster.Node) {
	r.t.Helper()
	r.until("it says that its disk is full", func() error {
		info, err := r.info(n)
		if err != nil {
			return err
		}
		own, _ := info["tarragon"].(map[any]any)
		if why := fmt.Sprint(own["last_error"]); info["ro_reason"] != "disk" || !strings.Contains(why, "needs room on the disk, then a restart") {
			return fmt.Errorf("ro because of %v, %s", info["ro_reason"], why)
		}
		return nil
	})
}

// disk is what can be done to the disk of a node.
type disk struct {
	fill   func() // it takes no more
	filled func() // a process that was just started finds it full
	free   func()
}

// smallDisk gives a node that does not run yet a file system of its own. Without
// the right to mount one a limit of the size of files stands in for a full disk.
func (r *rig) smallDisk(n *cluster.Node) disk {
	r.t.Helper()
	dir := n.DataDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m,mode=0700"); err != nil {
		limit := func(bytes uint64) func() {
			return func() {
				if err := limitFiles(n.PID(), bytes); err != nil {
					r.t.Fatal(err)
				}
			}
		}
		return disk{fill: limit(4 << 10), filled: limit(4 << 10), free: func() {}}
	}
	r.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	filler := filepath.Join(dir, "filler")
	return disk{
		fill: func() {
			f, err := os.OpenFile(filler, os.O_CREATE|os.O_WRONLY, 0o600)
			for chunk := make([]byte, 1<<20); err == nil && len(chunk) > 0; {
				if _, e := f.Write(chunk); e != nil {
					chunk = chunk[:len(chunk)/2]
				}
			}
			if err = errors.Join(err, f.Close()); err != nil {
				r.t.Fatal(err)
			}
		},
		filled: func() {},
		free: func() {
			if err := os.Remove(filler); err != nil {
				r.t.Fatal(err)
			}
		},
	}
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
