package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"tarragon/config"
	"tarragon/server"
)

// newLogger is the log of the process: lines for people where the format is
// plain or nobody asked and w is a terminal, JSON otherwise. The second result
// closes its file.
func newLogger(c config.Log, w io.Writer) (zerolog.Logger, func() error, error) {
	closer := func() error { return nil }
	if c.To == "file" {
		if err := os.MkdirAll(filepath.Dir(c.File), 0o750); err != nil {
			return zerolog.Nop(), closer, fmt.Errorf("open the log: %w", err)
		}
		f, err := os.OpenFile(c.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return zerolog.Nop(), closer, fmt.Errorf("open the log: %w", err)
		}
		w, closer = f, f.Close
	}
	if c.Format == "plain" || c.Format == "" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !isTerminal(w), TimeFormat: "15:04:05.000"}
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano
	server.SetLogLevel(c.Level) // of the process, so that box.cfg can change it
	return zerolog.New(w).With().Timestamp().Logger(), closer, nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
