package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/config"
)

// After a SIGHUP the log goes to a new file of its name, and stays where it is if there
// can be none.
func TestHangup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "t.log")
	log, out, err := newLogger(config.Log{To: "file", File: path, Level: 5}, &config.Tarragon{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	hup, told := make(chan os.Signal), make(chan struct{})
	go reopenLogs(t.Context(), hup, told, out, log)
	rotate := func() {
		hup <- syscall.SIGHUP
		<-told
	}
	text := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}

	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	rotate()
	log.Info().Msg("second")
	if s := text(path); !strings.Contains(s, "second") || strings.Contains(text(path+".1"), "second") {
		t.Errorf("the new file has %q", s)
	}

	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	rotate()
	log.Info().Msg("third")
	if s := text(path + ".2"); !strings.Contains(s, "cannot be opened again") || !strings.Contains(s, "third") {
		t.Errorf("the file that was moved away has %q", s)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
