package lua

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// recorded are chunks and what Tarantool says of them.
func recorded(t testing.TB) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/syntax.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		quoted, said, ok := strings.Cut(line, "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		chunk, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out[chunk] = said
	}
	return out
}

func TestSyntaxAsRecorded(t *testing.T) {
	for chunk, want := range recorded(t) {
		got := "ok"
		if _, err := Parse(chunk); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", chunk, got, want)
		}
	}
}

// A chunk is read or refused, whatever it is, and what it returns can be walked.
func FuzzParse(f *testing.F) {
	for chunk := range recorded(f) {
		f.Add(chunk)
	}
	f.Fuzz(func(t *testing.T, chunk string) {
		c, err := Parse(chunk)
		if (c == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", chunk, c, err)
		}
	})
}

// Long chains are bounded like what is nested, since who walks them goes as deep.
func TestChains(t *testing.T) {
	for _, chain := range []string{"1+", "x.", "x..", "f()."} {
		chunk := "return " + strings.Repeat(chain, maxLevels)
		if _, err := Parse(chunk + "x"); err == nil || !strings.Contains(err.Error(), "too many syntax levels") {
			t.Errorf("%s...: %v", chain, err)
		}
	}
	for _, list := range []string{"1,", "f(),"} {
		if c, err := Parse("return " + strings.Repeat(list, 5000) + "1"); err != nil || len(c.Returns) != 5001 {
			t.Errorf("%s...: %v", list, err)
		}
	}
}
