package instance

import (
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// A base copy that fails again and again pauses longer each time, a minute at most, and says
// why; one for which nobody has room waits no longer than before. One that came, or another
// share, begins with short pauses again.
func TestCopyPausesGrow(t *testing.T) {
	r := copyingOrders(t)
	fail := func(why string, busy bool) time.Duration {
		t.Helper()
		order := len(r.orders)
		r.step(CopyEnds{Order: uint64(order), Err: xrow.Errorf(xrow.ErrSystem, why), Busy: busy})
		c := r.core.Info(r.now.Mono).Share.Copy
		if c == nil || c.Stage != CopyPauses || c.Why != why {
			t.Fatalf("%+v", c)
		}
		r.now.Mono += c.Next - 1
		if r.step(); len(r.orders) != order {
			t.Fatal("ordered too early")
		}
		r.now.Mono++
		if r.step(); len(r.orders) != order+1 {
			t.Fatalf("not ordered after %v", c.Next)
		}
		return c.Next
	}
	for i, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		if got := fail("out of memory", false); got != time.Duration(want)*time.Second {
			t.Errorf("try %d: %v, not %d s", i+1, got, want)
		}
	}
	if got := fail("no place", true); got != copyPause {
		t.Errorf("busy: %v", got)
	}
	if c := r.core.Info(r.now.Mono).Share.Copy; c.Failed != 8 || c.Why != "no place" || c.Stage != CopyAsks {
		t.Errorf("%+v", c)
	}
	r.take(r.gen+1, r.filterRow(1), confirmRow)
	r.take(r.gen+2, r.filterRow(2), confirmRow)
	if c := r.core.Info(r.now.Mono).Share.Copy; c == nil || c.Failed != 0 || c.Why != "" {
		t.Errorf("another share: %+v", c)
	}
}

// What is told of a base copy is where it comes from, how far it is and how fast.
func TestCopyShown(t *testing.T) {
	r := ofPeople(t)
	if c := r.core.Info(r.now.Mono).Share.Copy; c != nil {
		t.Fatalf("nothing is lacking: %+v", c)
	}
	r.take(r.gen, r.filterRow(2), confirmRow)
	show := func(want CopyInfo) {
		t.Helper()
		if c := r.core.Info(r.now.Mono).Share.Copy; c == nil || *c != want {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	show(CopyInfo{Stage: CopyAsks})
	r.now.Mono += time.Second
	source := CopySource{From: "i2"}
	ahead := r.core.Decided()
	ahead[2] += 2
	r.step(CopyBegins{Order: 1, VClock: ahead, Tuples: 4, Source: source})
	show(CopyInfo{Stage: CopyBehind, Source: source, Total: 4, For: time.Second})
	r.take(r.gen+1, replaceRow(sharePeople, key(1)), confirmRow)
	r.step(CopyRows{Order: 1, Space: shareOrders, Tuples: [][]byte{key(1), key(2)}})
	r.now.Mono += time.Second / 2
	show(CopyInfo{Stage: CopyComes, Source: source, Percent: 50, Rows: 2, Total: 4, Rate: 4, For: 3 * time.Second / 2})
	r.take(r.gen+1, r.filterRow(2)) // undecided: nothing opens before
	r.step(CopyEnds{Order: 1})
	if c := r.core.Info(r.now.Mono).Share.Copy; c == nil || c.Stage != CopyOpens {
		t.Errorf("%+v", c)
	}
	r.take(r.gen+1, confirmRow)
	if c := r.core.Info(r.now.Mono).Share.Copy; c != nil || r.len(shareOrders) != 2 {
		t.Errorf("%+v", c)
	}
}
