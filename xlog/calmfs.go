package xlog

import (
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// calmFS is what Pebble sees of a latchFS: nothing that it writes ever fails.
// Pebble panics where a journal file cannot be made, or closed, or a directory
// not synced, in goroutines of its own where nobody can catch that, and tries a
// failed flush again without a pause. So once the store has failed Pebble
// writes into the void, and goes on; nobody may believe it then, and all that
// it answers is looked at behind a look at the latch ([Store.writeError]).
type calmFS struct {
	vfs.FS
	fail *latch
}

// calm hides an error of a store that has failed.
func (fs *calmFS) calm(err error) error {
	if err != nil && fs.fail.get() != nil {
		return nil
	}
	return err
}

func (fs *calmFS) file(f vfs.File, err error) (vfs.File, error) {
	if err == nil {
		return &calmFile{File: f, fs: fs}, nil
	}
	if fs.fail.get() != nil {
		return &calmFile{File: void{}, fs: fs}, nil
	}
	return nil, err
}

func (fs *calmFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file(fs.FS.Create(name, c))
}

func (fs *calmFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file(fs.FS.ReuseForWrite(old, name, c))
}

func (fs *calmFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.file(fs.FS.OpenReadWrite(name, c, opts...))
}

func (fs *calmFS) OpenDir(name string) (vfs.File, error) { return fs.file(fs.FS.OpenDir(name)) }
func (fs *calmFS) Remove(name string) error              { return fs.calm(fs.FS.Remove(name)) }
func (fs *calmFS) RemoveAll(name string) error           { return fs.calm(fs.FS.RemoveAll(name)) }
func (fs *calmFS) Rename(old, name string) error         { return fs.calm(fs.FS.Rename(old, name)) }
func (fs *calmFS) Link(old, name string) error           { return fs.calm(fs.FS.Link(old, name)) }

func (fs *calmFS) MkdirAll(name string, perm os.FileMode) error {
	return fs.calm(fs.FS.MkdirAll(name, perm))
}

// Unwrap gives the file system below.
func (fs *calmFS) Unwrap() vfs.FS { return fs.FS }

type calmFile struct {
	vfs.File
	fs *calmFS
}

func (f *calmFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return max(n, f.all(err, len(p))), f.fs.calm(err)
}

func (f *calmFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	return max(n, f.all(err, len(p))), f.fs.calm(err)
}

// all is how much a write whose error is hidden has to say it wrote.
func (f *calmFile) all(err error, n int) int {
	if err != nil && f.fs.calm(err) == nil {
		return n
	}
	return 0
}

func (f *calmFile) Sync() error     { return f.fs.calm(f.File.Sync()) }
func (f *calmFile) SyncData() error { return f.fs.calm(f.File.SyncData()) }
func (f *calmFile) Close() error    { return f.fs.calm(f.File.Close()) }

func (f *calmFile) SyncTo(length int64) (full bool, err error) {
	full, err = f.File.SyncTo(length)
	return full, f.fs.calm(err)
}

func (f *calmFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil && f.fs.calm(err) == nil {
		return noInfo{}, nil
	}
	return info, err
}

// void stands for a file that could not be opened: it takes all and has nothing.
type void struct{}

func (void) Read([]byte) (int, error)               { return 0, os.ErrInvalid }
func (void) ReadAt([]byte, int64) (int, error)      { return 0, os.ErrInvalid }
func (void) Write(p []byte) (int, error)            { return len(p), nil }
func (void) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (void) Close() error                           { return nil }
func (void) Preallocate(int64, int64) error         { return nil }
func (void) Stat() (vfs.FileInfo, error)            { return noInfo{}, nil }
func (void) Sync() error                            { return nil }
func (void) SyncTo(int64) (bool, error)             { return true, nil }
func (void) SyncData() error                        { return nil }
func (void) Prefetch(int64, int64) error            { return nil }
func (void) Fd() uintptr                            { return vfs.InvalidFd }

// noInfo tells of an empty file.
type noInfo struct{}

func (noInfo) Name() string               { return "" }
func (noInfo) Size() int64                { return 0 }
func (noInfo) Mode() os.FileMode          { return 0 }
func (noInfo) ModTime() (t time.Time)     { return t }
func (noInfo) IsDir() bool                { return false }
func (noInfo) Sys() any                   { return nil }
func (noInfo) DeviceID() (d vfs.DeviceID) { return d }
