package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Releases before had the replica set's node join anew in a second store beside the
// first: "store.new" while it was being filled, "store.ready" once it was complete. Then
// "store" became "store.old", and "store.ready" became "store". What a crash has left of
// that is made good at the start. There was one Core in a store then, so no other one loses by it.

func newDir(dir string) string   { return dir + ".new" }
func readyDir(dir string) string { return dir + ".ready" }
func oldDir(dir string) string   { return dir + ".old" }

// finishElder puts a complete new store in the place of the old one, which stays for
// the operator, and removes one that is not complete. Every step leaves what the next call goes on
// from.
func finishElder(dir string) error {
	if err := os.RemoveAll(newDir(dir)); err != nil {
		return err
	}
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
