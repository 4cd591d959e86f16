package xlog

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// latchFS is the file system under all of the store. The first operation on a
// file that fails latches the store, before anybody hears of the error; from
// then on every one that changes something fails without touching the disk. So
// a store that has failed is left as a crash at that moment would leave it, and
// the next Open does what it does after a crash.
//
// Reads latch too: Pebble takes a key that it cannot read for one that is not
// there where it cuts a table (excise.go, determineLeftTableBounds), and would
// drop groups from the manifest for good.
//
// Some may fail: Preallocate is a hint, Link has a fallback (a copy), and what
// is not there need be neither opened nor removed.
type latchFS struct {
	vfs.FS
	fail *latch
}

// do runs an operation that changes something, unless the store has failed.
func (fs *latchFS) do(what, path string, op func() error) error {
	if err := fs.fail.get(); err != nil {
		return err
	}
	return fs.note(what, path, op())
}

// note latches err, and says what the store says from then on.
func (fs *latchFS) note(what, path string, err error) error {
	if err == nil {
		return nil
	}
	var file *os.PathError
	var link *os.LinkError
	if !errors.As(err, &file) && !errors.As(err, &link) { // else it is in the text
		err = fmt.Errorf("%s %s: %w", what, path, err)
	}
	fs.fail.set(err)
	return fs.fail.get()
}

func (fs *latchFS) file(what, name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	if err := fs.do(what, name, func() error { f, err = open(); return err }); err != nil {
		return nil, err
	}
	return &latchFile{File: f, fs: fs, name: name}, nil
}

func (fs *latchFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file("create", name, func() (vfs.File, error) { return fs.FS.Create(name, c) })
}

func (fs *latchFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file("reuse", name, func() (vfs.File, error) { return fs.FS.ReuseForWrite(old, name, c) })
}

func (fs *latchFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.file("open", name, func() (vfs.File, error) { return fs.FS.OpenReadWrite(name, c, opts...) })
}

// Open is for reading.
func (fs *latchFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(name, opts...)
	if err != nil {
		if !oserror.IsNotExist(err) {
			err = fs.note("open", name, err)
		}
		return nil, err
	}
	return &latchFile{File: f, fs: fs, name: name}, nil
}

// OpenDir is how a directory is synced: it changes what it is opened for.
func (fs *latchFS) OpenDir(name string) (vfs.File, error) {
	return fs.file("open", name, func() (vfs.File, error) { return fs.FS.OpenDir(name) })
}

func (fs *latchFS) Remove(name string) error {
	var gone error
	err := fs.do("remove", name, func() error {
		err := fs.FS.Remove(name)
		if oserror.IsNotExist(err) {
			gone, err = err, nil
		}
		return err
	})
	return errors.Join(err, gone)
}

func (fs *latchFS) RemoveAll(name string) error {
	return fs.do("remove", name, func() error { return fs.FS.RemoveAll(name) })
}

func (fs *latchFS) Rename(old, name string) error {
	return fs.do("rename", old, func() error { return fs.FS.Rename(old, name) })
}

func (fs *latchFS) MkdirAll(name string, perm os.FileMode) error {
	return fs.do("make", name, func() error { return fs.FS.MkdirAll(name, perm) })
}

func (fs *latchFS) Link(old, name string) error {
	if err := fs.fail.get(); err != nil {
		return err
	}
	return fs.FS.Link(old, name)
}

// Unwrap gives the file system below.
func (fs *latchFS) Unwrap() vfs.FS { return fs.FS }

// latchFile is a file or a directory.
type latchFile struct {
	vfs.File
	fs   *latchFS
	name string
}

func (f *latchFile) Write(p []byte) (n int, err error) {
	err = f.fs.do("write", f.name, func() error { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *latchFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.fs.do("write", f.name, func() error { n, err = f.File.WriteAt(p, at); return err })
	return n, err
}

func (f *latchFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	return n, f.noteRead(err)
}

func (f *latchFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	return n, f.noteRead(err)
}

func (f *latchFile) noteRead(err error) error {
	if err == io.EOF { // where the file ends
		return err
	}
	return f.fs.note("read", f.name, err)
}

func (f *latchFile) Sync() error     { return f.fs.do("sync", f.name, f.File.Sync) }
func (f *latchFile) SyncData() error { return f.fs.do("sync", f.name, f.File.SyncData) }

func (f *latchFile) SyncTo(length int64) (full bool, err error) {
	err = f.fs.do("sync", f.name, func() error { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Stat counts among the writes: Pebble asks for the length of a journal file
// that it uses again, and panics without an answer.
func (f *latchFile) Stat() (info vfs.FileInfo, err error) {
	err = f.fs.do("stat", f.name, func() error { info, err = f.File.Stat(); return err })
	return info, err
}

func (f *latchFile) Preallocate(offset, length int64) error {
	if err := f.fs.fail.get(); err != nil {
		return err
	}
	return f.File.Preallocate(offset, length)
}

// Close gives the descriptor back also when the store has failed.
func (f *latchFile) Close() error { return f.fs.note("close", f.name, f.File.Close()) }
