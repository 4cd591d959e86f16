package sim

import (
	"maps"
	"slices"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// image is a disk as it was, with what the checkers knew of it.
type image struct {
	disk disk
	rows logState
	void voidLog
}

// imageOf copies the safe part of a disk.
func (w *World) imageOf(n *node) *image {
	d := *n.disk
	d.groups = slices.Clone(d.groups[:d.synced+1-d.first])
	d.checkpoints = slices.Clone(d.checkpoints)
	d.kept, d.lost, d.late = maps.Clone(d.kept), map[*xrow.Group][]xrow.LostRow{}, nil
	d.slow, d.stalled, d.lastEnd = 0, 0, 0
	return &image{disk: d, rows: w.check.rows.safe[n.slot].clone(), void: w.check.void.logs[n.slot].clone()}
}

// strikeGoBack restores a host from an image of itself that is some time old.
// What it had on disk since then is lost, like a disk; but it does not know.
//
// Only its peers can tell it, and their memory is that of their processes. So it
// happens while all of them run and have heard more of it than the image has,
// and nothing else happens until it has noticed.
func strikeGoBack(w *World) {
	n := w.victim()
	if !w.sound() || w.usedUp() || !w.mayLose(n) {
		return
	}
	old, of := w.imageOf(n), n.disk
	w.later(100*time.Millisecond, 5*time.Second, func() {
		if !w.sound() || n.disk != of || w.wentBack() || !w.mayLose(n) || !w.remembers(n, &old.disk.vclock) {
			return
		}
		n.crash(false)
		n.goBack(old)
		n.restartLater(10*time.Millisecond, 2*time.Second)
	})
}

// goBack puts the image in the place of the disk of a process that is down.
func (n *node) goBack(old *image) {
	n.w.tell(n, "its disk goes back from %v to %v", &n.disk.vclock, &old.disk.vclock)
	n.disk = &old.disk
	n.back, n.wiped = true, true
	n.w.check.wentBack(n, old)
}

// sound tells whether all hosts run and have all that they ever had.
func (w *World) sound() bool {
	for _, m := range w.nodes {
		if m.wiped || !m.active() || m.joining != nil || m.disk.failing {
			return false
		}
	}
	return true
}

// wentBack tells whether a host does not know that its disk went back.
func (w *World) wentBack() bool {
	return !w.plan.broken.BackUnnoticed && slices.ContainsFunc(w.nodes, func(n *node) bool { return n.back })
}

// remembers tells whether all others have heard more of a host than a vclock.
func (w *World) remembers(n *node, v *vclock.VClock) bool {
	for _, m := range w.nodes {
		if m == n {
			continue
		}
		if shown := m.core.ShownBy(n.id); v.Covers(&shown.Ack) {
			return false
		}
	}
	return true
}

// noticesLoss: a peer has seen more of this life. It begins a new one.
func (n *node) noticesLoss(err error) {
	n.w.tell(n, "notices that its disk went back: %v", err)
	n.w.count(WentBack)
	n.crash(false)
	n.disk, n.back = newDisk(n.w), false
	n.w.check.wiped(n)
	n.restartLater(10*time.Millisecond, time.Second)
}
