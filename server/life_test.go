package server

import (
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/xlog"

	"github.com/rs/zerolog"
)

// newLife is one without a server.
func newLife(in *config.Instance) *life {
	return &life{conf: in, log: zerolog.Nop(), home: &directories{conf: in, open: func(dir string) (*xlog.Store, error) { return xlog.Open(storeOptions(in, dir)) }}}
}
