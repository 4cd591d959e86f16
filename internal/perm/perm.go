// Package perm makes files, directories and sockets with modes of their own,
// whatever the umask says. What it makes is never open to more than its mode
// allows, not even for a moment: whoever opened it then would keep it open. A zero mode
// means its default.
package perm

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The defaults: nobody but the owner.
const (
	File   fs.FileMode = 0o600
	Dir    fs.FileMode = 0o700
	Socket fs.FileMode = 0o600
)

// Text is a mode as one writes it.
func Text(mode fs.FileMode) string { return fmt.Sprintf("%04o", mode.Perm()) }

// Create makes a file and opens it with flags. One that is there already is an
// error, [fs.ErrExist].
func Create(name string, flags int, mode fs.FileMode) (*os.File, error) {
	mode = cmp.Or(mode, File)
	f, err := os.OpenFile(name, flags|os.O_CREATE|os.O_EXCL, mode&File)
	if err != nil {
		return nil, err
	}
	if err := Set(f, mode); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Set gives what is open a mode.
func Set(f *os.File, mode fs.FileMode) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() == mode {
		return err
	}
	return f.Chmod(mode)
}

// MkdirAll makes a directory and those above it. What is there stays as it is.
func MkdirAll(dir string, mode fs.FileMode) error {
	if there, err := isDir(dir); there || err != nil {
		return err
	}
	if up := filepath.Dir(dir); up != dir {
		if err := MkdirAll(up, mode); err != nil {
			return err
		}
	}
	mode = cmp.Or(mode, Dir)
	if err := os.Mkdir(dir, mode&Dir); err != nil {
		if there, _ := isDir(dir); there { // somebody was faster
			return nil
		}
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return os.Chmod(dir, mode) // the umask has left us no way in
	}
	return errors.Join(Set(f, mode), f.Close())
}

func isDir(dir string) (bool, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil && !info.IsDir():
		err = &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	}
	return err == nil, err
}

// Reset gives a file or a directory that is there a mode, and tells whether it
// had more than that. Links are not followed, and what is neither is left alone:
// who could write beside our files may have put it there.
func Reset(name string, mode fs.FileMode) (wider bool, err error) {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() && !info.IsDir() || info.Mode().Perm() == mode {
		return false, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	now, err := f.Stat()
	if err != nil || !os.SameFile(info, now) {
		return false, err
	}
	return now.Mode().Perm()&^mode != 0, Set(f, mode)
}
