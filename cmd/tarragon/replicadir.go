package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/xrow"

	"github.com/google/uuid"
)

// claimed is what the directory of a new replica was found with.
type claimed struct {
	uuid    string // of the replica
	again   bool   // an earlier command was broken off there: its uuid is taken on
	existed bool   // the directory was there
}

// lookAtDir looks at what is in the directory of a new replica, and changes nothing. One
// that is neither empty nor left by a command that was broken off is refused: a replica
// takes no place of other data.
func lookAtDir(dir, name string) (claimed, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return claimed{uuid: uuid.NewString()}, nil
	case err != nil:
		return claimed{}, usagef("--dir: %w", err)
	case len(entries) == 0, len(entries) == 1 && entries[0].Name() == replicaUnfinished+newSuffix: // broken off at its first step
		return claimed{uuid: uuid.NewString(), existed: true}, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, replicaUnfinished))
	if err == nil {
		id, of, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		switch known, ok := xrow.ParseUUID(id); {
		case !ok:
			return claimed{}, usagef("--dir: %s is not empty, and what an earlier command left there cannot be read: remove it, or give another directory", dir)
		case of != name:
			return claimed{}, usagef("--dir: %s was begun for replica %s: give that name, or another directory", dir, of)
		default:
			return claimed{uuid: known, again: true, existed: true}, nil
		}
	}
	if _, err := os.Stat(filepath.Join(dir, name+".yaml")); err == nil {
		return claimed{}, usagef("--dir: %s has a replica %s already; to run it: %s", dir, name, (&newReplicaConf{name: name, dir: dir}).serveCommand())
	}
	return claimed{}, usagef("--dir: %s is not empty (%s, ...): a replica begins with an empty directory, or with none", dir, entries[0].Name())
}

// claimDir writes what a start of the replica reads. First of all it notes that the replica
// is not finished, and under which uuid: who is broken off behind that can go on.
func (c *newReplicaConf) claimDir(password string) error {
	if err := perm.MkdirAll(c.dir, perm.Dir); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	for _, f := range []struct{ path, text string }{
		{filepath.Join(c.dir, replicaUnfinished), c.uuid + " " + c.name + "\n"},
		{c.passwordPath(), password},
		{c.file(), string(c.yaml())},
	} {
		if err := replaceFile(f.path, f.text); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	return nil
}

const newSuffix = ".new" // of a file that is being written

// replaceFile writes a file that is never seen in part, and that others cannot read.
func replaceFile(path, text string) error {
	next := path + newSuffix
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := perm.Create(next, os.O_WRONLY, perm.File)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// giveUpDir takes back what claimDir wrote into a directory that had nothing before.
func (c *newReplicaConf) giveUpDir(was claimed) error {
	for _, path := range []string{c.file(), c.passwordPath(), filepath.Join(c.dir, replicaUnfinished)} {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if was.existed {
		return nil
	}
	return os.Remove(c.dir)
}

// finishDir notes that the replica has joined.
func (c *newReplicaConf) finishDir() error {
	if err := os.Remove(filepath.Join(c.dir, replicaUnfinished)); err != nil {
		return err
	}
	return syncDir(c.dir)
}
