package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tarragon.dev/tarragon/config"
)

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

// swapStores makes the complete new store the store. The old one is removed
// unless it may hold rows that nobody else has: then it stays beside the new
// one for the operator.
func swapStores(in *config.Instance, keepOld bool) error {
	dir := storeDir(in)
	if err := os.Rename(newDir(dir), readyDir(dir)); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := finishSwap(dir); err != nil || keepOld {
		return err
	}
	return os.RemoveAll(oldDir(dir))
}
