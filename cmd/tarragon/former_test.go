package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/xlog"
)

// TestXlogFormer: what an instance has left is listed, read, extracted and dropped by the
// number of its slot.
func TestXlogFormer(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(defaultDataDir, storeDir)
	writeStore(t, dir)
	s, err := xlog.Open(xlog.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Core(0).SetMeta("instance_uuid", []byte("11111111-1111-4111-8111-111111111111")); err != nil {
		t.Fatal(err)
	}
	fresh, err := s.Core(0).Fresh()
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.SwitchKeeping(time.Unix(1_700_000_000, 0), "a test"); err != nil {
		t.Fatal(err)
	}
	run := func(words ...string) string {
		t.Helper()
		out, _, err := runWith(t, nil, append([]string{"xlog"}, words...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", words, err, out)
		}
		return out
	}
	if out := run("former", "list"); out != "slot 1 of Core 0, left 2023-11-14T22:13:20Z: a test\n  instance 11111111-1111-4111-8111-111111111111, incarnation 0\n" {
		t.Error(out)
	}
	if out := run("cat"); out != "" {
		t.Errorf("cat shows what was left: %s", out)
	}
	if out := run("cat", "--slot", "1"); strings.Count(out, "\n") != storeGroups || !strings.HasPrefix(out, "former 1.0 1:1 INSERT space=512") {
		t.Error(out)
	}
	if out := run("verify"); !strings.Contains(out, "former slot 1 of Core 0") || !strings.Contains(out, "no damage") {
		t.Error(out)
	}
	if _, _, err := runWith(t, nil, "xlog", "former", "drop", "--slot", "1"); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "in use") {
		t.Errorf("dropped while it is in use: %v", err)
	}
	if out := run("former", "extract", "--slot", "1", "--to", "apart"); !strings.Contains(out, "groups 1 to 5") {
		t.Error(out)
	}
	if out := run("cat", "apart"); strings.Count(out, "\n") != storeGroups {
		t.Error(out)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var line formerLine
	if err := json.Unmarshal([]byte(run("former", "list", "--json")), &line); err != nil || line.Slot != 1 || line.Why != "a test" {
		t.Errorf("%+v, %v", line, err)
	}
	run("former", "drop", "--slot", "1")
	if out := run("former", "list"); out != "" {
		t.Error(out)
	}
	for _, words := range [][]string{{"cat", "--slot", "1"}, {"former", "drop", "--slot", "1"}, {"former", "extract", "--slot", "1", "--to", "x"}} {
		if _, _, err := runWith(t, nil, append([]string{"xlog"}, words...)...); exitCode(err) != exitFailed {
			t.Errorf("%v: %v", words, err)
		}
	}
	for _, words := range [][]string{{"drop"}, {"extract", "--slot", "1"}, {"drop", "--slot", "5000000000"}} {
		if _, _, err := runWith(t, nil, append([]string{"xlog", "former"}, words...)...); exitCode(err) != exitUsage {
			t.Errorf("%v: %v", words, err)
		}
	}
}
