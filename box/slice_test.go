package box

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/tinylib/msgp/msgp"
	"tarragon.dev/tarragon/xrow"
)

// sizes of tuples around the bounds: what has its place in a page with others,
// what fills a slice, what has a page of its own.
var sliceSizes = []int{10, 3000, smallMax - versionHead - 20, smallMax, 10, SliceBytes, 200_000, 10, 1<<20 - 100, 10}

// spread is a space with tuples [k, k%3, payload] of all sizes; the second index
// has few keys.
func spread(t testing.TB, rounds int) *world {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}), []any{1, "sk", "tree", m{"unique": false}, []any{[]any{1, "unsigned"}}})
	k := 0
	for i := range rounds {
		sizes := sliceSizes
		if i == rounds-1 { // and slices that are full before they are over
			sizes = slices.Repeat([]int{3000, 9000}, 30)
		}
		for _, size := range sizes {
			tuple := msgp.AppendBytes(msgp.AppendUint(msgp.AppendUint([]byte{0x93}, uint(k)), uint(k%3)), make([]byte, size))
			w.must(xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: tuple})
			k++
		}
	}
	return w
}

// Slices of a SELECT make the same answer as one read, and none of them copies
// more than its bound, or allocates: it would under the latch.
func TestSlicesOfSelect(t *testing.T) {
	w := spread(t, 8)
	buf := make([]byte, 0, SliceBytes)
	for _, q := range []Query{
		{Iterator: ALL, Limit: 1 << 30}, {Iterator: LE, Limit: 1 << 30}, {Iterator: ALL, Limit: 7}, {Iterator: ALL, Offset: 9, Limit: 30},
		{Index: 1, Iterator: EQ, Key: arr(1), Limit: 1 << 30}, {Index: 1, Iterator: REQ, Key: arr(2), Limit: 1 << 30},
		{Iterator: EQ, Key: arr(8), Limit: 10}, {Iterator: EQ, Key: arr(1), Limit: 10},
	} {
		q.Space, q.FetchPosition = 512, true
		if q.Key == nil {
			q.Key = arr()
		}
		t.Run(fmt.Sprintf("index %d iterator %d key %x limit %d", q.Index, q.Iterator, q.Key, q.Limit), func(t *testing.T) {
			whole := q
			want, wantN, err := w.b.Select(UserAdmin, &whole, nil)
			if err != nil {
				t.Fatal(err)
			}
			q.MaxBytes = SliceBytes
			var got []byte
			n := 0
			for q.More = true; q.More; {
				part, k, err := w.b.Select(UserAdmin, &q, buf)
				if err != nil {
					t.Fatal(err)
				}
				if len(part) > 0 && &part[0] != &buf[:1][0] {
					t.Fatalf("a slice of %d bytes has left its buffer", len(part))
				}
				got = append(append(got, part...), q.Large...)
				n += k
			}
			if n != wantN || !bytes.Equal(got, want) || !bytes.Equal(q.Position, whole.Position) {
				t.Errorf("%d tuples in %d bytes up to %s, want %d in %d up to %s", n, len(got), q.Position, wantN, len(want), whole.Position)
			}
		})
	}
}

// What a slice keeps instead of copying it stays what it was, whatever happens
// to the tuple and to its memory behind the latch.
func TestLargeTupleLasts(t *testing.T) {
	w := spread(t, 2)
	for k, size := range sliceSizes {
		q := Query{Space: 512, Iterator: EQ, Key: arr(k), Limit: 1, MaxBytes: SliceBytes}
		part, _, err := w.b.Select(UserAdmin, &q, make([]byte, 0, SliceBytes))
		if err != nil {
			t.Fatal(err)
		}
		if (len(part) == 0) != (size >= smallMax) {
			t.Fatalf("%d bytes were copied of a tuple with %d", len(part), size)
		}
		before := bytes.Clone(q.Large)
		w.must(del(512, k))
		for range 3 { // others take what memory there is
			w.must(xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: msgp.AppendBytes([]byte{0x93, 100, 0}, bytes.Repeat([]byte{0xee}, size))})
		}
		if !bytes.Equal(q.Large, before) {
			t.Errorf("a tuple with %d bytes has changed under its reader", size)
		}
	}
}

// Pages have all tuples of a view in its order, within the bound.
func TestPages(t *testing.T) {
	w := spread(t, 8)
	v := w.b.OpenView()
	defer v.Close()
	var want []string
	var at Cursor
	if _, err := v.Next(&at, 1<<30, func(space uint32, tuple []byte) error {
		want = append(want, fmt.Sprint(space, len(tuple), tuple[:min(len(tuple), 20)]))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	p := v.Pager()
	room := cap(p.buf)
	i := 0
	for more := true; more; {
		more = p.Fill()
		size := 0
		for space, tuple := range p.Rows() {
			if got := fmt.Sprint(space, len(tuple), tuple[:min(len(tuple), 20)]); i == len(want) || got != want[i] {
				t.Fatalf("row %d is %s", i, got)
			}
			if size >= SliceBytes {
				t.Fatalf("row %d comes behind %d bytes of its page", i, size)
			}
			size += len(tuple)
			i++
		}
		if cap(p.buf) != room {
			t.Fatal("the page has grown")
		}
	}
	if i != len(want) {
		t.Errorf("%d rows, want %d", i, len(want))
	}
}
