package server

import (
	"io/fs"
	"path/filepath"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/perm"
)

// socketDir makes the directory of a unix socket, as wal.dir is made: the usual
// place is var/run/NAME, which a Tarantool makes for its own files. An empty
// path is no socket.
func socketDir(path string, mode fs.FileMode) error {
	if path == "" {
		return nil
	}
	return perm.MkdirAll(filepath.Dir(path), mode)
}

// openControl lets a local administrator in. That it cannot be done, as where
// the path is too long for a socket, is no reason not to serve everybody else.
func (s *Server) openControl() {
	path := s.in.Tarragon.ControlSocket
	if path == "" {
		return
	}
	err := socketDir(path, s.in.Tarragon.DirMode)
	if err == nil {
		err = s.port.clients.ListenControl(path, box.UserAdmin)
	}
	if err != nil {
		s.log.Warn().Err(err).Str("path", path).Msg("no control socket: commands on this machine need a login")
		return
	}
	s.log.Debug().Str("path", path).Msg("control socket")
}
