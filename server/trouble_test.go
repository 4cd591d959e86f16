package server

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"
	"github.com/tarantool/go-tarantool/v2"
)

func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Unix(1000, 0)
	let := 0
	for range 100 {
		if ok, _ := l.allow(now); ok {
			let++
		}
	}
	if let != limiterLines {
		t.Errorf("%d lines", let)
	}
	if ok, dropped := l.allow(now.Add(limiterSpan)); !ok || dropped != 100-limiterLines {
		t.Errorf("%v, %d not logged", ok, dropped)
	}
}

func TestTroubles(t *testing.T) {
	var l troubles
	full := errors.New("disk full")
	if !l.set(areaCheckpoint, "checkpoint failed", full) || l.set(areaCheckpoint, "checkpoint failed", full) {
		t.Error("news once, and once only")
	}
	if got := l.last().text; got != "checkpoint failed: disk full" {
		t.Error(got)
	}
	l.set(areaCheckpoint, "checkpoint failed", nil)
	if got := l.last().text; got != "" {
		t.Error(got)
	}
}

func TestPacer(t *testing.T) {
	p := pacer{least: time.Second, most: 4 * time.Second}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if !p.wait(t.Context(), 0) {
		t.Error("the first attempt waits")
	}
	for _, want := range []time.Duration{2, 4, 4} {
		if p.wait(done, 0) || p.next != want*time.Second {
			t.Errorf("next pause %v, want %vs", p.next, want)
		}
	}
	if p.wait(done, time.Minute); p.next != time.Second {
		t.Errorf("a good run is not forgotten: %v", p.next)
	}
}

// A failed disk ends writes, not reads, and is told.
func TestDiskFails(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	var broken errorfs.Toggle
	broken.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.EIO
		}
		return nil
	})
	n.openStore = func(o xlog.Options) (*xlog.Store, error) {
		o.FS = errorfs.Wrap(vfs.Default, &broken)
		return xlog.Open(o)
	}
	s.startAll()
	s.makeSpace()
	s.fill(0, 10)
	conn := n.dial()
	defer conn.Close()
	broken.On() // a CONFIRM of what fill wrote may be the first to fail: then the write is refused
	_, err := conn.Do(tarantool.NewReplaceRequest("t").Tuple([]any{99, "x"})).Get()
	var e tarantool.Error
	if !errors.As(err, &e) || uint32(e.Code) != uint32(xrow.ErrWALIO) || !strings.Contains(e.Msg, "unknown") && !strings.Contains(e.Msg, "has failed") {
		t.Errorf("the write: %v", err)
	}
	if out, err := conn.Do(tarantool.NewSelectRequest("t").Key([]any{3})).Get(); err != nil || len(out) != 1 {
		t.Errorf("a read: %v, %v", out, err)
	}
	if _, err := conn.Do(tarantool.NewReplaceRequest("t").Tuple([]any{98, "x"})).Get(); !errors.As(err, &e) || uint32(e.Code) != uint32(xrow.ErrWALIO) {
		t.Errorf("another write: %v", err)
	}
	out, err := conn.Do(tarantool.NewCallRequest("box.info").Args([]any{})).Get()
	if err != nil {
		t.Fatal(err)
	}
	info := out[0].(map[any]any)
	own := info["tarragon"].(map[any]any)
	if last, _ := own["last_error"].(string); info["ro_reason"] != "disk" || !strings.Contains(last, "input/output error") {
		t.Errorf("status: %v, %v", info["ro_reason"], last)
	}
	if _, err := conn.Do(tarantool.NewCallRequest("box.snapshot").Args([]any{})).Get(); err == nil {
		t.Error("a checkpoint on a broken disk")
	}
	if err := n.halt(); err != nil {
		t.Errorf("the stop: %v", err)
	}
}

// A step of the stop that hangs does not keep the process.
func TestCloseIsBounded(t *testing.T) {
	steps := []closeStep{{"first", func() {}}, {"second", func() { select {} }}, {"third", func() { t.Error("the third step ran") }}}
	err := runSteps(steps, time.Millisecond)
	if !errors.Is(err, errStuck) || !strings.Contains(err.Error(), "second") {
		t.Errorf("%v", err)
	}
	if err := runSteps(steps[:1], time.Hour); err != nil {
		t.Errorf("%v", err)
	}
}

// Foreign bytes fill no disk with log lines.
func TestBadBytesAreLoggedSparingly(t *testing.T) {
	var log lockedBuffer
	s := &Server{log: zerolog.New(&log).Level(zerolog.InfoLevel)}
	trace := s.clientTrace()
	for range 1000 {
		trace.BadBytes(&iproto.Conn{}, errors.New("junk"))
	}
	if n := strings.Count(log.String(), "junk"); n != limiterLines {
		t.Errorf("%d lines", n)
	}
}

// An instance that starts on a full disk answers what is on the disk, says what
// is the matter and what it needs, and is as before when there is room again.
func TestStartOnAFullDisk(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	s.startAll()
	s.makeSpace()
	s.fill(0, 9)
	s.fill(9, 10) // the log has the CONFIRM of those before it
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	full := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	n.openStore = func(o xlog.Options) (*xlog.Store, error) {
		o.FS = errorfs.Wrap(vfs.Default, full)
		return xlog.Open(o)
	}
	n.start()
	s.until("it says that its disk is full", func() bool {
		i, ok := n.info()
		return ok && i.ROReason == "disk"
	})
	conn := n.dial()
	defer conn.Close()
	if out, err := conn.Do(tarantool.NewSelectRequest("t").Key([]any{3})).Get(); err != nil || len(out) != 1 {
		t.Errorf("a read: %v, %v", out, err)
	}
	var e tarantool.Error
	if _, err := conn.Do(tarantool.NewReplaceRequest("t").Tuple([]any{98, "x"})).Get(); !errors.As(err, &e) || uint32(e.Code) != uint32(xrow.ErrWALIO) {
		t.Errorf("a write: %v", err)
	}
	own := n.call("box.info")[0].(map[any]any)["tarragon"].(map[any]any)
	for _, want := range []string{"no space left on device", "needs room on the disk, then a restart", storeDir(n.load())} {
		if last, _ := own["last_error"].(string); !strings.Contains(last, want) {
			t.Errorf("status does not say %q: %s", want, last)
		}
	}
	if err := n.halt(); err != nil {
		t.Errorf("the stop: %v", err)
	}
	n.openStore = nil
	n.start()
	s.fill(10, 20)
	if rows := n.rows(); rows != 20 {
		t.Errorf("%d rows of 20", rows)
	}
}

// A new instance has nothing to read on a full disk: it ends, with one line.
func TestBeginOnAFullDisk(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	n.openStore = func(o xlog.Options) (*xlog.Store, error) {
		o.FS = errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileWrite {
				return syscall.ENOSPC
			}
			return nil
		}))
		return xlog.Open(o)
	}
	n.start()
	err := n.ended()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), storeDir(n.load())) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// A stop does not wait for a store that does not open; one that opens late is
// closed again.
func TestStopWhileTheStoreOpens(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	asked, goOn, late := make(chan struct{}), make(chan struct{}), make(chan xlog.Options, 1)
	n.openStore = func(o xlog.Options) (*xlog.Store, error) {
		close(asked)
		<-goOn
		defer func() { late <- o }()
		return xlog.Open(o)
	}
	n.start()
	<-asked
	if err := n.halt(); err != nil {
		t.Errorf("the stop: %v", err)
	}
	close(goOn)
	o := <-late
	s.until("the late store is closed", func() bool {
		store, err := xlog.Open(o)
		if err != nil && !errors.Is(err, xlog.ErrLocked) {
			t.Fatal(err)
		}
		return err == nil && store.Close() == nil
	})
}
