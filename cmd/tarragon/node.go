package main

import (
	"context"

	"github.com/rs/zerolog"

	"tarragon/config"
	"tarragon/server"
)

// serveNode runs the node until ctx is done or it cannot go on.
func serveNode(ctx context.Context, cfg *config.Instance, log zerolog.Logger) error {
	return server.Run(ctx, server.Config{Instance: cfg, Log: log})
}
