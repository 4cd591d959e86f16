package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/server"
)

// newLogger is the log of the process: lines for people where the format is
// plain or nobody asked and w is a terminal, JSON otherwise. The second result
// is its file; nil: it goes to w.
func newLogger(c config.Log, modes *config.Tarragon, w io.Writer) (zerolog.Logger, *logFile, error) {
	var file *logFile
	if c.To == "file" {
		f, err := openLog(c.File, modes)
		if err != nil {
			return zerolog.Nop(), nil, fmt.Errorf("open the log: %w", err)
		}
		file = &logFile{path: c.File, modes: modes, f: f}
		w = file
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
	return log, file, nil
}

// logFile is the file of the log. A nil one is none.
type logFile struct {
	path  string
	modes *config.Tarragon

	mu sync.Mutex
	f  *os.File
}

func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Write(b)
}

// Reopen opens the file by its name again, as who has moved it away asks for. Where that
// cannot be, the log goes on where it is.
func (l *logFile) Reopen() error {
	if l == nil {
		return nil
	}
	f, err := openLog(l.path, l.modes)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.f
	l.f = f
	return was.Close()
}

// Close ends it.
func (l *logFile) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
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
