package replication

import (
	"errors"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// Serve answers JOIN, SUBSCRIBE, REGISTER and FETCH_SNAPSHOT on a connection
// that the client server has handed over. An *xrow.Error is for the peer, not
// sent yet; SUBSCRIBE ends with an error in any case.
func (h *Hub) Serve(link *iproto.Link, user iproto.User, row *xrow.Row) error {
	h.mu.Lock()
	ready := h.node != nil && !h.closed && !h.expelled
	h.mu.Unlock()
	if !ready {
		return xrow.Errorf(xrow.ErrLoading)
	}
	err := h.answer(link, user, row)
	var refused *xrow.Error
	if errors.As(err, &refused) {
		level := zerolog.DebugLevel
		if h.refused.fresh(link.RemoteAddr().String(), refused) {
			level = zerolog.InfoLevel
		}
		h.cfg.Logger.WithLevel(level).Str("addr", link.RemoteAddr().String()).Stringer("request", row.Type).Err(err).Msg("replication request refused")
	}
	return err
}

func (h *Hub) answer(link *iproto.Link, user iproto.User, row *xrow.Row) error {
	switch group, err := xrow.DecodeGroup(row.Body); {
	case err != nil:
		return err
	case group != h.cfg.Group:
		return ErrNoGroup(group)
	}
	switch row.Type {
	case xrow.Join:
		return h.serveJoin(link, user, row)
	case xrow.Subscribe:
		return h.serveSubscribe(link, user, row)
	case xrow.Register:
		return h.serveRegister(link, user, row)
	case xrow.FetchSnap:
		return h.serveFetch(link, user, row)
	}
	return xrow.Errorf(xrow.ErrUnknownRequestType, uint32(row.Type))
}

func unsupported(what string) *xrow.Error {
	return xrow.Errorf(xrow.ErrUnsupported, "Tarragon", what)
}

// booted tells whether we have the data and, unless we are anonymous, our ID.
func (h *Hub) booted(info *Info) bool {
	return info.ReplicasetUUID != "" && (info.ID != 0 || h.cfg.Anon)
}

// checkPeer is what all but FETCH_SNAPSHOT refuse first (Tarantool, src/box/box.cc).
func (h *Hub) checkPeer(info *Info, uuid string) *xrow.Error {
	switch {
	case !h.booted(info):
		return xrow.Errorf(xrow.ErrLoading)
	case uuid == "":
		return xrow.Errorf(xrow.ErrNilUUID)
	case uuid == h.cfg.UUID:
		return xrow.Errorf(xrow.ErrConnectionToSelf)
	}
	return nil
}

// checkRegistration is what JOIN and REGISTER refuse, change: because the row
// of _cluster has to be written.
func (h *Hub) checkRegistration(info *Info, user iproto.User, change bool) *xrow.Error {
	if info.ID == 0 {
		if err := h.cfg.Rights(user, true); err != nil && h.cfg.Filter != "" { // who may not replicate hears of no filter
			return err
		}
		if err := h.servesAll(registersNot); err != nil {
			return err
		}
		return unsupported("registrations at an anonymous replica")
	}
	if change && info.Readonly != nil {
		return info.Readonly
	}
	if err := h.cfg.Rights(user, true); err != nil {
		return err
	}
	if !h.cfg.CanLog {
		return errNoLog()
	}
	if change {
		h.cfg.Registers()
	}
	return nil
}

func errNoLog() *xrow.Error { return unsupported("replication without a log (wal.mode none)") }

// checkTarantool keeps members out that could not follow an election: they would
// be counted in quorums and stop at the first PROMOTE.
func checkTarantool(info *Info, version uint32) *xrow.Error {
	if info.Raft && !knowsPromote(version) {
		return unsupported("members older than Tarantool 2.8.2 in a replica set with elections")
	}
	return nil
}

// plain hides the code of an error: nothing may be sent behind a stream.
func plain(err error) error {
	var e *xrow.Error
	if errors.As(err, &e) {
		return errors.New(err.Error())
	}
	return err
}
