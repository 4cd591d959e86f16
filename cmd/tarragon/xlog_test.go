package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// storeGroups is how many groups of one row writeStore makes. A chunk of the
// write-ahead log says how far the file was synced when it was written, and that
// may lag one sync behind: damage to one of the last two groups can pass for a
// torn tail. So TestXlogRepair needs at least two whole groups behind its damage.
const storeGroups = 5

// writeStore makes a store of storeGroups groups.
func writeStore(t *testing.T, dir string) {
	t.Helper()
	s, err := xlog.Open(xlog.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var clock vclock.VClock
	for lsn := uint64(1); lsn <= storeGroups; lsn++ {
		g := &xrow.Group{Before: clock}
		g.Add(&xrow.Row{
			Type: xrow.Insert, ReplicaID: 1, LSN: lsn, TSN: lsn, Timestamp: 1, Flags: xrow.FlagCommit,
			Body: []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, byte(lsn)}, // space 512, tuple [lsn]
		}, 512, true, 0)
		clock.Follow(1, lsn)
		g.After = clock
		if err := s.Core(0).Append([]*xrow.Group{g}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestXlogCat(t *testing.T) {
	t.Chdir(t.TempDir())
	writeStore(t, filepath.Join(defaultDataDir, storeDir))
	out, _, err := runWith(t, nil, "xlog", "cat", "--from-lsn", "2", "--space", "512", "--type", "insert", "--replica", "1", "--json", "--limit", "1")
	var e xlog.Entry
	if err != nil || json.Unmarshal([]byte(out), &e) != nil || e.LSN != 2 || e.Space != 512 || strings.Count(out, "\n") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = runWith(t, nil, "xlog", "cat", defaultDataDir)
	if err != nil || strings.Count(out, "\n") != storeGroups || !strings.Contains(out, "INSERT space=512") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err = runWith(t, nil, "xlog", "cat", "--space", "513"); err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	for _, words := range [][]string{{"--type", "x"}, {"--space", "5000000000"}, {"a", "b"}} {
		if _, _, err := runWith(t, nil, append([]string{"xlog", "cat"}, words...)...); exitCode(err) != exitUsage {
			t.Errorf("%v: %v", words, err)
		}
	}
	if _, _, err := runWith(t, nil, "xlog", "verify", "nowhere"); exitCode(err) != exitFailed {
		t.Errorf("no store: %v", err)
	}
}

// TestXlogRepair damages the second row: verify finds it, repair leaves a
// store that verifies.
func TestXlogRepair(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w")
	writeStore(t, dir)
	if out, _, err := runWith(t, nil, "xlog", "repair", dir); err != nil || !strings.Contains(out, "nothing to repair") {
		t.Fatalf("%v\n%s", err, out)
	}
	damage(t, dir, []byte{0x21, 0x91, 2})
	out, _, err := runWith(t, nil, "xlog", "verify", dir)
	if exitCode(err) != exitUnhealthy || !strings.Contains(out, "DAMAGE") {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	if out, _, err = runWith(t, nil, "xlog", "cat", dir); exitCode(err) != exitUnhealthy {
		t.Errorf("cat: %v\n%s", err, out)
	}
	out, _, err = runWith(t, nil, "xlog", "repair", dir)
	if err != nil || !strings.Contains(out, "the damaged store is kept in") {
		t.Fatalf("repair: %v\n%s", err, out)
	}
	if out, _, err = runWith(t, nil, "xlog", "verify", dir); err != nil || !strings.Contains(out, "no damage") {
		t.Errorf("verify after the repair: %v\n%s", err, out)
	}
}

// damage changes one byte behind a pattern, in whatever file has it.
func damage(t *testing.T, dir string, pattern []byte) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		data, err := os.ReadFile(name)
		if err != nil || f.IsDir() {
			continue
		}
		if i := bytes.Index(data, pattern); i >= 0 {
			data[i+1] ^= 0x40
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the row is in no file")
}

// TestXlogUpgrade: serve refuses a store of format 1 in one line, and that line says
// how to go on.
func TestXlogUpgrade(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(defaultDataDir, storeDir)
	unpack(t, filepath.Join(packages, "xlog", "testdata", "format1-killed.tar.gz"), defaultDataDir)
	_, _, err := runWith(t, nil, "serve", "--listen", "127.0.0.1:0")
	advice := "tarragon xlog upgrade "
	if exitCode(err) != exitFailed || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), advice) {
		t.Fatalf("serve: %v", err)
	}
	_, words, _ := strings.Cut(err.Error(), advice)
	for _, want := range []string{"has format 2 now: 305 groups, 2 checkpoints", "has format 2 already"} {
		out, _, err := runWith(t, nil, "xlog", "upgrade", words)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if out, _, err := runWith(t, nil, "xlog", "verify", dir); err != nil || !strings.Contains(out, "format 2") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := runWith(t, nil, "xlog", "upgrade", "nowhere"); exitCode(err) != exitFailed {
		t.Errorf("no store: %v", err)
	}
}

// packages is where the packages of the module are.
var packages = func() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// unpack puts the files of an archive under a directory.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			content, readErr := io.ReadAll(files)
			err = errors.Join(readErr, os.WriteFile(path, content, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
