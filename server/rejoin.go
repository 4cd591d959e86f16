package server

import (
	"errors"

	"tarragon.dev/tarragon/instance"
)

// rejoin ends a run: the instance must take the state from a peer anew. What must
// not be forgotten over that is in the old slot, see [instance.State.Rejoin].
type rejoin struct {
	cause     error
	newLife   bool           // data was lost: a new incarnation, so a new replica ID
	former    bool           // the old slot is of a former life, and of no use any more
	self      uint32         // else: our replica ID,
	shown     instance.Shown // what the run that ended told others,
	inEffect  uint64         // and what it knew to be committed: which peers need not be asked
	confirmed uint64
	set       string // whose data we hold: we join no other; empty: any
}

func (r *rejoin) Error() string { return "this instance has to join anew: " + r.cause.Error() }
func (r *rejoin) Unwrap() error { return r.cause }

// errJoined ends the run that filled a fresh slot.
var errJoined = errors.New("the new state is complete")

// joinAnew is called when no peer has the log that we need.
func (n *node) joinAnew(cause error) { n.broken(&rejoin{cause: cause}) }

// noteSet takes down, before a run that has to join anew is over, whose data it has.
func (n *node) noteSet(end error) {
	if again := new(rejoin); errors.As(end, &again) && again.set == "" {
		again.set = n.heldSet()
	}
}

// noteShown takes down what a run that is over has told others. Nothing changes
// it any more: replication has ended, and so has the core.
func (n *node) noteShown(end error) {
	again := new(rejoin)
	e, hub := n.engine.Load(), n.hub.Load()
	if !errors.As(end, &again) || e == nil || hub == nil {
		return
	}
	again.shown = hub.Shown()
	i := e.core.Info(0)
	again.self, again.inEffect, again.confirmed = i.ID, i.QueueTerm, i.Confirmed
}
