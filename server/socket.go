package server

import (
	"os"
	"path/filepath"
)

// socketDir makes the directory of a unix socket, as wal.dir is made: the usual
// place is var/run/NAME, which a Tarantool makes for its own files. An empty
// path is no socket.
func socketDir(path string) error {
	if path == "" {
		return nil
	}
	return os.MkdirAll(filepath.Dir(path), 0o755)
}
