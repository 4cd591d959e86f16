package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"tarragon.dev/tarragon/internal/perm"
)

// file is the file of a log, and those that it was before: FILE.1 is the last one.
type file struct {
	path  string
	modes Modes
	most  int64 // bytes; beyond it another file begins
	keep  int   // earlier files

	f    handle // nil: it is not open
	size int64
	torn bool // the last line is not whole
}

// handle is what is needed of an open file.
type handle interface {
	io.WriteCloser
	Truncate(size int64) error
}

// Modes are those of the file and of directories that are made for it.
type Modes struct{ File, Dir fs.FileMode }

func (l *file) open() error {
	if l.f != nil {
		return nil
	}
	if err := perm.MkdirAll(filepath.Dir(l.path), l.modes.Dir); err != nil {
		return err
	}
	f, err := perm.Create(l.path, os.O_APPEND|os.O_WRONLY, l.modes.File)
	if errors.Is(err, fs.ErrExist) { // a pipe without a reader does not hold it up
		f, err = os.OpenFile(l.path, os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0)
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", l.path)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.f, l.size, l.torn = f, info.Size(), false
	return nil
}

// append writes a line, in the file or the next one.
func (l *file) append(line []byte) error {
	if err := l.open(); err != nil {
		return err
	}
	if l.torn {
		if err := l.f.Truncate(l.size); err != nil {
			return err
		}
		l.torn = false
	}
	if l.size > 0 && l.size+int64(len(line)) > l.most {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	n, err := l.f.Write(line)
	if err != nil {
		l.torn = n > 0
		return err
	}
	l.size += int64(n)
	return nil
}

// rotate makes FILE to FILE.1, that to FILE.2 and so on, and begins another FILE.
func (l *file) rotate() error {
	if err := l.close(); err != nil {
		return err
	}
	for n := l.keep; n > 0; n-- {
		from := l.path
		if n > 1 {
			from = fmt.Sprint(l.path, ".", n-1)
		}
		if err := os.Rename(from, fmt.Sprint(l.path, ".", n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if l.keep == 0 {
		if err := os.Remove(l.path); err != nil {
			return err
		}
	}
	return l.open()
}

func (l *file) close() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	return f.Close()
}
