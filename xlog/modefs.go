package xlog

import (
	"io"
	"io/fs"
	"os"

	"tarragon.dev/tarragon/internal/perm"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// modeFS is the operating system's file system for a store. Pebble leaves the
// modes of what it makes to the umask; here they are what they are told to be,
// from the first moment on.
type modeFS struct {
	vfs.FS
	file, dir fs.FileMode
}

// osFS is the file system where the caller has none. A zero mode means its default.
func osFS(file, dir fs.FileMode) vfs.FS { return &modeFS{FS: vfs.Default, file: file, dir: dir} }

// born makes an empty file; one that is there is an error.
func (fs *modeFS) born(name string) error {
	f, err := perm.Create(name, os.O_WRONLY, fs.file)
	if err != nil {
		return err
	}
	return f.Close()
}

// ensure makes an empty file unless there is one.
func (fs *modeFS) ensure(name string) error {
	if err := fs.born(name); err != nil && !oserror.IsExist(err) {
		return err
	}
	return nil
}

// Create removes what was there and does not truncate it, as Pebble's does: it
// may be linked from elsewhere.
func (fs *modeFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	err := fs.born(name)
	for oserror.IsExist(err) {
		if err = os.Remove(name); err == nil || oserror.IsNotExist(err) {
			err = fs.born(name)
		}
	}
	if err != nil {
		return nil, err
	}
	return fs.FS.OpenReadWrite(name, c)
}

func (fs *modeFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := fs.ensure(name); err != nil {
		return nil, err
	}
	return fs.FS.OpenReadWrite(name, c, opts...)
}

func (fs *modeFS) Lock(name string) (io.Closer, error) {
	if err := fs.ensure(name); err != nil {
		return nil, err
	}
	return fs.FS.Lock(name)
}

// MkdirAll does as the store is told, not as Pebble asks for.
func (fs *modeFS) MkdirAll(name string, _ os.FileMode) error { return perm.MkdirAll(name, fs.dir) }

// Unwrap gives the file system below.
func (fs *modeFS) Unwrap() vfs.FS { return fs.FS }
