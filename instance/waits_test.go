package instance

import (
	"slices"
	"testing"
	"time"

	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/xrow"
)

// Each one that waits is answered once: by its outcome, or at its deadline.
func TestSweep(t *testing.T) {
	var w waits
	var eff Effects
	for i := range uint64(4) {
		w.promotes = append(w.promotes, promoteWaiter{client{1, i + 1, time.Duration(i+1) * time.Second}, i})
	}
	judge := func(p *promoteWaiter, late bool) outcome {
		switch {
		case p.term == 2:
			return succeeds(noValues)
		case late:
			return fails(outcomeUnknown())
		}
		return outcome{}
	}
	w.promotes = sweep(w.promotes, time.Second, &eff, judge)
	w.promotes = sweep(w.promotes, time.Second, &eff, judge)
	var told []uint64
	for _, r := range eff.Replies {
		told = append(told, r.Sync)
		if (r.Err == nil) != (r.Sync == 3) {
			t.Errorf("#%d is told %v", r.Sync, r.Err)
		}
	}
	if !slices.Equal(told, []uint64{1, 3}) || len(w.promotes) != 2 || w.promotes[0].sync != 2 || w.promotes[1].sync != 4 {
		t.Errorf("told %v, left %v", told, w.promotes)
	}
}

// The deadline is the earliest of all, whatever they wait for.
func TestDeadlineOfWaits(t *testing.T) {
	var q limbo.Limbo[payload]
	var eff Effects
	at := func(s int) client { return client{1, 1, time.Duration(s) * time.Second} }
	var w waits
	if d := w.deadline(&q); d != 0 {
		t.Errorf("nobody waits, and the deadline is %v", d)
	}
	queue := func(seq uint64, s int) {
		q.Push(entry{Origin: 1, LSN: seq, Seq: seq, Group: 9, P: payload{waiting: true, until: at(s).until}})
		w.clients++
	}
	for _, step := range []struct {
		add  func()
		want int
	}{
		{func() { w.promotes = append(w.promotes, promoteWaiter{at(20), 1}) }, 20},
		{func() { w.tellings = append(w.tellings, telling{client: at(19)}, telling{client: at(22)}) }, 19},
		{func() { w.linear = append(w.linear, linearRead{client: at(21)}, linearRead{client: at(18)}) }, 18},
		{func() { w.addFate(&fate{client: at(17), saw: 1}, &eff) }, 17},
		{func() { w.demotion = &demotion{client: at(16)} }, 16},
		{func() { queue(1, 15); queue(2, 14) }, 15}, // the oldest one stands for all
		{func() { w.answer(&eff, &q.At(0).P, nil) }, 14},
		{func() { w.answer(&eff, &q.At(1).P, nil) }, 16},
		{func() { w.demotion.group = 1 }, 17}, // it is written: nothing but the disk ends it
	} {
		step.add()
		if d := w.deadline(&q); d != time.Duration(step.want)*time.Second {
			t.Errorf("the deadline is %v, wanted %d s", d, step.want)
		}
	}
	if w.clients != 0 {
		t.Errorf("%d clients wait", w.clients)
	}
}

// What answers take is counted, and given back with each of them.
func TestFateSize(t *testing.T) {
	var w waits
	var eff Effects
	for saw := uint64(1); saw <= 3; saw++ {
		w.addFate(&fate{client: client{1, saw, time.Second}, saw: saw, data: make([]byte, 100), err: xrow.Errorf(xrow.ErrTimeout)}, &eff)
	}
	w.addFate(&fate{client: client{1, 4, time.Second}}, &eff) // stands on nothing
	all := w.fateSize
	w.voidFates(3, &eff)
	if w.fateSize != all/3*2 || all < 300 {
		t.Errorf("%d bytes of %d are left", w.fateSize, all)
	}
	if w.failFates(outcomeUnknown(), &eff); w.fateSize != 0 || len(eff.Replies) != 4 {
		t.Errorf("%d bytes are left, %d answers were given", w.fateSize, len(eff.Replies))
	}
}
