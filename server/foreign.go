package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/xlog"
)

// ForeignData is returned by an instance that would begin a replica set beside
// the data of a Tarantool, which its clients would then miss. Nothing here reads
// such files.
type ForeignData struct {
	Dir   string
	Files []string // of Dir, sorted
}

// Error says what is there and the ways out.
func (e *ForeignData) Error() string {
	more := ""
	if n := len(e.Files); n > 1 {
		more = fmt.Sprintf(" and %d more", n-1)
	}
	return fmt.Sprintf("%s holds data of Tarantool (%s%s) and no data of Tarragon, which reads no such files: this instance begins no replica set there, since that would be empty. "+
		"Either let it join a running member of the old one (docs/migration.md), or move these files elsewhere to begin anew", e.Dir, e.Files[0], more)
}

// FindForeign looks for data of a Tarantool where the log and the checkpoints
// of the instance are to be; nil: there is none, or the instance has a store of
// its own that holds something.
func FindForeign(in *config.Instance) *ForeignData {
	for _, dir := range []string{storeDir(in), readyDir(storeDir(in))} {
		if held, err := xlog.HoldsData(nil, dir); held || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return foreignFiles(in)
}

// foreign are the files of a Tarantool where its replica set would begin.
func (n *node) foreign() *ForeignData {
	if n.group != "" { // no Tarantool has any of it
		return nil
	}
	return foreignFiles(n.in)
}

// foreignFiles are the files of a Tarantool in the first directory that has any.
func foreignFiles(in *config.Instance) *ForeignData {
	for _, dir := range []string{in.WAL.Dir, in.Snapshot.Dir} {
		if names := foreignIn(dir); len(names) > 0 {
			return &ForeignData{Dir: dir, Files: names}
		}
	}
	return nil
}

func foreignIn(dir string) (names []string) {
	entries, _ := os.ReadDir(dir) // sorted; what cannot be read the store will complain of
	for _, e := range entries {
		if isForeign(e.Name()) && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// ForeignFile is path if it is a file of a Tarantool, or such a file in it;
// empty: neither.
func ForeignFile(path string) string {
	if isForeign(filepath.Base(path)) {
		return path
	}
	if names := foreignIn(path); len(names) > 0 {
		return filepath.Join(path, names[0])
	}
	return ""
}

// isForeign is whether a Tarantool gives its files such names: a signature of
// 20 digits, and what it is.
func isForeign(name string) bool {
	ext := filepath.Ext(name)
	digits := strings.TrimSuffix(name, ext)
	return slices.Contains([]string{".snap", ".xlog", ".vylog"}, ext) && len(digits) == 20 && strings.Trim(digits, "0123456789") == ""
}
