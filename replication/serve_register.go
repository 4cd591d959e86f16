package replication

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// serveRegister makes a member of an instance that has the data, or gives a
// member the name that it asks for. The answer has no head: the rows from where
// the instance stands up to the change of _cluster, and an OK.
func (h *Hub) serveRegister(link *iproto.Link, user iproto.User, row *xrow.Row) error {
	req, err := xrow.DecodeRegister(row.Body)
	if err != nil {
		return err
	}
	info := h.node.Info()
	if err := h.checkRegister(&info, user, &req); err != nil {
		return err
	}
	if err := h.beginJoin(req.InstanceUUID); err != nil {
		return err
	}
	defer h.endJoin(req.InstanceUUID)
	pos := req.VClock.Global()
	next, err := h.cfg.Log.Seek(&pos)
	switch {
	case errors.Is(err, ErrGap):
		return gapError(err)
	case err != nil:
		return fmt.Errorf("register: %w", err)
	}
	snap, err := h.requestState(h.ctx, func(tag uint64) instance.Event {
		return instance.JoinRequest{Tag: tag, UUID: req.InstanceUUID, Name: req.InstanceName, Kind: instance.JoinID, Incarnation: req.Incarnation, Feature: req.Feature}
	})
	if err != nil {
		return err
	}
	h.cfg.Logger.Info().Str("uuid", req.InstanceUUID).Str("name", req.InstanceName).Uint32("id", snap.ID).Msg("registered")
	if err := h.sendUpTo(link, row.Sync, next, &pos, &snap.State.VClock, xrow.KindOf(req.Incarnation) == xrow.Tarantool); err != nil {
		return fmt.Errorf("register: %w", plain(err)) // rows may have gone out: just close
	}
	return nil
}

// checkRegister asks in the order of Tarantool (box_process_register).
func (h *Hub) checkRegister(info *Info, user iproto.User, req *xrow.RegisterRequest) *xrow.Error {
	if err := h.checkPeer(info, req.InstanceUUID); err != nil {
		return err
	}
	m, registered := info.member(req.InstanceUUID)
	if registered && (req.InstanceName == "" || req.InstanceName == m.Name) {
		return xrow.Errorf(xrow.ErrReplicaNotAnon, req.InstanceUUID)
	}
	// A release too old for a set with elections is told so when it subscribes:
	// REGISTER does not say which it is.
	return h.checkRegistration(info, user, true)
}

// sendUpTo sends the log from a group on until stop is reached, which is synced,
// and says so.
func (h *Hub) sendUpTo(link *iproto.Link, sync, next uint64, pos, stop *vclock.VClock, tarantool bool) error {
	defer func() { _ = link.SetWriteDeadline(time.Time{}) }()
	var void []uint64
	self := h.node.Info().ID
	if tarantool {
		h.mu.Lock()
		void = h.feed.void
		h.mu.Unlock()
	}
	reader := h.cfg.Log.Read(next)
	defer reader.Close()
	var out [][]byte
	for !pos.Covers(stop) {
		_, g, err := reader.Next()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the log ends at %s, before %s", pos, stop)
		}
		if err != nil {
			return err
		}
		out = withoutVoid(g, self, void).Cut(pos, 0, nil, out[:0])
		bufs := net.Buffers(out)
		if err := h.armWrite(link); err != nil {
			return err
		}
		if _, err := link.WriteBuffers(&bufs); err != nil {
			return err
		}
	}
	end := xrow.Row{Type: xrow.OK, Sync: sync, Body: xrow.AppendGroupVClockBody(nil, stop, h.cfg.Group)}
	if err := h.armWrite(link); err != nil {
		return err
	}
	return link.WriteRow(&end)
}
