package replication

import (
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

// servesAll refuses who asks a filtered replica for what a member has.
func (h *Hub) servesAll() *xrow.Error {
	if h.cfg.Filter == "" {
		return nil
	}
	return xrow.Errorf(xrow.ErrUnsupported, fmt.Sprintf("A replica with a filter ('%s')", h.cfg.Filter), "replicas of its own: it does not have all")
}

// checkShare refuses a stream that the filter of that name does not give.
func (h *Hub) checkShare(req *xrow.SubscribeRequest) *xrow.Error {
	if err := h.servesAll(); err != nil {
		return err
	}
	if req.Share == nil {
		return nil
	}
	if !req.Anon {
		return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", "members with a filter: a replica with a filter is anonymous")
	}
	name := req.Share.Filter
	f := h.node.Filter(name)
	if f == nil {
		return &xrow.Error{Code: xrow.ErrLoading, Message: fmt.Sprintf("Filter '%s' does not exist here", name)}
	}
	switch gives, behind := f.Gives(req.Share); {
	case behind:
		return &xrow.Error{Code: xrow.ErrLoading, Message: fmt.Sprintf("Version %d of filter '%s' is not known here yet, the newest is %d", req.Share.Version, name, f.Version)}
	case !gives: // what was cut by it nobody can tell any more: as with a log that is gone
		return gapError(fmt.Errorf("%w: filter '%s' has version %d, and what it gave by version %d is not known any more", ErrGap, name, f.Version, req.Share.Version))
	}
	return nil
}
