package xlog

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walFS is the file system under Pebble. It changes only files of the
// write-ahead log: their syncs do nothing in the modes Write and None, and
// their space is made part of the file at once, so that a sync of appended
// bytes has no new length to write.
type walFS struct {
	vfs.FS
	noSync atomic.Bool
}

func (fs *walFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.wrap(name)(fs.FS.Create(name, category))
}

func (fs *walFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.wrap(name)(fs.FS.ReuseForWrite(old, name, category))
}

// Unwrap gives the file system below.
func (fs *walFS) Unwrap() vfs.FS { return fs.FS }

func (fs *walFS) wrap(name string) func(vfs.File, error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil || !strings.HasSuffix(name, walSuffix) {
			return f, err
		}
		return &walFile{File: f, fs: fs}, nil
	}
}

type walFile struct {
	vfs.File
	fs *walFS
}

func (f *walFile) Sync() error {
	if f.fs.noSync.Load() {
		return nil
	}
	return f.File.Sync()
}

func (f *walFile) SyncData() error {
	if f.fs.noSync.Load() {
		return nil
	}
	return f.File.SyncData()
}

func (f *walFile) SyncTo(length int64) (fullSync bool, err error) {
	if f.fs.noSync.Load() {
		return false, nil
	}
	return f.File.SyncTo(length)
}

func (f *walFile) Preallocate(offset, length int64) error {
	if fd := f.Fd(); fd != vfs.InvalidFd && extend(fd, offset, length) {
		return nil
	}
	return f.File.Preallocate(offset, length)
}
