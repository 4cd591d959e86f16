package instance

import (
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// Who is taken for a Tarantool: what a member says goes before the mark in its row,
// without either it is one, and a word is gone with the membership.
func TestKinds(t *testing.T) {
	var k kinds
	k.note(1<<2|1<<3|1<<4, 1<<3|1<<4, 0) // 2 has a mark, 3 and 4 have none
	k.say(4, xrow.Tarragon)
	if k.tarantools != 1<<3 {
		t.Errorf("by rows and a word: %b", k.tarantools)
	}
	k.say(2, xrow.Tarantool)
	k.say(5, xrow.Tarantool) // of whom there is no row yet
	if k.tarantools != 1<<2|1<<3 {
		t.Errorf("by another word: %b", k.tarantools)
	}
	if marked := (&box.Member{ID: 2, Incarnation: 7}); k.of(marked) != xrow.Tarantool {
		t.Errorf("%v goes before its word", k.of(marked))
	}
	k.note(1<<3, 1<<3, 1<<4) // 2 and 5 are gone, 4 may come back
	k.note(1<<2|1<<3|1<<4|1<<5, 1<<3|1<<4, 0)
	if k.tarantools != 1<<3 {
		t.Errorf("a word outlives its membership: %b", k.tarantools)
	}
}

// A strong PROMOTE that came through a Tarantool has no stamp, and says its term
// itself: its author may have led before.
func TestPromoteWithoutStamp(t *testing.T) {
	c := followerCrowd(t, 0)
	s := xrow.Synchro{ReplicaID: 2, LSN: 2, Term: 3, PrevTerm: 2, Rules: xrow.RulesStrong}
	c.steps(Rows{From: 2, Rows: []xrow.Row{{Type: xrow.Promote, ReplicaID: 2, LSN: 3, TSN: 3, Timestamp: 1, Flags: xrow.FlagCommit, Body: s.AppendBody(nil)}}})
	if p := c.core.limbo.Pending(); len(p) != 1 || p[0].Term != 3 {
		t.Errorf("pending: %+v", p)
	}
}
