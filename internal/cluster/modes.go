package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// OpenToOthers lists what is below a directory and can be opened by others than
// its owner, with its mode. What goes away meanwhile is none of it.
func OpenToOthers(root string) (open []string, err error) {
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return ignoreGone(err)
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			open = append(open, fmt.Sprintf("%s (%v)", path, info.Mode()))
		}
		return ignoreGone(err)
	})
	return open, err
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
