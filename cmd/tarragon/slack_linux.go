//go:build cgo

package main

/*
#include <sys/prctl.h>

// The kernel may wake who sleeps so much later, to wake several together: 50 us where
// nobody says anything else. Go's watcher of its processors (sysmon) naps for 20 us
// again and again while a thread is in the kernel, which for us is each sync, and with
// that much slack it naps 14 times a millisecond, in every node. Nothing of ours needs a
// timer finer than a millisecond.
//
// A thread has the slack of who started it, and sysmon is older than any Go code.
// So it is set before Go begins. See docs/decisions/0035-timer-slack.md.
enum { timerSlack = 500 * 1000 };

__attribute__((constructor)) static void setTimerSlack(void)
{
	prctl(PR_SET_TIMERSLACK, timerSlack, 0, 0, 0);
}
*/
import "C"

// timerSlack is how much later than asked the kernel may wake a thread, in
// nanoseconds.
const timerSlack = C.timerSlack
