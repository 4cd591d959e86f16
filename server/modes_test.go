package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/cluster"
)

// withUmask sets the umask of the process: no test here runs beside another one.
func withUmask(t *testing.T, mask int) {
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

// closed tells what in the directories of all nodes is open to others.
func (s *set) closed(when string) {
	s.t.Helper()
	open, err := cluster.OpenToOthers(filepath.Join(s.dir, "var"))
	if err != nil || len(open) > 0 {
		s.t.Errorf("%s: open to others: %v, %v", when, open, err)
	}
}

// With an umask that hides nothing, nothing of a node is open to others: store,
// checkpoint, sockets, what a rejoin makes and what it keeps.
func TestAttackModes(t *testing.T) {
	withUmask(t, 0)
	s := newSet(t, 3, "wal: {mode: write}\n")
	for _, n := range s.nodes {
		n.flags = []config.Flag{{Name: "--listen", Path: "iproto.listen", Value: n.addr + ",unix/:./var/run/" + n.name + "/iproto.sock"}}
	}
	s.startAll()
	s.makeSpace()
	s.fill(0, 100)
	s.level()
	for _, n := range s.nodes {
		n.call("box.snapshot")
	}
	s.closed("with a checkpoint")
	late := s.nodes[2]
	if err := late.halt(); err != nil {
		t.Fatal(err)
	}
	late.crashMachine()
	late.start()
	s.until("it has joined anew", func() bool { i, ok := late.info(); return ok && i.ID > 3 })
	s.level()
	for _, path := range []string{filepath.Join(s.dir, "var/run/i3/iproto.sock"), filepath.Join(s.dir, "var/run/i3/tarragon.sock")} {
		if ok, err := exists(path); !ok || err != nil {
			t.Errorf("there is no %s: %v", path, err)
		}
	}
	if len(late.formers()) != 1 {
		t.Error("it has kept nothing")
	}
	s.closed("behind a rejoin")
}

// What an earlier release left open is closed by a start, which says so. The
// data directory may be somebody else's: it stays. What a link leads to stays.
func TestAttackModesOfBefore(t *testing.T) {
	s := newSet(t, 1, "")
	n := s.nodes[0]
	s.startAll()
	s.leader()
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	store := storeDir(n.load())
	old, data, beside := oldDir(store), filepath.Dir(store), filepath.Join(s.dir, "beside")
	err := errors.Join(os.WriteFile(beside, nil, 0o600), os.Mkdir(old, 0o700), os.WriteFile(filepath.Join(old, "000001.log"), nil, 0o600),
		os.Symlink(beside, filepath.Join(old, "link")))
	for _, dir := range []string{data, store, old} {
		err = errors.Join(err, filepath.WalkDir(dir, func(path string, e fs.DirEntry, _ error) error {
			if e.IsDir() {
				return os.Chmod(path, 0o755)
			}
			return os.Chmod(path, 0o644)
		}))
	}
	if err != nil {
		t.Fatal(err)
	}
	n.start()
	n.call("box.info")
	for _, dir := range []string{store, old} {
		open, err := cluster.OpenToOthers(dir)
		open = slicesWithout(open, "link")
		if info, _ := os.Stat(dir); err != nil || len(open) > 0 || info.Mode().Perm() != 0o700 {
			t.Errorf("%s is open: %v, %v, %v", dir, info.Mode(), open, err)
		}
	}
	for path, want := range map[string]fs.FileMode{data: 0o755, beside: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	for _, words := range []string{"the data directory is open wider", "files of the store were open wider"} {
		if !strings.Contains(n.log.String(), words) {
			t.Errorf("the log does not say %q", words)
		}
	}
}

func slicesWithout(all []string, word string) (rest []string) {
	for _, s := range all {
		if !strings.Contains(s, word) {
			rest = append(rest, s)
		}
	}
	return rest
}

// Wider modes are there on request, whatever the umask says; the control socket
// stays as it is.
func TestWiderModes(t *testing.T) {
	withUmask(t, 0o077)
	s := newSet(t, 1, "tarragon: {file_mode: 0640, dir_mode: '0751', socket_mode: 0666}\n")
	n := s.nodes[0]
	n.flags = []config.Flag{{Name: "--listen", Path: "iproto.listen", Value: n.addr + ",unix/:./var/run/i1/iproto.sock"}}
	s.startAll()
	s.leader()
	n.call("box.snapshot")
	want := func(path string) fs.FileMode {
		switch filepath.Base(path) {
		case "iproto.sock":
			return 0o666
		case "tarragon.sock":
			return 0o600
		}
		return 0o640
	}
	wrong := func() (wrong string, err error) {
		err = filepath.WalkDir(filepath.Join(s.dir, "var"), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			mode := info.Mode().Perm()
			if e.IsDir() && mode != 0o751 || !e.IsDir() && mode != want(path) {
				wrong += fmt.Sprintf(" %s: %v", path, mode)
			}
			return nil
		})
		return wrong, err
	}
	// The store goes on working: a file of it is born closed, and may go.
	last := "not looked"
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	s.until("all have the modes", func() bool {
		var err error
		last, err = wrong()
		return last == "" && err == nil
	})
	nc, err := net.Dial("unix", filepath.Join(s.dir, "var/run/i1/iproto.sock"))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}
