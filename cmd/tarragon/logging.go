package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/server"
)

// newLogger is the log of the process: lines for people where the format is
// plain or nobody asked and w is a terminal, JSON otherwise. The second result
// closes its file.
func newLogger(c config.Log, modes *config.Tarragon, w io.Writer) (zerolog.Logger, func() error, error) {
	closer := func() error { return nil }
	if c.To == "file" {
		f, err := openLog(c.File, modes)
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
	log := zerolog.New(w).With().Timestamp().Logger()
	if c.To == "file" {
		warnOpenLog(log, c.File, modes)
	}
	return log, closer, nil
}

// openLog opens the file of the log for more, or makes it.
func openLog(path string, modes *config.Tarragon) (*os.File, error) {
	if err := perm.MkdirAll(filepath.Dir(path), modes.DirMode); err != nil {
		return nil, err
	}
	f, err := perm.Create(path, os.O_APPEND|os.O_WRONLY, modes.FileMode)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	}
	return f, err
}

// warnOpenLog tells of a log that others may read. It is not changed: whoever
// rotates or ships logs may have made it so.
func warnOpenLog(log zerolog.Logger, path string, modes *config.Tarragon) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&^modes.FileMode != 0 {
		log.Warn().Str("file", path).Str("mode", perm.Text(info.Mode())).Str("file_mode", perm.Text(modes.FileMode)).
			Msg("the log was there and is open wider than tarragon.file_mode: it stays so")
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
