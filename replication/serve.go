package replication

import (
	"errors"
	"fmt"

	"tarragon/instance"
	"tarragon/iproto"
	"tarragon/xrow"
)

// Serve answers JOIN, SUBSCRIBE, REGISTER and FETCH_SNAPSHOT on a connection
// that the client server has handed over. An *xrow.Error is for the peer, not
// sent yet; SUBSCRIBE ends with an error in any case.
func (h *Hub) Serve(link *iproto.Link, user uint32, row *xrow.Row) error {
	h.mu.Lock()
	ready := h.node != nil && !h.closed && !h.expelled
	h.mu.Unlock()
	if !ready {
		return xrow.Errorf(xrow.ErrLoading)
	}
	var err error
	switch row.Type {
	case xrow.Join:
		err = h.serveJoin(link, user, row)
	case xrow.Subscribe:
		err = h.serveSubscribe(link, user, row)
	case xrow.Register:
		err = unsupported("REGISTER")
	case xrow.FetchSnap:
		err = unsupported("anonymous replicas")
	default:
		err = xrow.Errorf(xrow.ErrUnknownRequestType, uint32(row.Type))
	}
	var refused *xrow.Error
	if errors.As(err, &refused) {
		ev := h.cfg.Logger.Debug()
		if h.refused.fresh(link.RemoteAddr().String(), refused) {
			ev = h.cfg.Logger.Info()
		}
		ev.Str("addr", link.RemoteAddr().String()).Stringer("request", row.Type).Err(err).Msg("replication request refused")
	}
	return err
}

func unsupported(what string) *xrow.Error {
	return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", what)
}

// checkPeer is what JOIN and SUBSCRIBE refuse first (replication.md section 5).
func (h *Hub) checkPeer(info *Info, uuid string) *xrow.Error {
	switch {
	case info.ReplicasetUUID == "" || info.ID == 0:
		return xrow.Errorf(xrow.ErrLoading)
	case uuid == "":
		return xrow.Errorf(xrow.ErrNilUUID)
	case uuid == h.cfg.UUID:
		return xrow.Errorf(xrow.ErrConnectionToSelf)
	}
	return nil
}

func (h *Hub) serveSubscribe(link *iproto.Link, user uint32, row *xrow.Row) error {
	req, err := xrow.DecodeSubscribe(row.Body)
	if err != nil {
		return err
	}
	info := h.node.Info()
	if err := h.checkSubscribe(&info, user, &req); err != nil {
		return err
	}
	id, ok := info.member(req.InstanceUUID)
	if !ok {
		return xrow.Errorf(xrow.ErrTooEarlySubscribe, req.InstanceUUID)
	}
	r := &relay{hub: h, link: link, peer: id, uuid: req.InstanceUUID, rules: min(req.Rules, 1), self: info.ID, wake: make(chan struct{}, 1),
		filter: req.IDFilter, ownUpTo: info.Synced[id], pos: req.VClock.Global(), acked: req.VClock.Global()}
	if err := h.addRelay(r); err != nil {
		return err
	}
	defer h.removeRelay(r)
	ok2 := xrow.SubscribeOK{ReplicasetUUID: info.ReplicasetUUID, VClock: info.Synced, Rules: min(req.Rules, 1)}
	answer := xrow.Row{Type: xrow.OK, Sync: row.Sync, ReplicaID: info.ID, Body: ok2.AppendBody(nil)}
	if err := link.WriteRow(&answer); err != nil {
		return err
	}
	return r.serve()
}

func (h *Hub) checkSubscribe(info *Info, user uint32, req *xrow.SubscribeRequest) error {
	if err := h.checkPeer(info, req.InstanceUUID); err != nil {
		return err
	}
	if req.ReplicasetUUID != info.ReplicasetUUID {
		return xrow.Errorf(xrow.ErrReplicasetUUIDMismatch, info.ReplicasetUUID, orNil(req.ReplicasetUUID))
	}
	if req.Anon {
		return unsupported("anonymous replicas")
	}
	if _, ok := info.member(req.InstanceUUID); !ok {
		return xrow.Errorf(xrow.ErrTooEarlySubscribe, req.InstanceUUID)
	}
	if req.Rules == 0 {
		return unsupported("replicas that do not know the strong rules")
	}
	if err := h.cfg.Rights(user, false); err != nil {
		return err
	}
	return nil
}

func orNil(uuid string) string {
	if uuid == "" {
		return xrow.NilUUID
	}
	return uuid
}

// serve finds the place in the log and sends from there on. What the core must
// know is that the peer is there, and that it left.
func (r *relay) serve() error {
	h := r.hub
	log := h.cfg.Logger.With().Uint32("peer", r.peer).Str("uuid", r.uuid).Str("addr", r.link.RemoteAddr().String()).Logger()
	h.mu.Lock()
	if h.beats > 0 {
		r.sentBeat = h.beats - 1 // the newest heartbeat goes out at once
	}
	h.mu.Unlock()
	next, err := h.cfg.Log.Seek(&r.pos)
	if err != nil && !errors.Is(err, ErrGap) {
		return fmt.Errorf("replication: find the place of instance %d: %w", r.peer, err)
	}
	if err == nil {
		r.next = next
		if err = h.node.Submit(instance.Downstream{Peer: r.peer, Up: true, Rules: r.rules}); err != nil {
			return err
		}
		log.Info().Str("vclock", r.pos.String()).Uint64("group", next).Msg("relay started")
		err = r.run()
		_ = h.node.Submit(instance.Downstream{Peer: r.peer, Up: false}) // the loop has ended: nobody is left to tell
	} else {
		err = r.refuseGap(err)
	}
	log.Info().Err(err).Msg("relay ended")
	return fmt.Errorf("relay: %w", plain(err))
}

// refuseGap sends RAFT and then the error, as the original does.
func (r *relay) refuseGap(err error) error {
	h := r.hub
	h.mu.Lock()
	frame := h.raft.frame
	h.mu.Unlock()
	if frame != nil {
		if _, werr := r.link.Write(frame); werr != nil {
			return werr
		}
	}
	return r.sayGap(err)
}

// plain hides the code of an error: nothing may be sent behind a stream.
func plain(err error) error {
	var e *xrow.Error
	if errors.As(err, &e) {
		return errors.New(err.Error())
	}
	return err
}
