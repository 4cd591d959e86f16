package instance

import (
	"slices"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/vclock"
)

// A CONFIRM goes with whatever gathers, or by itself after a while, which is longer
// where groups follow each other, and never for a leadership that has ended.
func TestConfirmDue(t *testing.T) {
	var l leadership
	for _, gap := range []struct{ is, delay time.Duration }{{confirmDelayBusy + 1, confirmDelay}, {confirmDelayBusy, confirmDelayBusy}} {
		l = leadership{}
		for _, step := range []struct {
			now     time.Duration
			gathers bool
			due     bool
		}{
			{1, false, false},
			{1 + gap.delay - 1, false, false}, // the first one counts
			{1 + gap.delay - 1, true, true},
			{1 + gap.delay, false, true},
		} {
			if due := l.confirmDue(step.now, step.gathers, gap.is); due != step.due {
				t.Errorf("at %v, gathering %t, with groups %v apart: due %t", step.now, step.gathers, gap.is, due)
			}
		}
	}
	l.leading = true
	if l.end(); l.leading || l.confirmAt != 0 {
		t.Errorf("left behind: %+v", l)
	}
}

// The adapters learn all void PROMOTEs whenever there is a new one.
func TestTellVoid(t *testing.T) {
	var l leadership
	if l.restore(nil); l.tellVoid() != nil {
		t.Error("told of none")
	}
	l.restore([]uint64{3})
	first := l.tellVoid()
	l.void(5)
	if again := l.tellVoid(); !slices.Equal(first, []uint64{3}) || !slices.Equal(again, []uint64{3, 5}) || l.tellVoid() != nil {
		t.Errorf("told %v, then %v", first, again)
	}
}

// Who has synced what is what they acked, and a new life has acked nothing.
func TestPeersForget(t *testing.T) {
	var p peers
	p.acked[2], p.acked[3], p.acked[4] = vclock.VClock{1: 5}, vclock.VClock{1: 7, 2: 1}, vclock.VClock{1: 7}
	if who := p.synced(1, 6); who != 1<<3|1<<4 {
		t.Errorf("%b have synced 1:6", who)
	}
	if who := p.covering(&vclock.VClock{1: 5, 2: 1}); who != 1<<3 {
		t.Errorf("%b have synced all", who)
	}
	p.shown[3], p.back = Shown{Term: 9}, 1<<3
	p.claims.claim(3, &vclock.VClock{}, 0)
	p.forget(3)
	if p.synced(1, 6) != 1<<4 || p.shown[3] != (Shown{}) || p.back != 0 || p.claims.open() != 0 {
		t.Errorf("a former life is known: %+v", p)
	}
}

// Learners are those of the committed rows, each with what was known of this life.
func TestLearnersFollowRows(t *testing.T) {
	m := members{ids: []box.Member{{ID: 1, UUID: "a"}, {ID: 2, UUID: "b", Learner: true}, {ID: 3, UUID: "c", Learner: true}}}
	m.noteLearners(time.Second)
	view := new(box.View)
	m.learner(2).view, m.learner(3).due = view, true
	m.ids = []box.Member{{ID: 2, UUID: "b", Learner: true}, {ID: 3, UUID: "d", Learner: true}, {ID: vclock.Max, UUID: "e", Learner: true}}
	m.noteLearners(2 * time.Second)
	if len(m.learners) != 2 || m.learner(2).view != view || m.learner(2).heard != time.Second || m.learner(3).due || m.learner(3).heard != 2*time.Second {
		t.Errorf("learners %+v", m.learners)
	}
	m.viewClosed(view, 3*time.Second)
	if l := m.learner(2); l.view != nil || l.heard != 3*time.Second {
		t.Errorf("after the transfer %+v", l)
	}
	if !m.joinsAsLearner(&JoinRequest{UUID: "d"}) || m.joinsAsLearner(&JoinRequest{UUID: "c"}) {
		t.Error("a learner is told by another uuid")
	}
}

// No change takes the row of the instance that makes it.
func TestRefuseOwnExpulsion(t *testing.T) {
	m := members{self: 2, all: 1<<1 | 1<<2}
	for _, c := range []struct {
		left []box.Member
		ok   bool
	}{
		{[]box.Member{{ID: 2}}, true},
		{[]box.Member{{ID: 1}}, false},
	} {
		if err := m.refuseOwnExpulsion(c.left); (err == nil) != c.ok {
			t.Errorf("%v left: %v", c.left, err)
		}
	}
	if m.all = 1 << 1; m.refuseOwnExpulsion(nil) != nil { // the first row of all is on its way
		t.Error("an instance without a row is kept from going")
	}
}
