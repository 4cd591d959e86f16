package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func config(t *testing.T) Config {
	t.Helper()
	return Config{File: filepath.Join(t.TempDir(), "logs", "audit.log"), MaxSize: 1 << 20, Keep: 2, UUID: func() string { return "u-u-i-d" }}
}

// records are those of a file, each with what a test looks at.
func records(t *testing.T, path string) (lines []line) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(data)) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil || !strings.HasSuffix(text, "\n") {
			t.Fatalf("%q: %v", text, err)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestLines(t *testing.T) {
	cfg := config(t)
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.Write(Event{Type: Disconnect, Description: "is not asked for"})
	l.Write(Event{Type: AuthFail, Remote: "10.0.0.1:5", SessionType: Binary, User: "eve\n", Description: "Failed to authenticate user \"eve\n\""})
	l.Write(Event{Type: UserCreate, Description: "Create user bob", Term: 3, LSN: 7, Outcome: Done})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Write(Event{Type: Call, Description: "behind the end"})
	got := records(t, cfg.File)
	if len(got) != 3 || got[0].Type != Enable || !strings.Contains(got[0].Description, "user_create") {
		t.Fatalf("%+v", got)
	}
	for i := range got {
		if got[i].Time == "" {
			t.Error("no time")
		}
		got[i].Time = ""
	}
	want := []line{
		{UUID: "u-u-i-d", Severity: "ALARM", Remote: "10.0.0.1:5", SessionType: "binary", Module: "tarragon", User: "eve\n", Type: AuthFail, Description: "Failed to authenticate user \"eve\n\""},
		{UUID: "u-u-i-d", Severity: "INFO", SessionType: "background", Module: "tarragon", User: "admin", Type: UserCreate, Description: "Create user bob", Term: 3, LSN: 7, Outcome: "done"},
	}
	if !slices.Equal(got[1:], want) {
		t.Errorf("%+v, not %+v", got[1:], want)
	}
	info, err := os.Stat(cfg.File)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if s := l.Stats(); s != (Stats{Written: 3}) {
		t.Errorf("%+v", s)
	}
}

// A log that was not opened is one that says nothing.
func TestNoLog(t *testing.T) {
	var l *Log
	l.Write(Event{Type: Call})
	l.Reopen()
	if err := l.Close(); err != nil || l.Wants(Call) || l.Stats() != (Stats{}) {
		t.Error(err)
	}
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		names string
		has   []Type
		not   []Type
	}{
		{"", []Type{AuthOK, SpaceCreate, Leader, RowsVoided}, []Type{Disconnect}},
		{"all", []Type{Disconnect, AuthOK}, nil},
		{"none", []Type{Enable, Lost}, []Type{AuthOK, SpaceCreate, Leader}},
		{"priv,auth_fail", []Type{Enable, UserGrant, AuthFail}, []Type{AuthOK, UserCreate, SpaceCreate}},
		{"ddl", []Type{UserCreate, SpaceDrop}, []Type{Call}},
	} {
		var names []string
		if c.names != "" {
			names = strings.Split(c.names, ",")
		}
		f, err := ParseFilter(names)
		if err != nil {
			t.Fatal(err)
		}
		for _, has := range c.has {
			if !f[has] {
				t.Errorf("%q leaves %s out", c.names, has)
			}
		}
		for _, not := range c.not {
			if f[not] {
				t.Errorf("%q has %s", c.names, not)
			}
		}
	}
	if _, err := ParseFilter([]string{"auth", "logins"}); err == nil || !strings.Contains(err.Error(), `"logins"`) || !strings.Contains(err.Error(), "auth_ok") {
		t.Error(err)
	}
}

// A full file is followed by the next, and the oldest goes.
func TestRotation(t *testing.T) {
	cfg := config(t)
	cfg.MaxSize, cfg.Filter = 1, []string{"call"}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		l.Write(Event{Type: Call, Description: fmt.Sprint(i)})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{cfg.File, cfg.File + ".1", cfg.File + ".2"} {
		if got := records(t, path); len(got) != 1 || got[0].Description != fmt.Sprint(3-i) {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if all, _ := filepath.Glob(cfg.File + "*"); len(all) != 3 {
		t.Errorf("%q", all)
	}
}

// Who has moved the file away finds nothing new in it.
func TestReopen(t *testing.T) {
	cfg := config(t)
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(cfg.File, cfg.File+".old"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	l.Write(Event{Type: Call, Description: "new"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := records(t, cfg.File)
	if last := got[len(got)-1]; last.Description != "new" {
		t.Errorf("%+v", got)
	}
	if all, _ := filepath.Glob(cfg.File + ".*"); len(all) != 1 {
		t.Errorf("%q", all)
	}
}

// small is a disk that has room for so many bytes.
type small struct {
	handle
	room *int
}

func (s small) Write(b []byte) (int, error) {
	if len(b) <= *s.room {
		*s.room -= len(b)
		return s.handle.Write(b)
	}
	n, err := s.handle.Write(b[:*s.room])
	*s.room = 0
	return n, errors.Join(err, syscall.ENOSPC)
}

// What a full disk loses is counted, half a line is none, and the log goes on.
func TestFullDisk(t *testing.T) {
	var told []error
	cfg := config(t)
	cfg.Filter, cfg.Trouble = []string{"call"}, func(err error) { told = append(told, err) }
	l, err := newLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	room := 1 << 20
	l.file.f = small{l.file.f, &room}
	say := func(text string) {
		l.Write(Event{Type: Call, Description: text})
		r := <-l.queue
		if r.Type == Enable {
			l.put(r)
			r = <-l.queue
		}
		l.take(r)
	}
	say("first")
	room = 40 // of some 200
	say("torn")
	say("lost")
	room = 1 << 20
	say("again")
	if len(told) != 2 || !errors.Is(told[0], syscall.ENOSPC) || told[1] != nil {
		t.Errorf("told of %q", told)
	}
	l.ended.Go(l.run)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, r := range records(t, cfg.File)[1:] {
		texts = append(texts, r.Description)
	}
	if want := []string{"first", "2 events are missing here: no space left on device", "again"}; !slices.Equal(texts, want) {
		t.Errorf("%q", texts)
	}
	if s := l.Stats(); s != (Stats{Written: 4, Lost: 2}) {
		t.Errorf("%+v", s)
	}
}

// Nobody waits for a file that does not keep up.
func TestFullQueue(t *testing.T) {
	cfg := config(t)
	l, err := newLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range queued + 9 {
		l.Write(Event{Type: Call})
	}
	l.ended.Go(l.run)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := records(t, cfg.File)
	lost := slices.IndexFunc(got, func(r line) bool { return r.Type == Lost })
	if s := l.Stats(); lost < 0 || !strings.HasPrefix(got[lost].Description, "10 events") || s.Lost != 10 || len(got) != queued+1 {
		t.Errorf("%d lines, lost %d, %+v", len(got), lost, s)
	}
}

// What is no file is refused at the start.
func TestNoFile(t *testing.T) {
	cfg := config(t)
	cfg.File = t.TempDir()
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), cfg.File) {
		t.Error(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.File = pipe
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), pipe) {
		t.Error(err)
	}
}
