package box

import (
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// A transaction that is made of an earlier one's memory takes next to none of its own; and
// what was large is not kept.
func TestSpareDrafts(t *testing.T) {
	w := newWorld(t)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.mustApply(insert(512, 1, "one"), insert(512, 2, "two"))
	put, out := insert(512, 2, "other"), make([]byte, 0, 100)
	put.Type = xrow.Replace
	key := []byte{0x91, 1}
	run := func() {
		d := w.b.NewDraft(0)
		q := Query{Space: 512, Iterator: EQ, Key: key, Limit: 1}
		for _, write := range []bool{false, true} {
			if err := d.Forward(write); err != nil {
				t.Fatal(err)
			}
			if !write {
				if _, n, err := d.Query(UserAdmin, &q, out); n != 1 || err != nil {
					t.Fatal(n, err)
				}
			} else if _, err := d.Execute(UserAdmin, &put); err != nil {
				t.Fatal(err)
			}
		}
		w.seq++
		x := w.b.Begin(w.seq)
		if err := d.Commit(x); err != nil {
			t.Fatal(err)
		}
		d.Free()
		x.Prepare()
		w.b.Confirm(w.seq)
		for w.b.Work(10) {
		}
	}
	const most = 3 // the pin and its place, which all of one moment share, and the scan of the query
	if n := testing.AllocsPerRun(100, run); n > most {
		t.Errorf("%v allocations", n)
	}
	d := w.b.NewDraft(0)
	if err := d.Forward(false); err != nil {
		t.Fatal(err)
	}
	for range 2 * spareItems {
		if _, _, err := d.Query(UserAdmin, &Query{Space: 512, Iterator: EQ, Key: key, Limit: 1}, out); err != nil {
			t.Fatal(err)
		}
	}
	d.Free()
	if n := cap(w.b.NewDraft(0).looks.all); n > spareItems {
		t.Errorf("room for %d looks is kept", n)
	}
}

// However many are open at once, the memory of a few is kept.
func TestSpareDraftsBound(t *testing.T) {
	w := newWorld(t)
	var open []*Draft
	for range 2 * spareDrafts {
		open = append(open, w.b.NewDraft(0))
	}
	for _, d := range open {
		d.Free()
	}
	if n := len(w.b.drafts.unused); n != spareDrafts {
		t.Errorf("%d are kept", n)
	}
}
