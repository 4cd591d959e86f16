package hook

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a run may take on a busy machine.
const patience = 30 * time.Second

// start runs a shell script as the hook. Its runs end up in the channel.
func start(t *testing.T, timeout time.Duration, script string, args ...string) (*Hook, <-chan Result, func()) {
	t.Helper()
	done := make(chan Result, 16)
	h := New(Config{Argv: append([]string{"sh", "-c", script, "sh"}, args...), Dir: t.TempDir(), Timeout: timeout, Done: func(r Result) { done <- r }})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); h.Run(ctx) }()
	stop := func() { cancel(); <-ended }
	t.Cleanup(stop)
	return h, done, stop
}

func next(t *testing.T, done <-chan Result) Result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(patience):
		t.Fatal("no run ends")
		return Result{}
	}
}

func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// write waits until somebody reads the fifo.
func write(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("go on\n"), 0); err != nil {
		t.Fatal(err)
	}
}

// The program gets its arguments and variables as they are: nothing in them is a command.
func TestNothingIsInterpreted(t *testing.T) {
	const evil = "a; echo b $(echo c) `echo d` \"' > file"
	h, done, _ := start(t, patience, `printf '%s|%s' "$1" "$ROLE"`, evil)
	h.Tell([]string{"ROLE=" + evil})
	if r := next(t, done); r.Err != nil || r.Output != evil+"|"+evil {
		t.Errorf("%q, %v", r.Output, r.Err)
	}
}

// While a run is under way the newest state waits, and the others are gone.
func TestNewestWins(t *testing.T) {
	began, goOn := fifo(t), fifo(t)
	h, done, _ := start(t, patience, `if [ $N = 1 ]; then echo > "$1"; read x < "$2"; fi; echo $N`, began, goOn)
	h.Tell([]string{"N=1"})
	if _, err := os.ReadFile(began); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"2", "3", "4"} {
		h.Tell([]string{"N=" + n})
	}
	write(t, goOn)
	for _, want := range []string{"1\n", "4\n"} {
		if r := next(t, done); r.Err != nil || r.Output != want {
			t.Errorf("%q, %v, want %q", r.Output, r.Err, want)
		}
	}
}

// A run that takes too long is killed with all that it started.
func TestTooLong(t *testing.T) {
	alive := fifo(t)
	h, done, _ := start(t, 200*time.Millisecond, `sh -c 'exec 3> "$1"; while :; do sleep 60; done' sh "$1" & wait`, alive)
	h.Tell(nil)
	f, err := os.Open(alive) // it runs, in the background of the background
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if r := next(t, done); r.Err == nil || r.Err.Error() != "killed after 200ms" {
		t.Errorf("%v", r.Err)
	}
	gone := make(chan error, 1)
	go func() { _, err := f.Read(make([]byte, 1)); gone <- err }() // the end: nobody holds it open
	select {
	case err := <-gone:
		if err != io.EOF {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("a grandchild lives on")
	}
}

// What a program leaves behind with its output is killed as well.
func TestLeftBehind(t *testing.T) {
	h, done, _ := start(t, patience, `sleep 600 &`)
	h.Tell(nil)
	if r := next(t, done); r.Err == nil || !strings.Contains(r.Err.Error(), "not what it started") {
		t.Errorf("%v", r.Err)
	}
}

// A failure has its code and the end of what was said; output is bounded.
func TestFailure(t *testing.T) {
	h, done, _ := start(t, patience, `i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; echo "no such record" >&2; exit 3`)
	h.Tell(nil)
	r := next(t, done)
	if r.Err == nil || r.Err.Error() != "exit status 3" || !strings.HasSuffix(r.Output, "line 1999\nno such record\n") || len(r.Output) != outputMax || r.Dropped == 0 {
		t.Errorf("%v, %d bytes and %d before, %q", r.Err, len(r.Output), r.Dropped, r.Output[max(0, len(r.Output)-40):])
	}
	h.conf.Argv = []string{filepath.Join(t.TempDir(), "nothing")}
	h.Tell(nil)
	if r := next(t, done); !os.IsNotExist(r.Err) {
		t.Errorf("no program: %v", r.Err)
	}
}

// What was told before the end has its run; one that does not end does not keep us.
func TestEnd(t *testing.T) {
	began, never := fifo(t), fifo(t)
	h, done, stop := start(t, time.Hour, `if [ $N = 1 ]; then echo > "$1"; read x < "$2"; fi; echo $N`, began, never)
	h.Tell([]string{"N=1"})
	if _, err := os.ReadFile(began); err != nil {
		t.Fatal(err)
	}
	h.Tell([]string{"N=2"})
	stop()
	if r := next(t, done); r.Err == nil || !strings.Contains(r.Err.Error(), "the instance stops") {
		t.Errorf("%v", r.Err)
	}
	if r := next(t, done); r.Err != nil || r.Output != "2\n" {
		t.Errorf("%q, %v", r.Output, r.Err)
	}
}
