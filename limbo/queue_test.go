package limbo

import (
	"math/rand/v2"
	"testing"
)

// What links find is what going over all entries finds.
func TestQueueLinksAgainstWalking(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var q queue[struct{}]
	var want []Entry[struct{}]
	for seq := range uint64(100_000) {
		switch r := rnd.IntN(20); {
		case len(want) == 0 || r < 10:
			e := Entry[struct{}]{Origin: rnd.Uint32N(4), Seq: seq + 1, Bytes: rnd.IntN(9), Sync: rnd.IntN(3) == 0}
			q.push(e)
			want = append(want, e)
		case r < 15:
			if got := q.popFront(); got != want[0] {
				t.Fatalf("%v is popped, not %v", got, want[0])
			}
			want = want[1:]
		default:
			last := len(want) - 1
			if got := q.popBack(); got != want[last] {
				t.Fatalf("%v is popped, not %v", got, want[last])
			}
			want = want[:last]
		}
		checkLinks(t, &q, want)
	}
}

func checkLinks(t *testing.T, q *queue[struct{}], want []Entry[struct{}]) {
	t.Helper()
	if q.len() != len(want) {
		t.Fatalf("%d entries, want %d", q.len(), len(want))
	}
	var oldest [4]uint64
	size, syncs, sync := 0, 0, -1
	upTo := make([]int, len(want))
	for i, e := range want {
		if oldest[e.Origin] == 0 {
			oldest[e.Origin] = e.Seq
		}
		size += e.Bytes
		if e.Sync {
			sync = i
			syncs++
		}
		upTo[i] = sync
	}
	if q.size != size || q.syncs != syncs {
		t.Fatalf("size %d and %d synchronous, want %d and %d", q.size, q.syncs, size, syncs)
	}
	for origin, seq := range oldest {
		got := uint64(0)
		if e := q.oldestOf(uint32(origin)); e != nil {
			got = e.Seq
		}
		if got != seq {
			t.Fatalf("oldest of %d is %d, want %d", origin, got, seq)
		}
	}
	for i, want := range upTo {
		if got := q.syncUpTo(i); max(got, -1) != want {
			t.Fatalf("synchronous up to %d: %d, want %d", i, got, want)
		}
	}
	if got := q.lastSync(); max(got, -1) != sync {
		t.Fatalf("last synchronous: %d, want %d", got, sync)
	}
}
