package xrow

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"tarragon.dev/tarragon/terms"
)

func spansOf(n int, text string) (spans []terms.Span) {
	for i := range uint64(n) {
		spans = append(spans, terms.Span{Term: 2 + i, Owner: uint32(1 + i%3), First: 1 + 10*i, Last: 10 + 10*i, Writer: uint32(1 + i%3), Rules: terms.Strong,
			Began: terms.Began{Kind: terms.Election, Reason: text, At: 1_700_000_000_000_000 + i, Gap: 400_000, Took: 3000}})
	}
	return spans
}

func without(spans []terms.Span) []terms.Span {
	out := make([]terms.Span, len(spans))
	for i, s := range spans {
		s.Began = terms.Began{}
		out[i] = s
	}
	return out
}

// A state tells how all its terms began; where that would be too much the oldest go without.
func TestMovesAreBounded(t *testing.T) {
	all := spansOf(10_000, "silence")
	raw := AppendMoves(nil, all, 0)
	t.Logf("10000 terms: %d bytes, with texts of %d bytes %d", len(raw), terms.MaxMoveText, len(AppendMoves(nil, spansOf(10_000, strings.Repeat("x", terms.MaxMoveText)), 0)))
	got := without(all)
	if !ReadMoves(raw, got) || !reflect.DeepEqual(got, all) {
		t.Error("they do not come back")
	}
	raw = AppendMoves(nil, all, 71*100)
	if len(raw) > 71*100 {
		t.Errorf("%d bytes", len(raw))
	}
	if got = without(all); !ReadMoves(raw, got) || !reflect.DeepEqual(got[9900:], all[9900:]) || !reflect.DeepEqual(got[:9900], without(all)[:9900]) {
		t.Error("not the newest hundred")
	}
}

// Tokens of agents come back, the greatest too; terms without one take no byte for it.
func TestMovesWithTokens(t *testing.T) {
	all := spansOf(3, "")
	plain := len(AppendMoves(nil, all, 0))
	all[1].Began.Token, all[2].Began.Token = 7, math.MaxUint64
	raw, got := AppendMoves(nil, all, 0), without(all)
	if !ReadMoves(raw, got) || !reflect.DeepEqual(got, all) || len(raw) != plain+1+9 {
		t.Errorf("%d bytes, %d without: %+v", len(raw), plain, got)
	}
}

// What is told of a term is taken for the term of that number by that writer, and no other.
func TestMovesOfOthers(t *testing.T) {
	all := spansOf(3, "")
	raw := AppendMoves(nil, all, 0)
	other := without(all[:2])
	other[1].Writer, other[1].Owner = 9, 9
	want := append([]terms.Span{all[0]}, other[1])
	if !ReadMoves(raw, other) || !reflect.DeepEqual(other, want) {
		t.Errorf("%+v", other)
	}
	if !ReadMoves(raw, nil) {
		t.Error("of no terms")
	}
}

func TestBadMoves(t *testing.T) {
	for name, h := range map[string]string{
		"no array":           "01",
		"a number":           "91 01",
		"too few":            "91 98 02 01 02 01 00 00 00 a0",
		"cut":                "91 99 02 01 02 01 00 00 00 a0",
		"more than promised": "dd ffffffff",
		"a wide kind":        "91 99 02 01 cc80 01 00 00 00 a0 a0",
		"no such instance":   "91 99 02 20 02 01 00 00 00 a0 a0",
		"a long time":        "91 99 02 01 02 cfffffffffffffffff 00 00 00 a0 a0",
		"a text for a token": "91 9a 02 01 02 01 00 00 00 a0 a0 a0",
		"no flag":            "91 99 02 01 02 01 00 02 00 a0 a0",
	} {
		if ReadMoves(unhex(t, h), spansOf(1, "")) {
			t.Errorf("%s is taken", name)
		}
	}
	if !ReadMoves(unhex(t, "91 9b 02 01 07 01 00 00 00 a0 a0 05 80"), spansOf(1, "")) {
		t.Error("of a later version: refused")
	}
}
