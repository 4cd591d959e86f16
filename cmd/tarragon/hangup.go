package main

import (
	"context"
	"os"

	"github.com/rs/zerolog"
)

// reopenLogs opens the files of logs by their names again at each SIGHUP, for who moves them
// away, and tells the server of it. It ends with ctx.
func reopenLogs(ctx context.Context, hup <-chan os.Signal, server chan<- struct{}, file *logFile, log zerolog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		if err := file.Reopen(); err != nil {
			log.Error().Err(err).Msg("SIGHUP: the log cannot be opened again, and goes on in the file that was moved away")
		} else {
			log.Info().Msg("SIGHUP: the files of the logs are opened again")
		}
		select {
		case server <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}
