package box

import (
	"errors"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// An index becomes another one between two slices of a read: the place that the
// read has come to means nothing there. One of the same order goes on.
func TestIndexChangesBetweenSlices(t *testing.T) {
	sk := func(unique bool, parts ...any) []any { return []any{1, "sk", "tree", m{"unique": unique}, parts} }
	number, text := []any{1, "unsigned"}, []any{2, "string"}
	for _, c := range []struct {
		name          string
		before, after []any
		ends          bool
	}{
		{"fewer parts", sk(false, number, text), sk(true, []any{0, "unsigned"}), true},
		{"another type", sk(false, number), sk(false, text), true},
		{"another type, the other way", sk(false, text), sk(false, number), true},
		{"the same", sk(false, number), sk(false, number), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, it := range []uint32{ALL, LE} {
				w := newWorld(t)
				w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}), c.before)
				for i := range 20 {
					w.must(insert(512, i, i%3, "x"))
				}
				q := Query{Space: 512, Index: 1, Iterator: it, Key: arr(), Limit: 100, MaxRows: 3}
				_, n, err := w.b.Select(UserAdmin, &q, nil)
				if err != nil {
					t.Fatal(err)
				}
				w.must(del(xrow.SpaceIndex, 512, 1))
				w.must(xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceIndex, Tuple: arr(append([]any{512}, c.after...)...)})
				for q.More && err == nil {
					var k int
					_, k, err = w.b.Select(UserAdmin, &q, nil)
					n += k
				}
				if c.ends && !errors.Is(err, xrow.ErrTransactionConflict) || !c.ends && (err != nil || n != 20) {
					t.Errorf("iterator %d: %d tuples, %v", it, n, err)
				}
			}
		})
	}
}
