package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tarragon.dev/tarragon/vclock"
)

func FuzzFormula(f *testing.F) {
	for _, s := range []string{"N / 2 + 1", "N - Q + 1", "math.max(1, N - 2)", "-((((N))))", strings.Repeat("(", 100), strings.Repeat("-", 2000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fm, err := Parse(text)
		if err != nil {
			return
		}
		for n := 1; n <= vclock.MaxID; n++ {
			if q, err := fm.Eval(n, n); err == nil && (q < 1 || q > vclock.MaxID) {
				t.Fatalf("%q is %d", text, q)
			}
		}
	})
}

func FuzzYAML(f *testing.F) {
	f.Add(threeNodes)
	files, err := filepath.Glob("testdata/scripts/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no scripts")
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(data), "\n\n") {
			f.Add(part)
		}
	}
	f.Add("a: &a [*a]\nb: *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		in, err := load(text, "i1", []string{"TT_IPROTO_LISTEN=" + strings.ReplaceAll(text, "\x00", "")})
		if (in == nil) == (err == nil) {
			t.Fatalf("%v, %v", in, err)
		}
	})
}

func FuzzURI(f *testing.F) {
	for _, s := range []string{"3301", "localhost:3301", "[::1]:1", "a:b@c:1", "unix/:/x", "/x", "./x", "a:b@/x", "unix/:.x", "unix/:../x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURI(text)
		if err != nil {
			return
		}
		again, err := ParseURI(u.Address())
		if err != nil || again.Address() != u.Address() {
			t.Fatalf("%q is %q, read again %q, %v", text, u.Address(), again.Address(), err)
		}
	})
}

// TestAliases: a few lines must not unfold without end.
func TestAliases(t *testing.T) {
	many := func(format string, sep string) string {
		var items []string
		for i := range 1000 {
			items = append(items, strings.ReplaceAll(format, "#", strconv.Itoa(i)))
		}
		return strings.Join(items, sep)
	}
	bomb := "labels: {x: &s x}\ncredentials: {users: {a: {privileges: [&p {permissions: [read], spaces: [" + many("*s", ", ") + "]}, " +
		many("*p", ", ") + "]}, " + many("u#: *u", ", ") + "}}\n"
	bomb = strings.Replace(bomb, "a: {privileges", "a: &u {privileges", 1)
	if _, err := load(bomb, "i1", nil); err == nil || !strings.Contains(err.Error(), "too large or too deep") {
		t.Errorf("a bomb is taken: %v", err)
	}
	if _, err := load("groups: &g {g: {replicasets: {r: {instances: *g}}}}", "i1", nil); err == nil {
		t.Error("a cycle is taken")
	}
}
