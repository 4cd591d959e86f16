package server

import (
	"errors"
	"fmt"
	"path/filepath"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/xlog"
)

// storeName begins the names of all stores in wal.dir.
const storeName = "store"

// storeDir is where the store of an instance is.
func storeDir(in *config.Instance) string { return filepath.Join(in.WAL.Dir, storeName) }

// storeOptions are those of every store of an instance.
func storeOptions(in *config.Instance, dir string) xlog.Options {
	return xlog.Options{Dir: dir, Mode: walMode(in.WAL.Mode), FileMode: in.Tarragon.FileMode, DirMode: in.Tarragon.DirMode}
}

func walMode(m config.WALMode) xlog.Mode {
	switch m {
	case config.WALWrite:
		return xlog.Write
	case config.WALNone:
		return xlog.None
	}
	return xlog.Fsync
}

// closeOver closes a store that is of no use because of err. One that has failed
// says so again.
func closeOver(store *xlog.Store, err error) error {
	if e := store.Close(); !errors.Is(e, xlog.ErrFailed) {
		err = errors.Join(err, e)
	}
	return err
}

func (s *Server) openStore(dir string) (*xlog.Store, error) {
	o := storeOptions(s.in, dir)
	o.MaxOpenFiles, o.Log, o.Synced = s.files.store, s.logStore, s.meters.synced
	store, err := s.cfg.openStore(o)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return store, nil
}
