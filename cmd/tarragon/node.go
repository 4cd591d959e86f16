package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/rs/zerolog"

	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xlog"
)

// heapLimit tells the garbage collector what the configuration leaves it, unless
// the environment says what it is to keep to.
func heapLimit(log zerolog.Logger) func(int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return func(bytes int64) {
		debug.SetMemoryLimit(bytes)
		log.Debug().Int64("bytes", bytes).Msg("limit of the heap")
	}
}

// heapFloor keeps the collector from running for every few MiB: the rows are beside
// the heap, so there is little in it. Nobody touches these bytes, so they take no
// memory; what is above them may become garbage of as many bytes again before it runs.
var heapFloor = make([]byte, 24<<20)

// serveNode runs the node until ctx is done. Of damage it says what to do.
func serveNode(ctx context.Context, cfg server.Config) error {
	err := server.Run(ctx, cfg)
	runtime.KeepAlive(heapFloor)
	if errors.Is(err, xlog.ErrCorrupt) {
		dir := filepath.Join(cfg.Instance.WAL.Dir, storeDir)
		return fmt.Errorf("%w; nothing was changed: see tarragon xlog verify %s, and tarragon xlog repair --help", err, dir)
	}
	return err
}
