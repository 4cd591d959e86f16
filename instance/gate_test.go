package instance

import (
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

func TestGateHolds(t *testing.T) {
	var g gate
	var eff Effects
	tuple := []byte{0x91, 1}
	r := Request{Conn: 1, DML: xrow.DML{Tuple: tuple}}
	limit := 3 * r.heldSize()
	for r.Sync = 1; r.Sync <= 3; r.Sync++ {
		if !g.hold(&r, limit) {
			t.Errorf("#%d is not held within the limit", r.Sync)
		}
	}
	if g.hold(&r, limit) {
		t.Error("a request beyond the limit is held")
	}
	if tuple[1] = 2; g.held[0].DML.Tuple[1] != 1 {
		t.Error("a request that waits points into what its sender may use again")
	}
	g.failHeld(&eff, func(r *Request) *xrow.Error {
		if r.Sync == 2 {
			return outcomeUnknown()
		}
		return nil
	})
	if len(eff.Replies) != 1 || eff.Replies[0].Sync != 2 {
		t.Errorf("answers %v", eff.Replies)
	}
	g.barrier = true
	for _, want := range []uint64{1, 3} {
		if !g.shut() {
			t.Error("the gate is open in front of requests that wait")
		}
		if r := g.takeHeld(); r.Sync != want || g.barrier {
			t.Errorf("#%d comes out behind a barrier %t, wanted #%d", r.Sync, g.barrier, want)
		}
	}
	if g.shut() || g.size != 0 {
		t.Errorf("an empty gate is shut: %t, and holds %d bytes", g.shut(), g.size)
	}
	for _, shut := range []gate{{barrier: true}, {build: &building{}}, {joins: make([]JoinRequest, 1)}, {chores: make([]Request, 1)}} {
		if !shut.shut() {
			t.Errorf("the gate is open: %+v", shut)
		}
	}
}

// A transaction whose COMMIT waits may be ended meanwhile: it takes nothing then, and what
// was counted for it is given back.
func TestGateForgetsWhatItHeld(t *testing.T) {
	b := box.New(box.Config{})
	for _, r := range box.BootstrapRows(box.Profile3_8_0, uuidOf(99), uuidOf(1), "", "") {
		if err := b.Load(r.SpaceID, r.Tuple); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.LoadDone(); err != nil {
		t.Fatal(err)
	}
	var g gate
	for range 2 {
		d := b.NewDraft(0)
		if err := d.Forward(false); err != nil {
			t.Fatal(err)
		}
		q := box.Query{Space: xrow.SpaceSpace, Key: []byte{0x90}, Iterator: box.ALL, Limit: 1}
		if _, _, err := d.Query(box.UserAdmin, &q, nil); err != nil || d.Size() == 0 {
			t.Fatal(d.Size(), err)
		}
		if !g.hold(&Request{Conn: 1, Commit: d}, 1<<20) {
			t.Fatal("it is not held")
		}
		_ = d.Fail(xrow.Errorf(xrow.ErrTransactionConflict))
	}
	g.takeHeld()
	g.failHeld(new(Effects), func(*Request) *xrow.Error { return nil })
	g.takeHeld()
	if g.size != 0 {
		t.Errorf("an empty gate holds %d bytes", g.size)
	}
}

func TestStreamsBeginAnew(t *testing.T) {
	var g gate
	var eff Effects
	rows := []xrow.Row{{LSN: 1, Flags: xrow.FlagCommit}}
	if !g.holdRows(&Rows{From: 2, Rows: rows}, 1, &eff) { // whatever it takes: else it would never come
		t.Error("the first rows are not held")
	}
	if g.holdRows(&Rows{From: 3, Rows: rows}, 1, &eff) || g.cut != 1<<3 || len(eff.Refused) != 1 {
		t.Errorf("streams cut %b, refused %v", g.cut, eff.Refused)
	}
	g.streamBegins(3, &eff)
	if g.cut != 0 {
		t.Error("a stream that begins anew is cut")
	}
	g.splits = []SplitBrain{{Peer: 2, Text: "it contradicts"}}
	g.streamBegins(2, &eff)
	if g.cut != 1<<2 || eff.Refused[1].Err.Code != xrow.ErrSplitBrain {
		t.Errorf("the stream of one that contradicts begins: cut %b, refused %v", g.cut, eff.Refused)
	}
}
