package box

import (
	"errors"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// A client is told of a space whose tuples are not here, by each way of reading, and only
// who may read it; a view leaves it out.
func TestAbsent(t *testing.T) {
	w := newWorld(t)
	for id, name := range map[uint32]string{600: "here", 601: "gone", 602: "coming"} {
		w.space(id, name, nil, nil, pkIndex([]any{0, "unsigned"}))
		w.must(insert(id, 1))
	}
	w.b.Share(&Sharing{Instance: "r3", Share: &xrow.Share{Filter: "hr", Spaces: []uint32{600, 602}}, Copied: []Copied{{Space: 602, Percent: 61}}})
	admin, guest := w.creds(UserAdmin), w.creds(UserGuest)
	for space, want := range map[uint32]string{
		600: "", 601: "Space 'gone' is not replicated to instance 'r3' (filter 'hr')", 602: "Space 'coming' is being copied to instance 'r3' (61 %)",
	} {
		_, _, err := w.b.Select(admin, &Query{Space: space, Key: []byte{0x90}, Iterator: ALL, Limit: 1}, nil)
		if got := errText(err); got != want {
			t.Errorf("SELECT of %d: %q, want %q", space, got, want)
		}
		if got := errText(w.b.Schema().CheckSpace(admin, space, PrivRead)); got != want {
			t.Errorf("reading %d by name: %q, want %q", space, got, want)
		}
		all := []Lookup{{User: admin, Space: space, Limit: 1, Key: arr(1)}}
		if w.b.Lookups(all, make([]byte, 100)); all[0].Done != (want == "") {
			t.Errorf("a lookup in %d is answered: %v", space, all[0].Done)
		}
	}
	if err := w.b.Schema().CheckSpace(guest, 601, PrivRead); !errors.Is(err, xrow.ErrAccessDenied) {
		t.Errorf("guest: %v", err)
	}
	v := w.b.OpenView()
	defer v.Close()
	seen := spacesOf(t, v)
	if !seen[600] || seen[601] || seen[602] {
		t.Errorf("the view has %v", seen)
	}
	v.Among([]uint32{600})
	if seen := spacesOf(t, v); len(seen) != 1 || !seen[600] {
		t.Errorf("of 600 alone it has %v", seen)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func spacesOf(t *testing.T, v *View) map[uint32]bool {
	t.Helper()
	seen := map[uint32]bool{}
	if _, err := v.Next(&Cursor{}, 100_000, func(space uint32, _ []byte) error { seen[space] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	return seen
}

// A base copy is as if it had always been there: nothing that is undecided meanwhile takes it
// away, all indexes have it, and what was there before is gone, but for a view from before.
func TestCopyIn(t *testing.T) {
	w := newWorld(t)
	w.space(600, "t", nil, []any{m{"name": "id", "type": "unsigned"}, m{"name": "text", "type": "string"}},
		pkIndex([]any{0, "unsigned"}), []any{1, "text", "tree", m{"unique": true}, []any{[]any{1, "string"}}})
	w.space(601, "other", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(600, 7, "old"))
	before := w.b.OpenView()
	w.seq++
	w.b.Empty(w.seq, []uint32{600})
	if got := w.sel(600, 0, ALL); got != "" {
		t.Fatalf("emptied, it has %s", got)
	}
	copyIn := func(vals ...any) {
		t.Helper()
		if err := w.b.CopyIn(600, arr(vals...)); err != nil {
			t.Fatal(err)
		}
	}
	copyIn(1, "b")
	w.prepare(func(tx *Txn) error { d := insert(601, 5); return tx.Apply(&d) })
	copyIn(2, "a")
	w.b.Rollback(w.seq)
	if got := w.sel(600, 1, ALL); got != `[2, "a"] [1, "b"]` {
		t.Errorf("by its second index it has %s", got)
	}
	if got := w.sel(601, 0, ALL); got != "" {
		t.Errorf("what was rolled back is there: %s", got)
	}
	for _, bad := range [][]byte{arr(2, "c"), arr(3, "a"), arr("x", "y"), arr(4)} {
		if err := w.b.CopyIn(600, bad); err == nil {
			t.Errorf("%x is taken", bad)
		}
	}
	if got := w.sel(600, 0, ALL); got != `[1, "b"] [2, "a"]` {
		t.Errorf("it has %s", got)
	}
	w.must(upd(600, arr(2), []any{"=", 1, "z"}))
	if got := w.sel(600, 0, ALL); got != `[1, "b"] [2, "z"]` {
		t.Errorf("changed, it has %s", got)
	}
	if info, _ := w.b.Space(600); info.Rows != 2 {
		t.Errorf("%d rows", info.Rows)
	}
	n := 0
	if _, err := before.Next(&Cursor{space: 600}, 1000, func(space uint32, tuple []byte) error {
		if space == 600 {
			n++
		}
		return nil
	}); err != nil || n != 1 {
		t.Errorf("the view from before has %d tuples, %v", n, err)
	}
	before.Close()
}
