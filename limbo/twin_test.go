package limbo

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
)

// slowQuorumLSN counts, for every LSN that anybody has, who has it.
func slowQuorumLSN(acks []uint64, members uint32, quorum int) (best uint64) {
	if quorum < 1 {
		return 0
	}
	for _, lsn := range acks {
		have := 0
		for id, other := range acks {
			if members&(1<<id) != 0 && other >= lsn {
				have++
			}
		}
		if have >= quorum {
			best = max(best, lsn)
		}
	}
	return best
}

func TestQuorumLSNAgainstCounting(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		var l Limbo[struct{}]
		for id := range l.acks {
			l.acks[id] = rnd.Uint64N(6)
		}
		members, quorum := rnd.Uint32()&rnd.Uint32(), rnd.IntN(vclock.Max)
		if rnd.IntN(2) == 0 {
			members, quorum = 1<<(1+rnd.IntN(7))-1, rnd.IntN(5)
		}
		if got, want := l.quorumLSN(Quorum{members, quorum}), slowQuorumLSN(l.acks[:], members, quorum); got != want {
			t.Fatalf("quorum %d of %b: got %d, want %d; acks %v", quorum, members, got, want, l.acks)
		}
	}
}

// Wrong use of ours panics: what is queued would not be decided any more.
func TestPushPanics(t *testing.T) {
	tests := []struct {
		name  string
		entry Entry[struct{}]
		want  string
	}{
		{"order", Entry[struct{}]{Seq: 5, Term: 2}, "transaction 5 after 5"},
		{"term", Entry[struct{}]{Seq: 6, Term: 3}, "entry of term 3 while 2 is in effect"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var l Limbo[struct{}]
			l.Restore([]terms.Span{{Term: 2, Owner: 1, First: 3, Last: 3, Rules: terms.Strong}}, 3, vclock.VClock{})
			l.Push(Entry[struct{}]{Seq: 5, Term: 2})
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, test.want) {
					t.Errorf("panic %q, want %q", got, test.want)
				}
			}()
			l.Push(test.entry)
		})
	}
}

// chained is a PROMOTE as a story tells it: what it follows, and how much.
type chained struct {
	term, prev, prevLSN uint64
	tarantool           bool
}

// contradicted walks back from the term in effect to the one that followed a
// term or left it out, and tells whether it left an LSN out.
func contradicted(story map[uint64]chained, cur, term, lsn uint64) bool {
	if story[term].tarantool {
		return false
	}
	for p := story[cur]; ; p = story[p.prev] {
		switch {
		case p.tarantool && p.prev <= term:
			return false
		case p.prev == term:
			return lsn > p.prevLSN
		case p.prev < term:
			return true
		}
	}
}

// TestConfirmOfOldTermAgainstTwin makes random chains of PROMOTEs, some under
// Tarantool's rules, and asks for CONFIRMs of every older term: the limbo
// refuses those that the walk over the whole story refuses, and no others.
func TestConfirmOfOldTermAgainstTwin(t *testing.T) {
	met := map[bool]int{}
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		var l Limbo[struct{}]
		story := map[uint64]chained{}
		lsns := [4]uint64{}
		for term := uint64(2); term < 12; term++ {
			owner := uint32(1 + rnd.IntN(3))
			lsns[owner]++
			if rnd.IntN(6) == 0 && l.Current().Term != 0 {
				cur := l.Current()
				story[term] = chained{term: term, prev: cur.Term, tarantool: true}
				if err := l.Take(terms.Tarantool, Row{Kind: Promotion, Origin: owner, LSN: lsns[owner], Owner: cur.Owner, UpTo: l.Confirmed(), Begins: term,
					PrevTerm: cur.Term}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			prev := Promote{Term: l.Current().Term, Owner: l.Current().Owner, Last: l.Current().Last}
			if n := len(l.Pending()); n > 0 && rnd.IntN(2) == 0 {
				prev = l.Pending()[rnd.IntN(n)]
			}
			low := prev.LSN
			if prev.LSN == 0 {
				low = min(max(l.Confirmed(), l.Current().First), prev.Last)
			}
			p := Promote{Term: term, Owner: owner, LSN: lsns[owner], PrevTerm: prev.Term, PrevOwner: prev.Owner, PrevLSN: low + rnd.Uint64N(prev.Last-low+1), Rules: terms.Strong}
			story[term] = chained{term: term, prev: p.PrevTerm, prevLSN: p.PrevLSN}
			if _, err := l.AddPromote(p); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for range rnd.IntN(4) {
				lsns[owner]++
				l.Held(owner, term, lsns[owner])
			}
			if rnd.IntN(2) == 0 {
				if err := l.Confirm(term, p.LSN); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			for old := uint64(1); old < l.Current().Term; old++ {
				lsn := 1 + rnd.Uint64N(slices.Max(lsns[:])+1)
				want := contradicted(story, l.Current().Term, old, lsn)
				met[want]++
				if err := l.Confirm(old, lsn); (err != nil) != want {
					t.Fatalf("seed %d, %v: CONFIRM of LSN %d in term %d under %d: %v, but the story contradicts it: %t",
						seed, story, lsn, old, l.Current().Term, err, want)
				}
			}
		}
	}
	if met[true] < 1000 || met[false] < 1000 {
		t.Errorf("contradicted or not: %v", met)
	}
}
