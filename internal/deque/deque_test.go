package deque

import (
	"math/rand/v2"
	"testing"
)

// A deque against a slice, over lengths around the ends of blocks.
func TestAgainstSlice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var d Deque[int]
	var want []int
	for next := range 200_000 {
		grow := next/3000%2 == 0 // to some blocks, and back to nothing
		switch r := rnd.IntN(10); {
		case len(want) == 0 || grow && r < 7 || !grow && r < 3:
			d.Push(next)
			want = append(want, next)
		case r%2 == 0:
			if got := d.PopFront(); got != want[0] {
				t.Fatalf("front %d, want %d", got, want[0])
			}
			want = want[1:]
		default:
			last := len(want) - 1
			if got := d.PopBack(); got != want[last] {
				t.Fatalf("back %d, want %d", got, want[last])
			}
			want = want[:last]
		}
		if d.Len() != len(want) {
			t.Fatalf("%d elements, want %d", d.Len(), len(want))
		}
		if len(want) > 0 {
			if i := rnd.IntN(len(want)); *d.At(i) != want[i] {
				t.Fatalf("element %d is %d, want %d", i, *d.At(i), want[i])
			}
		}
	}
}

// What was popped is not kept from the collector, and an empty queue keeps no
// more than a block or two.
func TestForgets(t *testing.T) {
	var d Deque[*int]
	for range 5 * blockLen {
		d.Push(new(int))
	}
	for i := 0; d.Len() > 0; i++ {
		if i%2 == 0 {
			d.PopFront()
		} else {
			d.PopBack()
		}
	}
	blocks := append(d.blocks, d.spare)
	if len(blocks) > 2 {
		t.Errorf("%d blocks are kept", len(blocks))
	}
	for _, block := range blocks {
		for i, p := range block {
			if p != nil {
				t.Fatalf("element %d is kept", i)
			}
		}
	}
}

// A queue that is filled and emptied again and again allocates nothing.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	var d Deque[int]
	if n := testing.AllocsPerRun(100, func() {
		for i := range 3 * blockLen / 2 {
			d.Push(i)
			if i%2 == 0 {
				d.PopFront()
			}
		}
		for d.Len() > 0 {
			d.PopFront()
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNoSuchElement(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	new(Deque[int]).At(0)
}
