package instance

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/terms"
)

// leadership is what this instance has as leader, and what it leaves behind. Who
// waits for it to begin or to end is in waits.
//
// Invariant: leading only while the election machine says that we lead in its
// term, and a CONFIRM is due or a HANDOVER written only then. voidPromotes ascend, and only grow.
type leadership struct {
	leading      bool          // our PROMOTE of the raft term is in the log
	confirmAt    time.Duration // an idle leader writes CONFIRM then; 0: nothing to tell
	voidPromotes []uint64      // LSNs of PROMOTEs of ours that took effect nowhere
	newVoid      bool          // the adapters do not know them all yet

	unfit string // why we may not lead, as peers were told last

	move   *handover   // that we were asked for; nil: none is on its way
	handed bool        // our HANDOVER of the term is in the log, or its word is said: nothing of ours comes behind it
	word   *terms.Move // what we say so by, under Tarantool's rules; nil: a row
	heir   terms.Move  // of the newest HANDOVER that came from another leader, of term heirOf
	heirOf uint64
	heirAt time.Duration // when it came
	calm   calm

	promotedBy string // who asked last for our promotion
	promotedIn uint64 // the term that it began
	realigned  uint64 // term that we began for other rules
	mandate    mandate
}

// end: we lead no more.
func (l *leadership) end() { l.leading, l.handed, l.word, l.confirmAt = false, false, nil, 0 }

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
