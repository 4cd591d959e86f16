package main

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"tarragon/config"
)

// errNoNode says that this build has no server in it.
var errNoNode = errors.New("this build cannot run a node: the server is not part of it yet")

// serveNode runs the node until ctx is done or it cannot go on.
func serveNode(ctx context.Context, cfg *config.Instance, log zerolog.Logger) error {
	log.Error().Str("instance", cfg.Name).Err(errNoNode).Msg("cannot serve")
	return errNoNode
}
