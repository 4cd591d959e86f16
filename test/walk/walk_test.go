package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "tarragon.dev/tarragon/"

// core is what the walk is noted in.
var core = []string{"instance", "limbo", "raft"}

// TestWalk keeps the way short that every write and every replicated row goes:
// from the Step that takes it to the one that knows it to be committed everywhere.
// A function counts once, and only if a Step without events does not enter it too.
// With -v it lists them.
func TestWalk(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "walk")
	var packages []string
	for _, p := range core {
		packages = append(packages, module+p)
	}
	run(t, "go", "build", "-cover", "-covermode=atomic", "-coverpkg="+strings.Join(append(packages, module+"test/walk"), ","), "-o", binary, ".")
	for _, w := range []struct {
		what         string
		taken, whole int // functions at most: of the Step that takes it, and of all
	}{
		{"write", 31, 47},
		{"row", 45, 58},
	} {
		t.Run(w.what, func(t *testing.T) {
			taken, whole, empty := t.TempDir(), t.TempDir(), t.TempDir()
			run(t, binary, w.what, taken, whole, empty)
			idle := functions(t, empty)
			for _, part := range []struct {
				name string
				list []string
				most int
			}{
				{"taken", minus(functions(t, taken), idle), w.taken},
				{"whole", minus(functions(t, whole), idle), w.whole},
			} {
				t.Logf("%s, %s: %d functions\n%s", w.what, part.name, len(part.list), strings.Join(part.list, "\n"))
				if len(part.list) > part.most || len(part.list) < part.most/3 {
					t.Errorf("%s, %s: %d functions, at most %d are allowed, and a third of that are too few to be believed", w.what, part.name, len(part.list), part.most)
				}
			}
		})
	}
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(cmd.Environ(), "GOCOVERDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// entered is a line of go tool cover -func: a place, a function, a share.
var entered = regexp.MustCompile(`^` + module + `(\S+):\d+:\s+(\S+)\s+([\d.]+)%$`)

// functions are those of the core that the counters of a directory have entered.
func functions(t *testing.T, counters string) (list []string) {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "profile")
	run(t, "go", "tool", "covdata", "textfmt", "-i="+counters, "-o="+profile)
	for lines := bufio.NewScanner(bytes.NewReader(run(t, "go", "tool", "cover", "-func="+profile))); lines.Scan(); {
		m := entered.FindStringSubmatch(lines.Text())
		if m != nil && m[3] != "0.0" && slices.Contains(core, filepath.Dir(m[1])) {
			list = append(list, m[1]+" "+m[2])
		}
	}
	return list
}

func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
