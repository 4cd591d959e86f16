package server

import (
	"errors"

	"tarragon.dev/tarragon/instance"
)

// rejoin ends a run: the instance must take the state from a peer anew. What must
// not be forgotten over that is in the old store, see [instance.State.Rejoin].
type rejoin struct {
	cause     error
	newLife   bool           // data was lost: a new incarnation, so a new replica ID
	former    bool           // the old store is of a former life, and of no use any more
	self      uint32         // else: our replica ID,
	shown     instance.Shown // what the run that ended told others,
	inEffect  uint64         // and what it knew to be committed: which peers need not be asked
	confirmed uint64
	set       string // whose store we hold: we join no other; empty: any
}

func (r *rejoin) Error() string { return "this instance has to join anew: " + r.cause.Error() }
func (r *rejoin) Unwrap() error { return r.cause }

// errJoined ends the run that filled the new store.
var errJoined = errors.New("the new store is complete")

// joinAnew is called when no peer has the log that we need.
func (n *node) joinAnew(cause error) { n.broken(&rejoin{cause: cause}) }

// noteShown takes down what a run that is over has told others. Nothing changes
// it any more: replication has ended, and so has the core.
func (r *rejoin) noteShown(n *node) {
	e, hub := n.engine.Load(), n.hub.Load()
	if e == nil || hub == nil {
		return
	}
	r.shown = hub.Shown()
	i := e.core.Info(0)
	r.self, r.inEffect, r.confirmed = i.ID, i.QueueTerm, i.Confirmed
}
