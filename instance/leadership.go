package instance

import (
	"slices"
	"time"
)

// leadership is what this instance has as leader, and what it leaves behind. Who
// waits for it to begin or to end is in waits.
//
// Invariant: leading only while the election machine says that we lead in its
// term, and a CONFIRM is due only then. voidPromotes ascend, and only grow.
type leadership struct {
	leading      bool          // our PROMOTE of the raft term is in the log
	confirmAt    time.Duration // an idle leader writes CONFIRM then; 0: nothing to tell
	voidPromotes []uint64      // LSNs of PROMOTEs of ours that took effect nowhere
	newVoid      bool          // the adapters do not know them all yet
}

// end: we lead no more.
func (l *leadership) end() { l.leading, l.confirmAt = false, 0 }

// void takes down that a PROMOTE of ours took effect nowhere.
func (l *leadership) void(lsn uint64) { l.voidPromotes, l.newVoid = append(l.voidPromotes, lsn), true }

// restore takes them over from a checkpoint.
func (l *leadership) restore(void []uint64) {
	l.voidPromotes, l.newVoid = slices.Clone(void), len(void) > 0
}

// tellVoid gives all of them if there are new ones, or nil.
func (l *leadership) tellVoid() []uint64 {
	if !l.newVoid {
		return nil
	}
	l.newVoid = false
	return slices.Clone(l.voidPromotes)
}
