package replication

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// carrier is a transfer command that is a function.
func carrier(run func(ctx context.Context, source, target, host string) error) *Transfer {
	return &Transfer{Argv: []string{"carry", "%source%", "%target%", "%host%"}, Run: func(ctx context.Context, argv []string) error { return run(ctx, argv[1], argv[2], argv[3]) }}
}

func copyOver(_ context.Context, source, target, _ string) error {
	b, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	return os.WriteFile(target, b, 0o600)
}

// replica is one with the filter that all have, which takes copies from h alone.
func (h *testHub) replica(id uint32, change func(*Config)) (*testHub, *fakeNode) {
	h.t.Helper()
	h.register(7, 8, 9)
	node := newFakeNode(id)
	r := newTestHubOf(h.t, id, node, func(c *Config) {
		c.Peers, c.Anon, c.Filter, c.CopyDir = []Peer{{Addr: h.addr, Name: "i1"}}, true, "hr", h.t.TempDir()
		change(c)
	})
	return r, node
}

func order(n uint64) *instance.Effects {
	share := xrow.Share{Filter: "hr", Version: 1, New: true} // as of register
	return &instance.Effects{Copy: &instance.CopyOrder{Order: n, Spaces: []uint32{512}, Share: &share}}
}

// opens answers a sender's request for a view.
func (h *testHub) opens(from *box.Box, v vclock.VClock) {
	h.t.Helper()
	ev := wait(h.t, h.node, func(instance.CopyRequest) bool { return true })
	view := from.OpenView()
	view.Among(ev.Spaces)
	h.Snapshot(instance.Snapshot{Tag: ev.Tag, View: view, State: instance.State{VClock: v, Term: 3}})
}

// taken is how many tuples come until the end, and that.
func taken(t *testing.T, h *testHub, node *fakeNode, n uint64) (tuples int, begins instance.CopyBegins, err error) {
	t.Helper()
	begins = wait(t, node, func(ev instance.CopyBegins) bool { return ev.Order == n })
	h.Handle(&instance.Effects{CopyReady: n})
	for {
		select {
		case ev := <-node.events:
			switch ev := ev.(type) {
			case instance.CopyRows:
				tuples += len(ev.Tuples)
				ev.Release()
			case instance.CopyEnds:
				return tuples, begins, ev.Err
			}
		case <-time.After(patience):
			t.Fatal("no end comes")
		}
	}
}

// One file serves two replicas that want the same; their commands bring it; nothing of it
// stays, at neither end.
func TestTransfer(t *testing.T) {
	full := fullBox(t, 5000)
	dir := t.TempDir()
	h := newTestHub(t, 1, func(c *Config) { c.CopyDir, c.Name, c.MaxCopies = dir, "i1", 1 })
	h.SetCopies(2*time.Second, 1)
	var dirs []string
	var hubs []*testHub
	var nodes []*fakeNode
	for id := uint32(8); id <= 9; id++ {
		r, node := h.replica(id, func(c *Config) {
			c.Transfer = carrier(copyOver)
			dirs = append(dirs, c.CopyDir)
		})
		r.Handle(order(1))
		hubs, nodes = append(hubs, r), append(nodes, node)
	}
	h.opens(full, vclock.VClock{1: 7})
	for i := range hubs {
		n, begins, err := taken(t, hubs[i], nodes[i], 1)
		if n != 5000 || err != nil || begins.VClock != (vclock.VClock{1: 7}) || begins.Tuples != 5000 || begins.Source != (instance.CopySource{From: "i1", Command: true}) {
			t.Errorf("%d tuples, %v, %+v", n, err, begins)
		}
	}
	wait(t, h.node, func(instance.CloseView) bool { return true })
	until(t, func() bool {
		left := 0
		for _, d := range append(dirs, dir) {
			names, _ := os.ReadDir(d)
			left += len(names)
		}
		return left == 0
	})
	h.noneGiven()
	if _, counts, _ := h.GivenCopies(); counts != (CopyCounts{Whole: 2}) {
		t.Errorf("%+v", counts)
	}
}

// A file is for those alone who hold nothing that was not decided when its view was opened.
func TestFileServes(t *testing.T) {
	done, open := make(chan struct{}), make(chan struct{})
	close(done)
	f := &copyFile{spaces: []uint32{512}, gathered: true, begun: done, done: open, vclock: vclock.VClock{1: 7}, term: 3}
	for _, test := range []struct {
		order instance.CopyOrder
		want  bool
	}{
		{instance.CopyOrder{Spaces: []uint32{512}, VClock: vclock.VClock{1: 7}, Term: 3}, true},
		{instance.CopyOrder{Spaces: []uint32{512}, VClock: vclock.VClock{1: 8}, Term: 3}, false},
		{instance.CopyOrder{Spaces: []uint32{512}, VClock: vclock.VClock{1: 7, 2: 1}, Term: 3}, false},
		{instance.CopyOrder{Spaces: []uint32{512}, VClock: vclock.VClock{1: 7}, Term: 4}, false},
		{instance.CopyOrder{Spaces: []uint32{512, 513}, VClock: vclock.VClock{1: 7}, Term: 3}, false},
	} {
		if got := f.serves(&test.order); got != test.want {
			t.Errorf("%+v: %t", test.order, got)
		}
	}
	g := &copyFile{spaces: []uint32{512}, begun: open, done: open, order: instance.CopyOrder{VClock: vclock.VClock{1: 5, 2: 3}, Term: 2}}
	if !g.serves(&instance.CopyOrder{Spaces: []uint32{512}, VClock: vclock.VClock{1: 7}, Term: 3}) || g.order.VClock != (vclock.VClock{1: 7, 2: 3}) || g.order.Term != 3 {
		t.Errorf("it waits for %+v", g.order)
	}
}

// A command that fails, or brings what is not the file, is a failure by name; the next order
// comes by a command again, unless the configuration says otherwise.
func TestTransferFails(t *testing.T) {
	full := fullBox(t, 50)
	cut := func(change func(b []byte) []byte) func(context.Context, string, string, string) error {
		return func(_ context.Context, source, target, _ string) error {
			b, err := os.ReadFile(source)
			if err != nil {
				return err
			}
			return os.WriteFile(target, change(b), 0o600)
		}
	}
	for want, run := range map[string]func(context.Context, string, string, string) error{
		"the transfer command: exit status 3: \"no route\"": func(context.Context, string, string, string) error { return errors.New(`exit status 3: "no route"`) },
		"the transfer command has ended without a file":     func(context.Context, string, string, string) error { return nil },
		"the transfer command has brought 100 bytes of ":    cut(func(b []byte) []byte { return b[:100] }),
		"the file of the base copy is damaged: ":            cut(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }),
		"which is no file":                                  func(_ context.Context, _, target, _ string) error { return os.Mkdir(target, 0o700) },
		"too many levels of symbolic links":                 func(_ context.Context, source, target, _ string) error { return os.Symlink(source, target) },
	} {
		h := newTestHub(t, 1, func(c *Config) { c.CopyDir, c.Name = t.TempDir(), "i1" })
		r, node := h.replica(9, func(c *Config) { c.Transfer = carrier(run); c.Transfer.Fallback = 1 })
		r.Handle(order(1))
		h.opens(full, vclock.VClock{1: 7})
		if _, _, err := taken(t, r, node, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
		r.Handle(order(2))
		h.opens(full, vclock.VClock{1: 7})
		if n, begins, err := taken(t, r, node, 2); n != 50 || err != nil || begins.Source.Command {
			t.Errorf("behind %s: %d tuples, %v, %+v", want, n, err, begins)
		}
	}
}

// A whole file that is not the one which the sender wrote is refused.
func TestTransferOfAnotherFile(t *testing.T) {
	first, second := fullBox(t, 50), fullBox(t, 50)
	var kept []byte
	for i, from := range []*box.Box{first, second} { // of two senders, so that their headers differ
		h := newTestHub(t, uint32(1+i), func(c *Config) { c.CopyDir, c.Name = t.TempDir(), "i1" })
		r, node := h.replica(9, func(c *Config) {
			c.Transfer = carrier(func(_ context.Context, source, target, _ string) error {
				b, err := os.ReadFile(source)
				if err != nil || i == 0 {
					kept = b
					return errors.Join(err, os.WriteFile(target, b, 0o600))
				}
				return os.WriteFile(target, kept, 0o600)
			})
		})
		r.Handle(order(1))
		h.opens(from, vclock.VClock{1: 7})
		_, _, err := taken(t, r, node, 1)
		if i == 0 && err != nil || i == 1 && (err == nil || !strings.HasSuffix(err.Error(), "its digest is not what the sender told")) {
			t.Errorf("file %d: %v", i, err)
		}
	}
}

// The path that a sender tells is no option and nothing to a shell, or it goes to no command.
func TestAttackPathOfFile(t *testing.T) {
	for _, path := range []string{"", "x.copy", "-oProxyCommand=x", "/a b", "/a;b", "/$(x)", "/`x`", "/a'b", "/a\"b", "/a\nb", "/../etc/passwd", "/a/../b", "/a//b", "/a\x00b", "/a|b", "/a&b", "/ä", "/%target%", "/a\\b", "/a*"} {
		if safePath(path) {
			t.Errorf("%q is taken", path)
		}
	}
	for _, path := range []string{"/var/lib/i-001/copies/aaaaaaaa-1.copy", "/a_b/c+d@e=f,g:h"} {
		if !safePath(path) {
			t.Errorf("%q is refused", path)
		}
	}
	transfer := &Transfer{Argv: []string{"%source%", "a %source% b", "%target%%host%", "%other%"}}
	if got := transfer.argv("S %target%", "T", "H"); !slices.Equal(got, []string{"%source%", "a S %target% b", "TH", "%other%"}) {
		t.Errorf("%q", got)
	}
}

// A sender that lies about the path has no command run.
func TestAttackLyingSender(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.CopyDir, c.Name = t.TempDir(), "i1" })
	r, node := h.replica(9, func(c *Config) {
		c.Transfer = carrier(func(context.Context, string, string, string) error { panic("it is run") })
	})
	h.mu.Lock()
	done := make(chan struct{})
	close(done)
	h.files.list = append(h.files.list, &copyFile{hub: h.Hub, spaces: []uint32{512}, gathered: true, begun: done, done: done, told: &Progress{}, cancel: func(error) {},
		file: xrow.File{Path: "/x;reboot", Size: 9}})
	h.mu.Unlock()
	r.Handle(order(1))
	if _, _, err := taken(t, r, node, 1); err == nil || !strings.Contains(err.Error(), `i1 has the file of the base copy at "/x;reboot", which is no path for a transfer command`) {
		t.Errorf("%v", err)
	}
}

// What a life before has left of files goes at the start.
func TestFilesOfALifeBefore(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"aaaaaaaa-1.copy", "in-7.copy"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newTestHub(t, 1, func(c *Config) { c.CopyDir = dir })
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("%v", names)
	}
}
