package xlog

import (
	"fmt"
	"testing"

	"tarragon.dev/tarragon/terms"
)

func beganState(f *fixture, last uint64, kinds ...terms.MoveKind) State {
	st := State{VClock: f.clock, NextGroup: last + 1}
	for i, k := range kinds {
		n := uint64(i)
		st.History = append(st.History, terms.Span{Term: 2 + n, Owner: 1, First: 1 + 10*n, Last: 10 + 10*n, Writer: 1, Rules: terms.Strong,
			Began: terms.Began{Kind: k, By: "admin", Reason: "new kernel", At: 1_700_000_000_000_000 + n, Gap: 7, Loose: n == 1, Took: 8}})
	}
	return st
}

// How terms began comes back with each checkpoint, the older ones too, and behind a crash; a
// checkpoint of a version that knew nothing of it changes nothing, nor does a value that
// cannot be read.
func TestMovesComeBack(t *testing.T) {
	f := newFixture(t)
	f.fill(10, 10)
	first := beganState(f, 10, terms.Bootstrap)
	second := beganState(f, 10, terms.Bootstrap, terms.Switchover)
	ids := []uint64{f.checkpoint(1, first), f.checkpoint(1, second)}
	check := func(want ...State) {
		t.Helper()
		for i, id := range ids[len(ids)-len(want):] {
			r, err := f.sl.OpenCheckpoint(id)
			if err != nil {
				t.Fatal(err)
			}
			got := r.State().History
			r.Close()
			listed := f.sl.Checkpoints()[len(want)-1-i].State.History
			if w := want[i].History; fmt.Sprint(got) != fmt.Sprint(w) || fmt.Sprint(listed) != fmt.Sprint(w) {
				t.Errorf("checkpoint %d: %+v, in the list %+v, want %+v", id, got, listed, w)
			}
		}
	}
	f.crash()
	check(first, second)
	earlier := beganState(f, 10, terms.Bootstrap, terms.Switchover, terms.Election)
	for i := range earlier.History {
		earlier.History[i].Began = terms.Began{}
	}
	ids = append(ids, f.checkpoint(1, earlier)) // it wrote no value
	f.crash()
	copy(earlier.History, second.History)
	check(first, second, earlier)
	for _, value := range [][]byte{{}, {2, 0x90}, {1}, {1, 0xdd, 0xff, 0xff, 0xff, 0xff}} {
		if err := f.sl.SetMeta(movesName, value); err != nil {
			t.Fatal(err)
		}
		f.crash()
		if h := f.sl.Checkpoints()[2].State.History; len(h) != 1 || h[0].Began.Known() || h[0].Last != 10 {
			t.Errorf("value %x: %+v", value, h)
		}
	}
	again := f.checkpoint(1, second)
	ids = append(ids, again)
	f.crash()
	check(second)
}
