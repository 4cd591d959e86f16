package main

import (
	"bytes"
	"encoding/json"
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
