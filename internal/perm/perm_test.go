package perm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// withUmask sets the umask of the process: no test here runs beside another one.
func withUmask(t *testing.T, mask int) {
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

func check(t *testing.T, name string, want fs.FileMode) {
	t.Helper()
	if info, err := os.Lstat(name); err != nil || info.Mode().Perm() != want {
		t.Errorf("%s: %v, %v; want %v", name, info, err, want)
	}
}

// The modes are those that are asked for under any umask, and what was there
// before is not touched.
func TestAttackUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077, 0o277, 0o777} {
		for _, m := range []struct{ file, dir, wantFile, wantDir fs.FileMode }{
			{0, 0, 0o600, 0o700},
			{0o640, 0o750, 0o640, 0o750},
			{0o644, 0o711, 0o644, 0o711},
		} {
			root := t.TempDir()
			withUmask(t, mask)
			dir := filepath.Join(root, "a", "b")
			if err := MkdirAll(dir, m.dir); err != nil {
				t.Fatal(err)
			}
			check(t, filepath.Dir(dir), m.wantDir)
			check(t, dir, m.wantDir)
			name := filepath.Join(dir, "f")
			f, err := Create(name, os.O_WRONLY, m.file)
			if err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
			check(t, name, m.wantFile)
			if _, err := Create(name, os.O_WRONLY, m.file); !errors.Is(err, fs.ErrExist) {
				t.Errorf("made twice: %v", err)
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := MkdirAll(dir, m.dir); err != nil {
				t.Error(err)
			}
			check(t, dir, 0o777)
			if err := MkdirAll(filepath.Join(name, "x"), m.dir); err == nil {
				t.Error("a directory under a file")
			}
			withUmask(t, 0)
		}
	}
}

// A mode is reset of files and directories only: a link that somebody put among
// them must not make us change what it leads to.
func TestAttackReset(t *testing.T) {
	withUmask(t, 0)
	dir := t.TempDir()
	file, other, link, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "other"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	for _, name := range []string{file, other} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(other, link), syscall.Mkfifo(pipe, 0o666)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		mode  fs.FileMode
		wider bool
	}{{file, 0o600, true}, {file, 0o600, false}, {file, 0o640, false}, {link, 0o600, false}, {pipe, 0o600, false}, {dir, 0o700, true}} {
		if wider, err := Reset(c.name, c.mode); err != nil || wider != c.wider {
			t.Errorf("%s %v: %v, %v", c.name, c.mode, wider, err)
		}
	}
	check(t, file, 0o640)
	check(t, other, 0o666)
	check(t, pipe, 0o666)
	check(t, dir, 0o700)
}
