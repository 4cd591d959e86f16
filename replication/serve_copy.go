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

// serveCopy sends a base copy: the vclock that was decided when its view was opened, how many
// tuples there are, the tuples, and the vclock again.
func (h *Hub) serveCopy(link *iproto.Link, sync uint64, req *xrow.JoinRequest) (err error) {
	if err := h.checkCopy(req); err != nil {
		return err
	}
	g, err := h.give(link, req)
	if err != nil {
		return err
	}
	defer func() { g.leave(err) }()
	if req.File {
		return h.serveFile(g, link, sync, &instance.CopyOrder{Spaces: req.Copy.Spaces, VClock: req.Copy.VClock, Term: req.Copy.Term})
	}
	snap, err := h.requestState(g.ctx, func(tag uint64) instance.Event {
		return instance.CopyRequest{Tag: tag, CopyOrder: instance.CopyOrder{Spaces: req.Copy.Spaces, VClock: req.Copy.VClock, Term: req.Copy.Term}}
	})
	if err != nil {
		return err
	}
	log := h.cfg.Logger.With().Str("uuid", req.InstanceUUID).Str("name", req.InstanceName).Str("copy", g.id()).Uints32("spaces", req.Copy.Spaces).Logger()
	log.Info().Stringer("vclock", snap.State.VClock).Msg("base copy started")
	told := &Progress{}
	told.begin(log, "sending a base copy")
	h.node.Read(func() { told.expect(uint64(snap.View.Rows())) })
	g.sends(told, snap.View)
	j := joinStream{hub: h, link: link, sync: sync, ours: true, group: h.cfg.Group, told: told, rests: &rests{ctx: g.ctx}}
	if err = j.sendCopy(g, &snap); err != nil {
		log.Info().Err(err).Msg("base copy broken off")
		return fmt.Errorf("base copy: %w", plain(err))
	}
	told.done()
	return nil
}

// sends makes the transfer visible.
func (g *given) sends(told *Progress, view pins) {
	g.hub.mu.Lock()
	defer g.hub.mu.Unlock()
	g.stage, g.told, g.view = GivenSending, told, view
}

// closes gives the view back. Nobody looks at it behind that.
func (g *given) closes(s *instance.Snapshot) {
	g.hub.mu.Lock()
	g.view = nil
	g.hub.mu.Unlock()
	_ = g.hub.node.Submit(instance.CloseView{View: s.View}) // else the loop has ended
}

// sendCopy is send without what a state has besides tuples.
func (j *joinStream) sendCopy(g *given, s *instance.Snapshot) error {
	j.out = newOutlet(j.hub, j.link, s.View)
	j.out.of = g
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
	g.closes(s)
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
