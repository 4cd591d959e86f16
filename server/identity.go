package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/xlog"

	"github.com/google/uuid"
)

// identity is who this instance is. It is on disk before the first connect.
type identity struct {
	UUID        string
	Incarnation uint64 // of the store: drawn when the instance lost or had no data
}

const (
	metaUUID        = "instance_uuid"
	metaIncarnation = "incarnation"
)

// loadIdentity reads the identity from the store, and makes one where there is
// none. A uuid in the configuration that differs from the stored one is an
// error: it is another instance's data.
func loadIdentity(store *xlog.Store, in *config.Instance) (id identity, err error) {
	raw, ok, err := store.Meta(metaUUID)
	if err != nil {
		return id, err
	}
	want := in.Database.InstanceUUID
	if ok {
		id.UUID = string(raw)
		if want != "" && want != id.UUID {
			return id, fmt.Errorf("the data directory belongs to instance %s, the configuration says %s", id.UUID, want)
		}
		raw, _, err := store.Meta(metaIncarnation)
		if err != nil || len(raw) != 8 {
			return id, errors.Join(errors.New("the store has no incarnation"), err)
		}
		id.Incarnation = binary.BigEndian.Uint64(raw)
		return id, nil
	}
	id = identity{UUID: want, Incarnation: freshIncarnation()}
	if id.UUID == "" {
		id.UUID = uuid.NewString()
	}
	return id, id.save(store)
}

// process tells this process from a copy of it on another machine.
var process = rand.Uint64() | 1

// freshIncarnation is never zero: that means "not told".
func freshIncarnation() uint64 { return rand.Uint64() | 1 }

func (id identity) save(store *xlog.Store) error {
	if err := store.SetMeta(metaIncarnation, binary.BigEndian.AppendUint64(nil, id.Incarnation)); err != nil {
		return err
	}
	return store.SetMeta(metaUUID, []byte(id.UUID))
}

// storeName begins the names of all stores in wal.dir.
const storeName = "store"

// storeDir is where the store of an instance is.
func storeDir(in *config.Instance) string { return filepath.Join(in.WAL.Dir, storeName) }

// A rejoin fills a second store; the old one stays until the new one is
// complete. "new" exists only while it is being filled, "ready" only once it is
// complete and waits to take the place of the old one, which is then "old".
func newDir(dir string) string   { return dir + ".new" }
func readyDir(dir string) string { return dir + ".ready" }
func oldDir(dir string) string   { return dir + ".old" }

// finishSwap puts a complete new store in the place of the old one. Every step
// leaves what the next call goes on from, so a crash anywhere in between is made
// good by the next start.
func finishSwap(dir string) error {
	ready, old := readyDir(dir), oldDir(dir)
	if ok, err := exists(ready); err != nil || !ok {
		return err
	}
	ok, err := exists(dir)
	if err != nil {
		return err
	}
	if ok {
		if err := keepAside(old); err != nil {
			return err
		}
		if err := os.Rename(dir, old); err != nil {
			return err
		}
	}
	if err := os.Rename(ready, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// keepAside makes room under a name: a store that was kept there may hold rows that
// nobody else has, and gets a number behind its name.
func keepAside(old string) error {
	if ok, err := exists(old); err != nil || !ok {
		return err
	}
	for n := 2; ; n++ {
		name := fmt.Sprintf("%s.%d", old, n)
		if ok, err := exists(name); err != nil {
			return err
		} else if !ok {
			return os.Rename(old, name)
		}
	}
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

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
