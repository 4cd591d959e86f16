package box

import (
	"errors"
	"fmt"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// leaves is a world whose space 512, of [id, name, num], has tuples and the secondary
// indexes name (1) and num (2), the second of which is left out.
func leaves(t *testing.T, rows int) *world {
	w := buildWorld(t, 1<<30)
	w.fillSpace(manyRows(rows))
	w.must(nameIndex())
	w.must(numIndex())
	w.b.Share(&Sharing{Instance: "r3", Share: &xrow.Share{Filter: "hr", New: true}})
	w.leaveOut([2]uint32{512, 2})
	return w
}

// leaveOut says which indexes are left out, and aligns.
func (w *world) leaveOut(indexes ...[2]uint32) {
	w.b.LeaveOut(indexes)
	w.seq++
	w.b.AlignIndexes(w.seq)
}

// formAll forms what is to be formed, in slices.
func (w *world) formAll() {
	w.t.Helper()
	for more := true; more; {
		var err error
		if more, err = w.b.Form(50); err != nil {
			w.t.Fatal(err)
		}
	}
}

// asked is what a client hears who reads by an index.
func (w *world) asked(index uint32) string {
	_, _, err := w.b.Select(w.creds(UserAdmin), &Query{Space: 512, Index: index, Key: []byte{0x90}, Iterator: ALL, Limit: 1}, nil)
	return errText(err)
}

// sound checks each index that is built against the primary one.
func (w *world) sound() {
	w.t.Helper()
	w.noLeak()
	n := map[uint32]int{}
	for _, ix := range w.b.head.spaces[512].indexes {
		if err := ix.validate(); err != nil {
			w.t.Fatal(err)
		}
		q := Query{Space: 512, Index: ix.id, Key: []byte{0x90}, Iterator: ALL, Limit: 1 << 30}
		_, found, err := w.b.Select(UserAdmin, &q, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		n[ix.id] = found
		entries := 0
		for at := ix.first(); at.leaf != 0; at = ix.next(at) {
			entries++
		}
		if entries != found {
			w.t.Fatalf("index %d has %d entries and %d tuples", ix.id, entries, found)
		}
	}
	if n[0] != n[2] {
		w.t.Fatalf("by index: %v", n)
	}
}

const (
	leftOutText = "Index 'num' of space 'twin' is not replicated to instance 'r3' (filter 'hr')"
	formsText   = "Index 'num' of space 'twin' is being built on instance 'r3' (%d %%)"
)

// An index that is left out takes no memory, checks nothing, and refuses everything that is
// done by it, by name; it can be found, dropped and altered, and makes no tuple refused.
func TestLeftOut(t *testing.T) {
	w := leaves(t, 500)
	if got := w.asked(2); got != leftOutText {
		t.Errorf("reading by it: %q", got)
	}
	d := del(512, 1)
	d.IndexID = 2
	if _, err := w.run(d); errText(err) != leftOutText || !errors.Is(err, xrow.ErrIndexNotReplicated) {
		t.Errorf("deleting by it: %v", err)
	}
	if id, ok := w.b.ResolveIndex(512, "num"); !ok || id != 2 {
		t.Errorf("its name leads to %d, %v", id, ok)
	}
	if next := w.b.Schema().NextIndexID(512); next != 3 {
		t.Errorf("the next index has ID %d", next)
	}
	if len(w.b.Schema().Carried()) > 0 {
		t.Errorf("carried: %v", w.b.Schema().Carried())
	}
	if got := fmt.Sprint(w.b.IndexesLeftOut()); got != "[{twin num false 0}]" {
		t.Errorf("left out: %s", got)
	}
	w.noLeak()
	w.must(replace(512, 1000, "more", "what the index would not take"))
	w.must(del(512, 1000))
	w.b.LeaveOut([][2]uint32{{512, 1}, {512, 2}})
	w.mustApply(replace(xrow.SpaceIndex, 512, 1, "other", "tree", m{"unique": false}, []any{[]any{1, "string"}}))
	if w.noLeak(); w.b.head.spaces[512].index(1) != nil || w.b.Misaligned() {
		t.Error("an index that is left out is built when it is altered")
	}
	if _, err := w.b.Schema().FindIndex(512, "other"); err != nil {
		t.Error(err)
	}
	w.mustApply(del(xrow.SpaceIndex, 512, 1))
	w.leaveOut()
	w.formAll()
	w.sound()
	if _, err := w.run(insert(512, 1001, "x", "y")); !errors.Is(err, xrow.ErrFieldType) {
		t.Errorf("what the index does not take: %v", err)
	}
}

// While it is formed an index answers nobody, whatever becomes of the space: all tuples
// gone and others there, another order of the primary index, a view that keeps what was
// replaced before.
func TestFormed(t *testing.T) {
	half := func(t *testing.T) *world {
		w := leaves(t, 3000)
		view := w.b.OpenView()
		w.must(replace(512, 3, "three", -33))
		w.must(del(512, 4))
		w.leaveOut()
		if more, err := w.b.Form(3000); !more || err != nil {
			t.Fatalf("more %v, %v", more, err)
		}
		if got := w.asked(2); got != fmt.Sprintf(formsText, 50) {
			t.Errorf("while it is formed: %q", got)
		}
		if got := fmt.Sprint(w.b.IndexesLeftOut()); got != "[{twin num true 50}]" {
			t.Errorf("left out: %s", got)
		}
		view.Close()
		for w.b.Work(1000) {
		}
		return w
	}
	for name, between := range map[string]func(w *world){
		"nothing":  func(*world) {},
		"replaced": func(w *world) { w.must(replace(512, 1, "a", -1)); w.must(replace(512, 2999, "b", -2)) },
		"emptied": func(w *world) {
			for i := range 3000 {
				w.must(del(512, i))
			}
			if got := w.asked(2); got != fmt.Sprintf(formsText, 50) {
				w.t.Errorf("emptied: %q", got)
			}
			w.must(insert(512, 7, "seven", 7))
		},
		"truncated": func(w *world) {
			w.must(ups(xrow.SpaceTruncate, arr(512, 1), []any{"+", 1, 1}))
			w.must(insert(512, 7, "seven", 7))
		},
		"another primary index": func(w *world) {
			w.must(replace(xrow.SpaceIndex, 512, 0, "pk", "tree", m{"unique": true}, []any{[]any{2, "integer"}}))
		},
		"altered": func(w *world) {
			w.must(replace(xrow.SpaceIndex, 512, 2, "num", "tree", m{"unique": false}, []any{m{"field": 2, "type": "integer"}}))
		},
		"renamed": func(w *world) {
			w.must(replace(xrow.SpaceIndex, 512, 2, "other", "tree", m{"unique": false}, []any{m{"field": 2, "type": "integer", "sort_order": "desc"}}))
		},
		"left out again": func(w *world) { w.leaveOut([2]uint32{512, 2}); w.noLeak(); w.leaveOut() },
	} {
		t.Run(name, func(t *testing.T) {
			w := half(t)
			between(w)
			w.formAll()
			if w.b.Forms() {
				t.Error("something is still being formed")
			}
			w.sound()
		})
	}
	t.Run("dropped", func(t *testing.T) {
		w := half(t)
		w.must(del(xrow.SpaceIndex, 512, 2))
		w.formAll()
		if w.noLeak(); w.b.Forms() || len(w.b.IndexesLeftOut()) > 0 {
			t.Errorf("left out: %v", w.b.IndexesLeftOut())
		}
	})
}

// The order of a secondary index may outlive that of the primary one: then the pass begins anew.
func TestFormedInAnotherOrder(t *testing.T) {
	w := buildWorld(t, 1<<30)
	w.fillSpace(manyRows(1000))
	both := []any{[]any{2, "integer"}, []any{0, "unsigned"}}
	w.must(insert(xrow.SpaceIndex, 512, 2, "num", "tree", m{"unique": false}, both))
	w.leaveOut([2]uint32{512, 2})
	w.leaveOut()
	if more, err := w.b.Form(1000); !more || err != nil {
		t.Fatalf("more %v, %v", more, err)
	}
	w.must(replace(xrow.SpaceIndex, 512, 0, "pk", "tree", m{"unique": true}, []any{[]any{2, "integer"}})) // the other way round
	if got := w.asked(2); got == "" {
		t.Error("it is read before it is whole")
	}
	w.formAll()
	w.sound()
}

// A draft that stands at a moment before the index was whole does not read by it: what it
// would see may be missing.
func TestFormedBehindADraft(t *testing.T) {
	w := leaves(t, 1000)
	w.leaveOut()
	d := w.b.NewDraft(ReadConfirmed)
	defer d.Close()
	read := func(index uint32) error {
		if err := d.Forward(false); err != nil {
			return err
		}
		_, _, err := d.Query(w.creds(UserAdmin), &Query{Space: 512, Index: index, Key: []byte{0x90}, Iterator: ALL, Limit: 1 << 20}, nil)
		return err
	}
	if err := read(0); err != nil {
		t.Fatal(err)
	}
	w.must(replace(512, 3, "three", 33)) // the draft stays where it is
	w.formAll()
	if err := read(2); !errors.Is(err, xrow.ErrTransactionConflict) {
		t.Errorf("it reads by the index: %v", err)
	}
	if got := w.asked(2); got != "" {
		t.Errorf("others: %s", got)
	}
}

// What a state has of an index that is left out is not built when it is loaded, and the
// index is there as a row.
func TestLoadLeavesOut(t *testing.T) {
	w := leaves(t, 500)
	w.leaveOut()
	w.formAll()
	b, v := New(Config{}), w.b.OpenView()
	defer v.Close()
	if _, err := v.Next(&Cursor{}, 1<<20, b.Load); err != nil {
		t.Fatal(err)
	}
	b.LeaveOut([][2]uint32{{512, 2}}) // by what was loaded
	if err := b.LoadDone(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(b.IndexesLeftOut()); got != "[{twin num false 0}]" || b.Misaligned() {
		t.Errorf("left out: %s", got)
	}
	loaded := &world{t: t, b: b}
	loaded.noLeak()
	loaded.leaveOut()
	loaded.formAll()
	loaded.sound()
}

// An index that what is there does not fit is never read by, and nothing goes on.
func TestFormedFails(t *testing.T) {
	w := leaves(t, 500)
	w.must(replace(512, 400, "x", "no number"))
	w.leaveOut()
	_, err := w.b.Form(1 << 20)
	if want := "index 'num' of space 'twin': "; err == nil || err.Error()[:len(want)] != want {
		t.Errorf("%v", err)
	}
	if more, err := w.b.Form(10); more || err != nil || w.asked(2) == "" {
		t.Errorf("more %v, %v, %q", more, err, w.asked(2))
	}
}
