package replication

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

func (h *Hub) serveSubscribe(link *iproto.Link, user iproto.User, row *xrow.Row) error {
	req, err := xrow.DecodeSubscribe(row.Body)
	if err != nil {
		return err
	}
	info := h.node.Info()
	if err := h.checkSubscribe(&info, user, &req); err != nil {
		return err
	}
	if err := h.register(user, &req); err != nil {
		return err
	}
	from := req.VClock.Global()
	r := &relay{hub: h, link: link, self: info.ID, wake: make(chan struct{}, 1), more: make(chan struct{}, 1), cutter: cutter{filter: req.IDFilter, pos: from, gap: xrow.NewGap(req.Share)}, heard: heard{acked: from},
		subscriber: subscriber{uuid: req.InstanceUUID, process: req.Process, kind: req.Kind, feature: req.Feature, procs: req.Procedures, version: req.ServerVersion, sync: row.Sync, from: from, share: req.Share}}
	ok := xrow.SubscribeOK{ReplicasetUUID: info.ReplicasetUUID, ReplicasetName: info.ReplicasetName, VClock: info.Synced, Kind: r.kind, Group: h.cfg.Group}
	if r.kind == xrow.Tarragon {
		ok.Process = h.cfg.Process
	}
	if r.feature != 0 { // the first versions know of no levels
		ok.Feature, ok.Procedures = h.cfg.Feature, h.cfg.Procedures
	}
	if m, found := info.member(req.InstanceUUID); found {
		r.peer, r.ownUpTo = m.ID, info.Synced[m.ID]
		if r.kind == xrow.Tarragon {
			ok.Shown = xrow.Shown{Incarnation: m.Incarnation, Term: m.Shown.Term, Vote: m.Shown.Vote, VClock: m.Shown.Ack.Global()}
		}
	}
	if err := h.addRelay(r); err != nil {
		return err
	}
	defer h.removeRelay(r)
	h.tellOddities(&info, &req)
	answer := xrow.Row{Type: xrow.OK, Sync: row.Sync, ReplicaID: info.ID, Body: ok.AppendBody(nil)}
	if err := link.WriteRow(&answer); err != nil {
		return err
	}
	return r.serve()
}

// tellOddities says what is strange about a member that subscribes.
func (h *Hub) tellOddities(info *Info, req *xrow.SubscribeRequest) {
	m, found := info.member(req.InstanceUUID)
	if !found {
		return
	}
	if !req.VClock.Covers(&m.Shown.Ack) {
		h.cfg.Logger.Warn().Uint32("peer", m.ID).Str("vclock", req.VClock.String()).Str("acked", m.Shown.Ack.String()).Bool("tarantool", req.Kind == xrow.Tarantool).
			Msg("a member subscribes with less than it has acked before: its disk has gone back; one of ours comes back under a new identity, a Tarantool goes on")
	}
	if req.InstanceName != m.Name {
		h.cfg.Logger.Info().Uint32("peer", m.ID).Str("name", req.InstanceName).Str("registered", m.Name).Msg("a member subscribes under another name than it is registered with")
	}
}

// checkSubscribe asks in the order of Tarantool (box_process_subscribe).
func (h *Hub) checkSubscribe(info *Info, user iproto.User, req *xrow.SubscribeRequest) *xrow.Error {
	if err := h.checkPeer(info, req.InstanceUUID); err != nil {
		return err
	}
	if req.ReplicasetUUID != info.ReplicasetUUID {
		return xrow.Errorf(xrow.ErrReplicasetUUIDMismatch, info.ReplicasetUUID, orNil(req.ReplicasetUUID))
	}
	if h.cfg.Filter != "" {
		if err := h.cfg.Rights(user, false); err != nil {
			return err
		}
		return h.servesAll(sendsNothing)
	}
	m, registered := info.member(req.InstanceUUID)
	switch {
	case info.ID == 0 && !req.Anon:
		return unsupported("members that follow an anonymous replica")
	case req.Anon && registered:
		return xrow.Errorf(xrow.ErrProtocol, "Can't subscribe an anonymous replica having an ID assigned")
	case !req.Anon && !registered:
		return xrow.Errorf(xrow.ErrTooEarlySubscribe, req.InstanceUUID)
	case registered && !m.isLife(req):
		return errOtherLife(info, req)
	}
	if err := h.cfg.Rights(user, !req.Anon); err != nil {
		return err
	}
	if !h.cfg.CanLog {
		return errNoLog()
	}
	if err := h.checkStream(req); err != nil {
		return err
	}
	if req.Kind == xrow.Tarragon {
		return instance.RefuseFeature(info.Feature, req.Feature)
	}
	if !req.Anon {
		return checkTarantool(info, req.ServerVersion)
	}
	return nil
}

// isLife tells whether a member's row is of the life that asks. Instances of the
// Tarantool kind say no incarnation, and may have registered one of ours without.
func (m *Member) isLife(req *xrow.SubscribeRequest) bool {
	return xrow.KindOf(m.Incarnation) == xrow.Tarantool || req.Kind == xrow.Tarantool || m.Incarnation == req.Incarnation
}

// errOtherLife refuses a life of an instance that is not the one in its row: its
// acks and votes would be those of the other. It may come to be the one, by a row
// that we lack or whose fate is open here.
func errOtherLife(info *Info, req *xrow.SubscribeRequest) *xrow.Error {
	for i := range info.Undecided {
		if m := &info.Undecided[i]; m.UUID == req.InstanceUUID && m.Incarnation == req.Incarnation {
			return xrow.Errorf(xrow.ErrTooEarlySubscribe, req.InstanceUUID)
		}
	}
	return &xrow.Error{Code: xrow.ErrInstanceUUIDMismatch, Message: "Another life of instance " + req.InstanceUUID + " is registered with replica set " + info.ReplicasetUUID}
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
	r.beat0 = h.feed.beatSync
	if h.feed.beats > 0 {
		r.sentBeat = h.feed.beats - 1 // the newest heartbeat goes out at once
	}
	h.mu.Unlock()
	next, err := h.cfg.Log.Seek(&r.pos)
	if err != nil && !errors.Is(err, ErrGap) {
		return fmt.Errorf("replication: find the place of %s: %w", r.name(), err)
	}
	if err == nil {
		r.next = next
		if err = r.tell(true); err != nil {
			return err
		}
		log.Info().Str("vclock", r.pos.String()).Uint64("group", next).
			Str("version", versionText(r.version)).Bool("tarantool", r.kind == xrow.Tarantool).Msg("relay started")
		err = r.run()
		_ = r.tell(false) // the loop has ended: nobody is left to tell
	} else {
		err = r.refuseGap(err)
	}
	h.forgetRelay(r) // before anybody hears of it
	log.Info().Err(err).Msg("relay ended")
	return fmt.Errorf("relay: %w", plain(err))
}

// refuseGap sends RAFT and then the error, as Tarantool does.
func (r *relay) refuseGap(err error) error {
	h := r.hub
	h.mu.Lock()
	frame := r.raftFrame(&h.feed.raft)
	h.mu.Unlock()
	if frame != nil && r.takesRaft() {
		if _, werr := r.link.Write(frame); werr != nil {
			return werr
		}
	}
	return r.sayGap(err)
}

// tell reports to the core that a member has subscribed or left.
func (r *relay) tell(up bool) error {
	if r.peer == 0 {
		return nil
	}
	ev := instance.Downstream{Peer: r.peer, Up: up}
	if up {
		ev.Kind, ev.Feature, ev.Procedures, ev.VClock = r.kind, r.feature, r.procs, r.from
	}
	return r.hub.node.Submit(ev)
}
