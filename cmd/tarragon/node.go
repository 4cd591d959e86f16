package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rs/zerolog"

	"tarragon/config"
	"tarragon/server"
	"tarragon/xlog"
)

// serveNode runs the node until ctx is done. Of damage it says what to do.
func serveNode(ctx context.Context, cfg *config.Instance, log zerolog.Logger) error {
	err := server.Run(ctx, server.Config{Instance: cfg, Log: log})
	if errors.Is(err, xlog.ErrCorrupt) {
		dir := filepath.Join(cfg.WAL.Dir, storeDir)
		return fmt.Errorf("%w; nothing was changed: see tarragon xlog verify %s, and tarragon xlog repair --help", err, dir)
	}
	return err
}
