package box

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// numbers are rows [number, text].
type numbers []uint64

func (r numbers) Len() int            { return len(r) }
func (r numbers) Number(i int) uint64 { return r[i] }
func (r numbers) Append(b []byte, i int) []byte {
	return msgp.AppendString(msgp.AppendUint64(append(b, 0x92), r[i]), fmt.Sprint("text ", r[i]))
}

// pages are all that a query gives, slice by slice.
func (w *world) pages(q Query, user Credentials, rows Rows) string {
	var all []byte
	total := 0
	for more := true; more; more = q.More {
		out, n, err := []byte(nil), 0, error(nil)
		if rows != nil {
			out, n, err = w.b.SelectComputed(user, &q, rows, nil)
		} else {
			out, n, err = w.b.Select(user, &q, nil)
		}
		if err != nil {
			return err.Error()
		}
		if q.MaxRows > 0 && n > q.MaxRows {
			w.t.Fatalf("%d rows in a slice of %d", n, q.MaxRows)
		}
		all, total = append(all, out...), total+n
	}
	return fmt.Sprintf("%d: %s at %s", total, tuplesText(w.t, all, total), q.Position)
}

// A space that is computed answers as one that has the same tuples.
func TestComputed(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	var rows numbers
	for _, n := range []int{1, 2, 5, 6, 7, 100, 127, 128, 300, 70000} {
		rows = append(rows, uint64(n))
		w.must(insert(512, n, fmt.Sprint("text ", n)))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		key := arr()
		if r.IntN(3) > 0 {
			key = arr(int(rows[r.IntN(len(rows))]) + r.IntN(3) - 1)
		}
		q := Query{Space: 512, Iterator: []uint32{EQ, REQ, ALL, LT, LE, GE, GT, NP, PP}[r.IntN(9)], Key: key, Offset: uint32(r.IntN(4)), Limit: uint32(r.IntN(12)),
			FetchPosition: r.IntN(2) > 0, MaxRows: r.IntN(4)}
		if r.IntN(3) == 0 {
			q.AfterTuple = arr(int(rows[r.IntN(len(rows))]))
		}
		view := q
		view.Space = xrow.ViewHistory
		if got, want := w.pages(view, UserAdmin, rows), w.pages(q, UserAdmin, nil); got != want {
			t.Fatalf("iterator %d key %s offset %d limit %d after %x, %d at a time:\n%s\nwant\n%s", q.Iterator, tupleText(key), q.Offset, q.Limit, q.AfterTuple, q.MaxRows, got, want)
		}
	}
	small := Query{Space: xrow.ViewHistory, Iterator: ALL, Key: arr(), Limit: 100, MaxBytes: 30}
	if got, want := w.pages(small, UserAdmin, rows), w.pages(Query{Space: 512, Iterator: ALL, Key: arr(), Limit: 100}, UserAdmin, nil); got != want {
		t.Errorf("in slices of some bytes:\n%s\nwant\n%s", got, want)
	}
	for q, want := range map[*Query]string{
		{Space: xrow.ViewHistory, Index: 1, Key: arr()}:                                  "No index #1 is defined in space '_vtarragon_history'",
		{Space: xrow.ViewHistory, Key: arr("x")}:                                         "Supplied key type of part 0 does not match index part type: expected unsigned",
		{Space: xrow.ViewHistory, Key: arr(), Iterator: ALL, Random: true}:               "does not support random()",
		{Space: xrow.ViewHistory, Key: arr(), Iterator: ALL, AfterPosition: []byte("x")}: "Iterator position is invalid",
	} {
		_, _, err := w.b.SelectComputed(UserAdmin, q, rows, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
