package replication

import (
	"cmp"
	"errors"
	"fmt"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// errShare is why streams end when this replica is to have other spaces: they begin anew.
var errShare = errors.New("replication: the filter gives other spaces")

// errCutsNothing is the cause where a peer is of a kind that knows no filters.
var errCutsNothing = errors.New("replication: this peer cuts nothing")

// cutsNothing refuses a peer that would send all to a filtered replica.
func cutsNothing(filter string) *xrow.Error {
	return &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf("Tarantool does not support filters: a replica with a filter ('%s') takes nothing from it, for it would be sent all spaces", filter), Err: errCutsNothing}
}

// reshare ends all streams, which were asked for with a share that does not hold any more;
// one that is asked for just now ends itself. The lock is held.
func (h *Hub) reshare(now *instance.ShareState) {
	h.shareGen = now.Gen
	for _, a := range h.appliers {
		if a.drop != nil {
			a.drop(errShare)
		}
		signal(a.kick)
	}
}

// What a filtered replica does not do, and who does.
const (
	sendsNothing = "send states, base copies or rows to others"
	registersNot = "register members"
	askMember    = "it does not have all; ask a member, as replication.peers name them"
)

// servesAll refuses who asks a filtered replica for what a member does; nil: we are none.
func (h *Hub) servesAll(does string) *xrow.Error {
	if h.cfg.Filter == "" {
		return nil
	}
	return instance.FilteredReplica(cmp.Or(h.cfg.Name, h.cfg.UUID), h.cfg.Filter, does, askMember)
}

// checkStream refuses a stream that is not the replica's: that its filter does not give,
// or that is not what is registered for it.
func (h *Hub) checkStream(req *xrow.SubscribeRequest) *xrow.Error {
	if req.Anon {
		if err := h.refuseRegistered(req); err != nil {
			return err
		}
	}
	switch {
	case req.Share == nil:
		return nil
	case !req.Anon:
		return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", "members with a filter: a replica with a filter is anonymous")
	case req.Kind != xrow.Tarragon || req.Feature == 0:
		return instance.FilteredTarantool(req.InstanceUUID)
	}
	return h.checkShare(req.Share)
}

// refuseRegistered refuses an anonymous replica that asks for something else than it is
// registered with; nil: it is not registered, or as it asks.
func (h *Hub) refuseRegistered(req *xrow.SubscribeRequest) *xrow.Error {
	known := h.node.Filter(filterOf(req.Share)) != nil // not under the lock, which the loop takes
	h.mu.Lock()
	defer h.mu.Unlock()
	if !known {
		if err := instance.FindReplica(h.replicas, req.InstanceUUID).RefuseUnknown(filterOf(req.Share)); err != nil {
			return err
		}
	}
	return h.refuseReplica(&subscriber{uuid: req.InstanceUUID, kind: req.Kind, share: req.Share})
}

// checkShare refuses what the filter of that name does not give.
func (h *Hub) checkShare(share *xrow.Share) *xrow.Error {
	name := share.Filter
	f := h.node.Filter(name)
	if f == nil {
		return &xrow.Error{Code: xrow.ErrLoading, Message: fmt.Sprintf("Filter '%s' does not exist here", name)}
	}
	switch gives, behind := f.Gives(share); {
	case behind:
		return &xrow.Error{Code: xrow.ErrLoading, Message: fmt.Sprintf("Version %d of filter '%s' is not known here yet, the newest is %d", share.Version, name, f.Version)}
	case !gives: // what was cut by it nobody can tell any more: as with a log that is gone
		return gapError(fmt.Errorf("%w: filter '%s' has version %d, and what it gave by version %d is not known any more", ErrGap, name, f.Version, share.Version))
	}
	return nil
}
