package server

import (
	"context"
	"errors"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// An instance whose disk has lost what others have seen of it, or may have, is in
// doubt: its core takes nothing in, votes for nobody and acks nothing, but reads go
// on, and peers get the rows that it has. It joins anew as soon as there is a member
// that can give it a whole state, and not before: if all members were in doubt at
// once, each would wait for the others with its data put away. While there is none
// an operator may end the doubt: tarragon.accept_loss.

// errAccepted ends a run in doubt: an operator says that the disk is to be believed.
var errAccepted = errors.New("what this disk may have lost is accepted")

// errNoGiver ends a run that has left its data for a state that nobody gives.
var errNoGiver = errors.New("no member can give a state any more: going on with the old one")

const (
	// giverPatience is how long an instance that has left its data looks for a
	// member that takes it.
	giverPatience = 10 * time.Second
	// giverPause is between two looks at the peers' ballots.
	giverPause = 200 * time.Millisecond
)

// fatal answers a proof that this disk has lost something, or that this version is
// too old for its replica set: then the process ends.
func (n *node) fatal(err error) {
	if errors.Is(err, instance.ErrFeature) {
		n.broken(err)
		return
	}
	n.troubles.set(areaGuarantee, "in doubt", err)
	n.log.Error().Err(err).Msg("this disk has lost what others have seen of it, or may have: the instance takes no part, and joins anew as soon as a leader can give it the state; " +
		"if no member can, and you know better, tarragon accept-loss makes it go on with what it has")
	select {
	case n.lost <- err:
	default: // it looks already
	}
}

// leaveWhenLost ends the run once this instance is in doubt and there is a member that
// can give it a state.
func (n *node) leaveWhenLost(ctx context.Context) {
	var cause error
	select {
	case <-ctx.Done():
		return
	case cause = <-n.lost:
	}
	boot := n.newBoot()
	boot.Set = n.heldSet()
	for !boot.HasGiver(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(giverPause):
		}
	}
	n.broken(&rejoin{cause: cause, newLife: true})
}

// acceptLoss is tarragon.accept_loss; answer is called before the run ends for it.
func (n *node) acceptLoss(answer func()) error {
	var failed error
	n.engine.Load().loop.Read(func(c *instance.Core) { failed = c.Info(0).Failed })
	if !errors.Is(failed, instance.ErrLostData) {
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: "this instance is in no doubt about its disk"}
	}
	answer()
	n.broken(errAccepted)
	return nil
}
