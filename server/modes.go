package server

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tarragon.dev/tarragon/internal/perm"
)

// resetModes gives all that is in our stores the modes that are asked for, also
// in those that are kept beside ours: an earlier release left them to the umask,
// and the options may have changed. wal.dir may be shared or a mount, so a wide
// one is only told of. Nothing here is a reason not to serve.
func (s *Server) resetModes() {
	data, t := filepath.Dir(storeDir(s.in)), &s.in.Tarragon
	if info, err := os.Stat(data); err == nil && info.Mode().Perm()&^t.DirMode != 0 {
		s.log.Warn().Str("dir", data).Str("mode", perm.Text(info.Mode())).Str("dir_mode", perm.Text(t.DirMode)).
			Msg("the data directory is open wider than tarragon.dir_mode: the stores in it are not, but their names are seen, and who may write can replace them")
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		s.log.Warn().Err(err).Msg("cannot look at the modes of the stores")
	}
	tightened := 0
	for _, e := range entries {
		if !e.IsDir() || e.Name() != storeName && !strings.HasPrefix(e.Name(), storeName+".") {
			continue
		}
		err := filepath.WalkDir(filepath.Join(data, e.Name()), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			mode := t.FileMode
			if e.IsDir() {
				mode = t.DirMode
			}
			wider, err := perm.Reset(path, mode)
			if err != nil {
				s.log.Warn().Err(err).Str("path", path).Msg("cannot change the mode of a file of a store")
			} else if wider {
				tightened++
			}
			return nil
		})
		if err != nil {
			s.log.Warn().Err(err).Msg("cannot look at the modes of a store")
		}
	}
	if tightened > 0 {
		s.log.Warn().Str("dir", data).Int("files", tightened).Msg("files of the store were open wider than tarragon.file_mode and dir_mode, and are not any more")
	}
}
