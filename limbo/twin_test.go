package limbo

import (
	"math/rand/v2"
	"strings"
	"testing"

	"tarragon/vclock"
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
		if got, want := l.quorumLSN(members, quorum), slowQuorumLSN(l.acks[:], members, quorum); got != want {
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
			l.Restore([]Span{{Term: 2, Owner: 1, First: 3, Last: 3}}, 3, vclock.VClock{})
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
