package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// errShare is why streams end when this replica is to have other spaces: they begin anew.
var errShare = errors.New("replication: the filter gives other spaces")

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

// serveCopy sends a base copy: the vclock that was decided when its view was opened, how many
// tuples there are, the tuples, and the vclock again.
func (h *Hub) serveCopy(link *iproto.Link, sync uint64, req *xrow.JoinRequest) error {
	snap, err := h.requestState(func(tag uint64) instance.Event {
		return instance.CopyRequest{Tag: tag, CopyOrder: instance.CopyOrder{Spaces: req.Copy.Spaces, VClock: req.Copy.VClock, Term: req.Copy.Term}}
	})
	if err != nil {
		return err
	}
	log := h.cfg.Logger.With().Str("uuid", req.InstanceUUID).Uints32("spaces", req.Copy.Spaces).Logger()
	log.Info().Stringer("vclock", snap.State.VClock).Msg("base copy started")
	place := "copy " + req.InstanceUUID
	if err := h.beginJoin(place); err != nil {
		h.closeView(&snap)
		return err
	}
	defer h.endJoin(place)
	j := joinStream{hub: h, link: link, sync: sync, ours: true, group: h.cfg.Group, told: h.beginProgress(place, &snap, &log)}
	err = j.sendCopy(&snap)
	if err != nil {
		log.Info().Err(err).Msg("base copy broken off")
		return fmt.Errorf("base copy: %w", plain(err))
	}
	j.told.done()
	return nil
}

// sendCopy is send without what a state has besides tuples.
func (j *joinStream) sendCopy(s *instance.Snapshot) error {
	j.out = newOutlet(j.hub, j.link, s.View)
	defer j.out.close()
	defer func() { _ = j.link.SetWriteDeadline(time.Time{}) }()
	stop := context.AfterFunc(j.hub.ctx, func() { _ = j.link.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	j.ok(&s.State.VClock)
	meta := xrow.JoinMetaBody{Tuples: j.told.expected()}
	j.row(xrow.JoinMeta, 0, meta.AppendBody(nil))
	err := j.flush() // the replica waits for the vclock before it reads on
	if err == nil {
		err = j.sendRows(s.View.Pager(), s.View.IsLocal)
	}
	j.out.view = nil
	_ = j.hub.node.Submit(instance.CloseView{View: s.View})
	var e *xrow.Error
	if errors.As(err, &e) {
		j.out.fail(e, j.sync)
	}
	if err != nil {
		return err
	}
	j.ok(&s.State.VClock)
	if err := j.flush(); err != nil {
		return err
	}
	return j.out.finish()
}
