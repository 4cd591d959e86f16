package proof

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

func row(lsn uint64, body string) *xrow.Row {
	return &xrow.Row{Type: xrow.Replace, ReplicaID: 2, LSN: lsn, TSN: lsn, Term: 5, Timestamp: 1.5, Flags: xrow.FlagCommit, Body: []byte(body)}
}

// Whatever a row decided changes its digest; how it is encoded does not.
func TestRow(t *testing.T) {
	h := NewHasher()
	want := h.Row(row(7, "\x81\x10\x01"))
	for name, change := range map[string]func(r *xrow.Row){
		"term": func(r *xrow.Row) { r.Term++ }, "origin": func(r *xrow.Row) { r.ReplicaID++ }, "lsn": func(r *xrow.Row) { r.LSN++ },
		"type": func(r *xrow.Row) { r.Type = xrow.Insert }, "time": func(r *xrow.Row) { r.Timestamp++ },
		"body": func(r *xrow.Row) { r.Body = []byte("\x81\x10\x02") }, "no body": func(r *xrow.Row) { r.Body = nil },
	} {
		r := row(7, "\x81\x10\x01")
		if change(r); h.Row(r) == want {
			t.Errorf("%s: the digest is the same", name)
		}
	}
	r := row(7, "\x81\x10\x01")
	r.Flags, r.TSN = xrow.FlagWaitSync, 3
	if h.Row(r) != want {
		t.Error("flags or the place in a transaction change the digest")
	}
	again, err := xrow.Decode(row(7, "\x81\x10\x01").Append(nil)[xrow.FrameHead:])
	if err != nil || h.Row(&again) != want {
		t.Errorf("encoded and decoded it has another digest: %v", err)
	}
}

// Releases compare their digests with each other: SHA-256, made by another program, of
// the numbers 1 (a row), 5, 2, 7, 3 (REPLACE), the bits of 1.5, and the body.
func TestFixed(t *testing.T) {
	h := NewHasher()
	if got, want := h.Row(row(7, "\x81\x10\x01")).String(), "76c9a82d8254f8788aafeb7770d2d40b7f4503495b5edb4b5c3cf41801cbfcee"; got != want {
		t.Errorf("row: %s, want %s", got, want)
	}
}

// However a range is cut, its digest is the same.
func TestWindows(t *testing.T) {
	h := NewHasher()
	add := func(w *Windows, from, to uint64) {
		for lsn := from; lsn <= to; lsn++ {
			w.Add(lsn, h.Row(row(lsn, "\x80")))
		}
	}
	whole, first, second := Windows{Step: 8}, Windows{Step: 8}, Windows{Step: 8}
	add(&whole, 5, 40)
	add(&first, 5, 20)
	add(&second, 21, 40)
	if n := len(whole.List); n != 6 || whole.List[0].First != 0 || whole.List[0].Rows != 3 || whole.List[5] != second.List[len(second.List)-1] {
		t.Fatalf("windows %+v", whole.List)
	}
	last := &first.List[len(first.List)-1]
	last.Sum.Add(second.List[0].Sum)
	last.Rows += second.List[0].Rows
	if !last.Equal(&whole.List[2]) {
		t.Errorf("two parts make %+v, the whole is %+v", *last, whole.List[2])
	}
	if s, ok := Parse(last.Sum.Bytes()); !ok || s != last.Sum {
		t.Error("a digest does not survive its way")
	}
	if _, ok := Parse([]byte{1}); ok {
		t.Error("a digest of one byte")
	}
}
