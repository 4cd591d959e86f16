package xrow

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"tarragon.dev/tarragon/terms"

	"github.com/tinylib/msgp/msgp"
)

// A move survives the wire in both rows that carry it; a later version may say more, and
// what cannot be read is an error of the row.
func TestMove(t *testing.T) {
	move := terms.Move{Kind: terms.Switchover, To: 2, By: "admin", Reason: "new kernel"}
	for _, s := range []Synchro{
		{ReplicaID: 1, LSN: 5, Move: &move},
		{ReplicaID: 1, LSN: 5, Move: &terms.Move{Kind: terms.Switchover, To: 2, Gap: 1, Loose: true}},
		{ReplicaID: 1, LSN: 5, Move: &terms.Move{Kind: terms.Switchover, To: 2, Gap: terms.MaxMicros}},
		{ReplicaID: 1, LSN: 5, Move: &terms.Move{Kind: terms.Switchover, To: 2, Token: math.MaxUint64, Lease: 10_000}},
		{ReplicaID: 1, LSN: 5, Move: &terms.Move{Kind: terms.Supervised, To: 2, Gap: 7, Token: 1}},
		{ReplicaID: 1, LSN: 5, Term: 7, PrevTerm: 6, Rules: RulesStrong, StrongLSN: 8, Move: &terms.Move{Kind: terms.Election, To: 2, Reason: "silence"}},
	} {
		if got, err := DecodeSynchro(s.AppendBody(nil)); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v came as %+v, %v", s, got, err)
		}
	}
	body := func(value []byte) []byte { return append([]byte{0x81, byte(KeyMove)}, value...) }
	text := func(b []byte, s string) []byte { return msgp.AppendString(b, s) }
	later := append(text(text([]byte{0x97, 99, 2}, "admin"), "new kernel"), 5, 1, 0x80)
	got, err := DecodeSynchro(body(later))
	if want := (terms.Move{Kind: 99, To: 2, By: "admin", Reason: "new kernel", Gap: 5, Loose: true}); err != nil || *got.Move != want || got.Move.Kind.String() != "unknown" {
		t.Errorf("of a later version: %+v, %v", got.Move, err)
	}
	for name, bad := range map[string][]byte{
		"no array":         {5},
		"too few elements": text([]byte{0x93, 1, 2}, "admin"),
		"a wide kind":      text(text([]byte{0x94, 0xcd, 1, 0, 2}, ""), ""),
		"a negative kind":  text(text([]byte{0x94, 0xff, 2}, ""), ""),
		"no such instance": text(text([]byte{0x94, 1, 32}, ""), ""),
		"a number for by":  text([]byte{0x94, 1, 2, 3}, ""),
		"a wide gap":       append(text(text([]byte{0x96, 1, 2}, ""), ""), 0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0, 0),
		"a text for a gap": append(text(text([]byte{0x96, 1, 2}, ""), ""), 0xa0, 0),
		"no lease":         append(text(text([]byte{0x98, 1, 2}, ""), ""), 5, 0, 7, 0xa0),
		"no flag":          append(text(text([]byte{0x96, 1, 2}, ""), ""), 5, 2),
	} {
		if got, err := DecodeSynchro(body(bad)); err == nil {
			t.Errorf("%s: %+v", name, got.Move)
		}
	}
}

// Whatever a move says, those who read its row take it: texts are cut on both sides.
func TestLongMove(t *testing.T) {
	long := strings.Repeat("ä", terms.MaxMoveText)
	cut := strings.Repeat("ä", terms.MaxMoveText/2)
	s := Synchro{Move: &terms.Move{Kind: terms.Switchover, To: 2, By: long, Reason: "x" + long, Gap: terms.MaxMicros + 1}}
	want := terms.Move{Kind: terms.Switchover, To: 2, By: cut, Reason: "x" + cut[:len(cut)-2], Gap: terms.MaxMicros}
	body := s.AppendBody(nil)
	if got, err := DecodeSynchro(body); err != nil || *got.Move != want || len(body) > 2*terms.MaxMoveText+64 {
		t.Errorf("written: %d bytes, %+v, %v", len(body), got.Move, err)
	}
	raw := msgp.AppendString(msgp.AppendString([]byte{0x81, byte(KeyMove), 0x94, byte(terms.Switchover), 2}, long), "")
	if got, err := DecodeSynchro(raw); err != nil || got.Move.By != cut {
		t.Errorf("read: %+v, %v", got.Move, err)
	}
	spans := spansOf(1, "")
	spans[0].Began.Reason = long
	got := without(spans)
	if !ReadMoves(AppendMoves(nil, spans, 0), got) || got[0].Began.Reason != cut {
		t.Errorf("kept: %+v", got[0].Began)
	}
}
