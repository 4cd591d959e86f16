package replication

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"tarragon/instance"
	"tarragon/iproto"
	"tarragon/vclock"
	"tarragon/xrow"
)

const (
	joinSlice = 256       // tuples read while the core stands still
	joinBytes = 256 << 10 // of rows gathered for one write
)

// tagJoin marks tags of JOINs, so that they differ from those of checkpoints.
const tagJoin = 1 << 63

// Snapshot takes an answer of the core's that belongs to a JOIN; others are
// left to the caller. It is called on the loop's goroutine and does not block.
func (h *Hub) Snapshot(s instance.Snapshot) (ours bool) {
	if s.Tag&tagJoin == 0 {
		return false
	}
	h.mu.Lock()
	answer := h.joins[s.Tag]
	delete(h.joins, s.Tag)
	h.mu.Unlock()
	if answer != nil {
		answer <- s // has room for one, and is answered once
	} else if s.View != nil {
		go func() { _ = h.node.Submit(instance.CloseView{View: s.View}) }() // nobody waits any more
	}
	return true
}

func (h *Hub) serveJoin(link *iproto.Link, user uint32, row *xrow.Row) error {
	req, err := xrow.DecodeJoin(row.Body)
	if err != nil {
		return err
	}
	info := h.node.Info()
	if err := h.checkJoin(&info, user, &req); err != nil {
		return err
	}
	if err := h.beginJoin(req.InstanceUUID); err != nil {
		return err
	}
	defer h.endJoin(req.InstanceUUID)
	snap, err := h.requestState(&req)
	if err != nil {
		return err
	}
	log := h.cfg.Logger.With().Str("uuid", req.InstanceUUID).Str("name", req.InstanceName).Uint32("id", snap.ID).Logger()
	log.Info().Str("vclock", snap.State.VClock.String()).Uint64("term", snap.State.Term).Msg("join started")
	j := joinStream{hub: h, link: link, sync: row.Sync}
	err = j.send(&snap)
	log.Info().Uint64("tuples", j.tuples).Err(err).Msg("join ended")
	if err != nil {
		return fmt.Errorf("join: %w", plain(err)) // rows may have gone out: just close
	}
	return nil
}

func (h *Hub) checkJoin(info *Info, user uint32, req *xrow.JoinRequest) error {
	if err := h.checkPeer(info, req.InstanceUUID); err != nil {
		return err
	}
	_, registered := info.member(req.InstanceUUID)
	if err := h.cfg.Rights(user, !registered); err != nil {
		return err
	}
	if !h.cfg.CanLog {
		return unsupported("replication without a log (wal.mode none)")
	}
	return nil
}

// beginJoin lets only one JOIN or relay at a time serve a UUID.
func (h *Hub) beginJoin(uuid string) *xrow.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.expelled {
		return xrow.Errorf(xrow.ErrLoading)
	}
	for _, r := range h.relays {
		if r.uuid == uuid {
			return errDuplicate()
		}
	}
	if h.joining[uuid] {
		return errDuplicate()
	}
	h.joining[uuid] = true
	h.wg.Add(1)
	return nil
}

func (h *Hub) endJoin(uuid string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.joining, uuid)
	h.wg.Done()
}

// requestState asks the core for the state of a member that is registered with
// a quorum, and waits for it.
func (h *Hub) requestState(req *xrow.JoinRequest) (instance.Snapshot, error) {
	answer := make(chan instance.Snapshot, 1)
	h.mu.Lock()
	h.tags++
	tag := h.tags | tagJoin
	h.joins[tag] = answer
	h.mu.Unlock()
	ev := instance.JoinRequest{Tag: tag, UUID: req.InstanceUUID, Name: req.InstanceName, Incarnation: req.Incarnation}
	if err := h.node.Submit(ev); err != nil {
		return instance.Snapshot{}, err
	}
	ctx, cancel := context.WithTimeout(h.ctx, h.cfg.JoinTimeout)
	defer cancel()
	select {
	case s := <-answer:
		if s.Err != nil {
			h.closeView(&s)
			return s, s.Err
		}
		return s, nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	delete(h.joins, tag)
	h.mu.Unlock()
	select {
	case s := <-answer: // it came meanwhile
		h.closeView(&s)
	default:
	}
	return instance.Snapshot{}, xrow.Errorf(xrow.ErrSyncQuorumTimeout)
}

func (h *Hub) closeView(s *instance.Snapshot) {
	if s.View != nil {
		_ = h.node.Submit(instance.CloseView{View: s.View}) // the loop has ended: the view with it
	}
}

// joinStream writes the answer to a JOIN.
type joinStream struct {
	hub    *Hub
	link   *iproto.Link
	sync   uint64
	buf    []byte
	tuples uint64
}

func (j *joinStream) send(s *instance.Snapshot) error {
	defer j.hub.closeView(s)
	defer func() { _ = j.link.SetWriteDeadline(time.Time{}) }()
	stop := context.AfterFunc(j.hub.ctx, func() { _ = j.link.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	j.ok(&s.State.VClock)
	j.meta(&s.State)
	if s.View != nil {
		if err := sendRows(j, s.View.Next, s.View.IsLocal); err != nil {
			return err
		}
	}
	j.ok(&s.State.VClock) // end of the initial stage: the joiner was registered before it began
	j.ok(&s.State.VClock) // end of the final stage, which is empty: the stream has the rest
	return j.flush()
}

func (j *joinStream) row(t xrow.Type, replicaID uint32, body []byte) {
	r := xrow.Row{Type: t, Sync: j.sync, ReplicaID: replicaID, Body: body}
	j.buf = r.Append(j.buf)
}

func (j *joinStream) ok(v *vclock.VClock) { j.row(xrow.OK, 0, xrow.AppendVClockBody(nil, v)) }

// meta tells the term, what was promoted, and which rows are decided.
func (j *joinStream) meta(s *instance.State) {
	meta := xrow.JoinMetaBody{History: make([]xrow.TermSpan, len(s.History))}
	for i, span := range s.History {
		meta.History[i] = xrow.TermSpan(span)
	}
	var newest instance.TermSpan
	if n := len(s.History); n > 0 {
		newest = s.History[n-1]
	}
	meta.Term, meta.LSN = newest.Term, s.Confirmed
	j.row(xrow.JoinMeta, 0, meta.AppendBody(nil))
	raft := xrow.Raft{Term: s.Term, Vote: s.Vote, LeaderID: s.Vote}
	j.row(xrow.RaftState, 0, raft.AppendBody(nil))
	confirmed := s.ConfirmedOf
	promote := xrow.Synchro{ReplicaID: newest.Owner, LSN: s.Confirmed, Term: newest.Term, VClock: &confirmed}
	j.row(xrow.Promote, newest.Owner, promote.AppendBody(nil))
	j.row(xrow.JoinSnapshot, 0, nil)
}

// sendRows sends the tuples of a view in slices: between two slices the core
// goes on. C is the view's cursor, which only its own package can name here.
func sendRows[C any](j *joinStream, next func(*C, int, func(uint32, []byte) error) (bool, error), isLocal func(uint32) bool) error {
	var at C
	for more := true; more; {
		var err error
		j.hub.node.Read(func() {
			more, err = next(&at, joinSlice, func(space uint32, tuple []byte) error {
				if !isLocal(space) {
					j.insert(space, tuple)
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		if len(j.buf) >= joinBytes {
			if err := j.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// insert encodes a row of the snapshot: INSERT {SPACE_ID as u32, TUPLE}.
func (j *joinStream) insert(space uint32, tuple []byte) {
	start := len(j.buf)
	j.buf = append(j.buf, 0xce, 0, 0, 0, 0)
	head := xrow.Row{Type: xrow.Insert, Sync: j.sync}
	j.buf = head.AppendHeader(j.buf)
	j.buf = append(j.buf, 0x82, byte(xrow.KeySpaceID), 0xce)
	j.buf = binary.BigEndian.AppendUint32(j.buf, space)
	j.buf = append(append(j.buf, byte(xrow.KeyTuple)), tuple...)
	xrow.EndFrame(j.buf, start)
	j.tuples++
}

func (j *joinStream) flush() error {
	if err := j.link.SetWriteDeadline(time.Now().Add(j.hub.cfg.JoinTimeout)); err != nil {
		return err
	}
	if j.hub.ctx.Err() != nil {
		return context.Cause(j.hub.ctx)
	}
	_, err := j.link.Write(j.buf)
	j.buf = j.buf[:0]
	return err
}
