//go:build cgo

package main

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Every thread has the slack that the process began with, whoever has started it.
func TestTimerSlack(t *testing.T) {
	const threads = 8
	slack := make(chan int)
	leave := make(chan struct{})
	for range threads {
		go func() {
			runtime.LockOSThread() // each has one of its own until all have looked
			ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
			if err != nil {
				t.Error(err)
			}
			slack <- ns
			<-leave
		}()
	}
	for range threads {
		if ns := <-slack; ns != timerSlack {
			t.Errorf("%d ns, want %d", ns, timerSlack)
		}
	}
	close(leave)
}
