package box

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// TestPaths does what Tarantool 3.8.0 did: testdata/paths-3.8.txt has a line
// for each INSERT (space, tuple in hexadecimal, how it ended) and for each SELECT
// by the index with paths (space?, key, how it ended, first fields).
func TestPaths(t *testing.T) {
	w := newWorld(t)
	id := []any{m{"name": "id", "type": "unsigned"}}
	w.space(512, "a", m{}, id, pkIndex([]any{0, "unsigned"}),
		[]any{1, "p", "tree", m{"unique": true}, []any{m{"field": 1, "type": "string", "path": "a.b"}}})
	w.space(513, "n", m{}, append(id, m{"name": "d", "type": "any", "is_nullable": true}), pkIndex([]any{0, "unsigned"}),
		[]any{1, "p", "tree", m{"unique": false}, []any{m{"field": 1, "type": "string", "path": `a[2]["q x"]`, "is_nullable": true}}})
	w.space(514, "r", m{}, nil, pkIndex([]any{0, "unsigned"}),
		[]any{1, "p", "tree", m{"unique": true}, []any{m{"field": 1, "type": "unsigned", "path": "a"},
			m{"field": 1, "type": "unsigned", "path": "b", "is_nullable": true}}})
	data, err := os.ReadFile("testdata/paths-3.8.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for _, line := range lines {
		f := strings.SplitN(line, " ", 3)
		raw, err := hex.DecodeString(f[1])
		if err != nil {
			t.Fatal(err)
		}
		space, _ := w.b.ResolveSpace(strings.TrimSuffix(f[0], "?"))
		got := "ok"
		if strings.HasSuffix(f[0], "?") {
			var out []byte
			out, _, err = w.b.Select(UserAdmin, &Query{Space: space, Index: 1, Key: raw, Limit: 100}, nil)
			for at := 0; at < len(out); at = mp.Skip(out, at) {
				got += fmt.Sprint(" ", splitRow(mp.First(out[at:])).uint(0))
			}
			f[2] = strings.TrimSuffix(f[2], " ")
		} else {
			_, err = w.run(xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: raw})
		}
		var e *xrow.Error
		if errors.As(err, &e) {
			got = fmt.Sprintf("%d %s", e.Code, e.Message)
		}
		if got != f[2] {
			t.Errorf("%s %s: %s\nwant %s", f[0], tupleText(raw), got, f[2])
		}
	}
	if len(lines) < 80 {
		t.Errorf("%d lines", len(lines))
	}
	for _, ix := range []uint32{512, 513, 514} {
		if err := w.b.dict.spaces[ix].index(1).validate(); err != nil {
			t.Error(err)
		}
	}
}

// TestPathDefinitions: how a path is written does not matter, what is at its
// start must be right.
func TestPathDefinitions(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", m{}, []any{m{"name": "id", "type": "unsigned"}}, pkIndex([]any{0, "unsigned"}),
		[]any{1, "p", "tree", m{"unique": true}, []any{m{"field": 1, "type": "string", "path": "a.b"}}})
	part := func(field int, path string) m { return m{"field": field, "type": "string", "path": path} }
	for _, c := range []struct {
		parts []any
		code  xrow.Code
		want  string
	}{
		{[]any{part(1, `["a"].b`), part(1, "a.b")}, 14, "Can't create or modify index 'q' in space 's': same key part is indexed twice"},
		{[]any{part(1, "[1].b")}, 24, "Field 2 has type 'map' in one index, but type 'array' in another"},
		{[]any{part(1, "a..b")}, 107, "Wrong index part 1: invalid path"},
		{[]any{part(2, "a[*].b")}, 5, "Tarragon does not support multikey index 'q' of space 's'"},
		{[]any{part(2, "x"), part(2, "y[3]")}, 0, ""},
	} {
		_, err := w.run(insert(xrow.SpaceIndex, 512, 2, "q", "tree", m{"unique": false}, c.parts))
		if c.code == 0 && err == nil {
			continue
		}
		wantError(t, err, c.code, c.want)
	}
	for _, same := range [][2]string{{"a.b", `["a"]["b"]`}, {".a[1]", `a[1]`}, {"[2].x", `[2]['x']`}} {
		a, _, _ := compilePath(same[0])
		b, _, ok := compilePath(same[1])
		if a != b || !ok {
			t.Errorf("%q and %q", same[0], same[1])
		}
	}
	w.must(insert(512, 1, m{"a": m{"b": "k"}}, m{"x": "1", "y": []any{1, 2, "3"}}))
	if got := w.must(xrow.DML{Type: xrow.Delete, SpaceID: 512, IndexID: 1, Key: arr("k")}); !strings.HasPrefix(got, "[1, ") {
		t.Error(got)
	}
}
