package replication

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// noteReplicas takes down which replicas are registered by now, and ends the streams and base copies
// of those that were dropped, or have another filter. The lock is held.
func (h *Hub) noteReplicas(now []instance.Replica) {
	h.replicas = now
	for _, r := range h.relays {
		if err := h.refuseReplica(&r.subscriber); err != nil && r.end == nil {
			r.end = err
			r.wakeUp()
		}
	}
	for _, g := range h.giving.open {
		if err := h.refuseCopy(&g.to); err != nil && g.ctx.Err() == nil {
			g.end(err)
		}
	}
}

// refuseCopy refuses a replica that is not registered with the filter that it asks with. The
// lock is held.
func (h *Hub) refuseCopy(to *replica) *xrow.Error {
	r := instance.FindReplica(h.replicas, to.uuid)
	if r == nil {
		return &xrow.Error{Code: xrow.ErrLoading, Message: fmt.Sprintf("Replica %s is not registered: it gets a base copy once its stream has brought that about", to.uuid)}
	}
	return r.Refuse(to.filter, xrow.Tarragon)
}

// refuseReplica refuses an anonymous replica that asks for something else than it is
// registered with; nil: it is not registered, or as it asks. The lock is held.
func (h *Hub) refuseReplica(s *subscriber) *xrow.Error {
	if s.peer != 0 {
		return nil
	}
	return instance.FindReplica(h.replicas, s.uuid).Refuse(filterOf(s.share), s.kind)
}

func filterOf(share *xrow.Share) string {
	if share == nil {
		return ""
	}
	return share.Filter
}

// isRegistered tells whether a confirmed row has the replica.
func (h *Hub) isRegistered(uuid string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return instance.FindReplica(h.replicas, uuid) != nil
}

// register has the core register a replica with a filter that comes for the first time.
// Who may only read is registered by an administrator.
func (h *Hub) register(user iproto.User, req *xrow.SubscribeRequest) error {
	if req.Share == nil || h.isRegistered(req.InstanceUUID) {
		return nil
	}
	if err := h.mayRegister(user, req.InstanceUUID); err != nil {
		return err
	}
	_, err := h.requestState(h.ctx, func(tag uint64) instance.Event {
		return instance.JoinRequest{Tag: tag, UUID: req.InstanceUUID, Name: req.InstanceName, Kind: instance.JoinReplica, Feature: req.Feature, Filter: req.Share.Filter}
	})
	if e := (*xrow.Error)(nil); errors.As(err, &e) && e.Code == xrow.ErrReadonly {
		return &xrow.Error{Code: xrow.ErrLoading, Message: e.Message} // it comes back, and the leader may have registered it by then
	}
	return err
}

// mayRegister tells why a replica that is not registered is not registered on the way: the
// right to read is not enough.
func (h *Hub) mayRegister(user iproto.User, uuid string) *xrow.Error {
	if err := h.cfg.Rights(user, true); err != nil {
		e := *err
		e.Message = fmt.Sprintf("Replica %s is not registered, and its user may not have that done (tarragon.replica.create does it): %s", uuid, err.Message)
		return &e
	}
	return nil
}

// checkCopy refuses a base copy of what the replica does not have.
func (h *Hub) checkCopy(req *xrow.JoinRequest) *xrow.Error {
	if req.Share == nil || req.InstanceUUID == "" {
		return xrow.Errorf(xrow.ErrProtocol, "A base copy is asked for without a uuid and a filter")
	}
	h.mu.Lock()
	err := h.refuseCopy(&replica{uuid: req.InstanceUUID, filter: req.Share.Filter})
	h.mu.Unlock()
	if err != nil {
		return err
	}
	if err := h.checkShare(req.Share); err != nil {
		return err
	}
	for _, id := range req.Copy.Spaces {
		if !req.Share.Has(id) {
			return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("A base copy of space %d is asked for, which filter '%s' does not give", id, req.Share.Filter))
		}
	}
	return nil
}
