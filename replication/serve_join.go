package replication

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// joinBytes is how much of rows is gathered for one write.
const joinBytes = 256 << 10

// tagJoin marks tags of JOINs, so that they differ from those of checkpoints.
const tagJoin = 1 << 63

// joins are the states that peers take, or ask the core for. It is a value under the
// hub's lock.
type joins struct {
	tags    uint64
	answers map[uint64]chan instance.Snapshot // by tag
	open    map[string]*Progress              // UUIDs with a JOIN under way
	fetches map[string]fetch                  // by UUID, see Readers
	spools  atomic.Int32                      // states that go on from files; read without the lock
}

func newJoins() joins {
	return joins{answers: make(map[uint64]chan instance.Snapshot), open: make(map[string]*Progress), fetches: make(map[string]fetch)}
}

// Snapshot takes an answer of the core's that belongs to a JOIN; others are
// left to the caller. It is called on the loop's goroutine and does not block.
func (h *Hub) Snapshot(s instance.Snapshot) (ours bool) {
	if s.Tag&tagJoin == 0 {
		return false
	}
	h.mu.Lock()
	answer := h.joins.answers[s.Tag]
	delete(h.joins.answers, s.Tag)
	h.mu.Unlock()
	if answer != nil {
		answer <- s // has room for one, and is answered once
	} else if s.View != nil {
		go func() { _ = h.node.Submit(instance.CloseView{View: s.View}) }() // nobody waits any more
	}
	return true
}

func (h *Hub) serveJoin(link *iproto.Link, user iproto.User, row *xrow.Row) error {
	req, err := xrow.DecodeJoin(row.Body)
	if err != nil {
		return err
	}
	info := h.node.Info()
	if err := h.checkJoin(&info, user, &req); err != nil {
		return err
	}
	if err := h.isContested(&info, &req); err != nil {
		return err
	}
	if err := h.letMeet(&info, &req); err != nil {
		return err
	}
	return h.sendState(link, row.Sync, req.InstanceUUID, &req, instance.JoinMember)
}

// letMeet gives members of Tarantool's kind time to connect to a joiner that
// comes with a name. Until then an applier of theirs may hold that name for a
// former life of it, and the row that registers the joiner would stop their
// stream from us. They connect again within their replication timeout.
func (h *Hub) letMeet(info *Info, req *xrow.JoinRequest) error {
	if _, registered := info.member(req.InstanceUUID); registered || req.InstanceName == "" || !h.hasTarantools() {
		return nil
	}
	t := time.NewTimer(2 * h.times.Load().death)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-h.ctx.Done():
		return xrow.Errorf(xrow.ErrShutdown)
	}
}

// hasTarantools tells whether a member of Tarantool's kind follows us.
func (h *Hub) hasTarantools() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.relays, func(r *relay) bool { return r.kind == xrow.Tarantool && r.peer != 0 })
}

func (h *Hub) checkJoin(info *Info, user iproto.User, req *xrow.JoinRequest) *xrow.Error {
	if err := h.checkPeer(info, req.InstanceUUID); err != nil {
		return err
	}
	_, registered := info.member(req.InstanceUUID)
	if err := h.checkRegistration(info, user, !registered); err != nil {
		return err
	}
	if xrow.KindOf(req.Incarnation) == xrow.Tarantool {
		return checkTarantool(info, req.ServerVersion)
	}
	return nil
}

// serveFetch answers FETCH_SNAPSHOT: the state for a replica that stays
// anonymous.
func (h *Hub) serveFetch(link *iproto.Link, user iproto.User, row *xrow.Row) error {
	var req xrow.JoinRequest
	if row.Body != nil { // 2.6 sends none
		var err error
		if req, err = xrow.DecodeJoin(row.Body); err != nil {
			return err
		}
	}
	info := h.node.Info()
	if !h.booted(&info) {
		return xrow.Errorf(xrow.ErrLoading)
	}
	if err := h.cfg.Rights(user, false); err != nil {
		return err
	}
	switch {
	case !h.cfg.CanLog:
		return errNoLog()
	case req.Checkpoint: // our checkpoints are no files that rows could be counted in
		return xrow.Errorf(xrow.ErrMissingSnapshot)
	}
	if err := h.servesAll(sendsNothing); err != nil {
		return err
	}
	switch {
	case req.Copy != nil:
		return h.serveCopy(link, row.Sync, &req)
	case req.Share == nil || h.isRegistered(req.InstanceUUID):
	case req.InstanceUUID == "":
		return xrow.Errorf(xrow.ErrNilUUID)
	default:
		if err := h.mayRegister(user, req.InstanceUUID); err != nil {
			return err
		}
	}
	who := req.InstanceUUID
	if who == "" { // not told before 3.3
		who = link.RemoteAddr().String()
	}
	return h.sendState(link, row.Sync, who, &req, instance.JoinAnon)
}

// sendState sends the state to one that joins. who names it among all that do
// so now.
func (h *Hub) sendState(link *iproto.Link, sync uint64, who string, req *xrow.JoinRequest, kind instance.JoinKind) error {
	place := who
	if kind == instance.JoinAnon {
		place = fetching + who
	}
	if err := h.beginJoin(place); err != nil {
		return err
	}
	defer h.endJoin(place)
	ask := instance.JoinRequest{UUID: req.InstanceUUID, Name: req.InstanceName, Kind: kind, Incarnation: req.Incarnation, Feature: req.Feature}
	if req.Share != nil {
		ask.Filter = req.Share.Filter
	}
	snap, err := h.requestState(h.ctx, func(tag uint64) instance.Event { ask.Tag = tag; return ask })
	if err != nil {
		return err
	}
	log := h.cfg.Logger.With().Str("uuid", req.InstanceUUID).Str("name", req.InstanceName).Uint32("id", snap.ID).Logger()
	log.Info().Str("vclock", snap.State.VClock.String()).Uint64("term", snap.State.Term).Msg("join started")
	j := joinStream{hub: h, link: link, sync: sync, version: req.ServerVersion, ours: xrow.KindOf(req.Incarnation) == xrow.Tarragon, final: kind == instance.JoinMember, group: h.cfg.Group}
	if kind == instance.JoinAnon {
		h.beginFetch(who, &snap.State.VClock)
		defer h.endFetch(who)
	}
	j.told = h.beginProgress(place, &snap, &log)
	err = j.send(&snap)
	if err != nil {
		log.Info().Err(err).Msg("join broken off")
		return fmt.Errorf("join: %w", plain(err)) // rows may have gone out: just close
	}
	j.told.done()
	return nil
}

// fetching is in front of the UUID of one that stays anonymous, among those that
// take a state. It may say any UUID: one that only reads must not keep the member
// away whose UUID that is, or will be.
const fetching = "fetch "

// beginJoin lets only one JOIN or member's relay at a time serve a UUID.
func (h *Hub) beginJoin(uuid string) *xrow.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.expelled {
		return xrow.Errorf(xrow.ErrLoading)
	}
	for _, r := range h.relays {
		if r.uuid == uuid && r.peer != 0 {
			return errDuplicate()
		}
	}
	if h.joins.open[uuid] != nil {
		return errDuplicate()
	}
	h.joins.open[uuid] = &Progress{}
	h.wg.Add(1)
	return nil
}

// beginProgress makes a transfer visible.
func (h *Hub) beginProgress(who string, s *instance.Snapshot, log *zerolog.Logger) *Progress {
	rows := 0
	if s.View != nil {
		h.node.Read(func() { rows = s.View.Rows() })
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.joins.open[who]
	p.begin(*log, "sending the snapshot")
	p.total.Store(uint64(rows))
	return p
}

func (h *Hub) endJoin(uuid string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.joins.open, uuid)
	h.wg.Done()
}

// requestState asks the core for a state, or a registration, and waits for it.
func (h *Hub) requestState(ctx context.Context, ask func(tag uint64) instance.Event) (instance.Snapshot, error) {
	answer := make(chan instance.Snapshot, 1)
	h.mu.Lock()
	h.joins.tags++
	tag := h.joins.tags | tagJoin
	h.joins.answers[tag] = answer
	h.mu.Unlock()
	if err := h.node.Submit(ask(tag)); err != nil {
		return instance.Snapshot{}, err
	}
	limit, cancel := context.WithTimeout(ctx, h.cfg.JoinTimeout)
	defer cancel()
	select {
	case s := <-answer:
		if s.Err != nil {
			h.closeView(&s)
			return s, s.Err
		}
		return s, nil
	case <-limit.Done():
	}
	h.mu.Lock()
	delete(h.joins.answers, tag)
	h.mu.Unlock()
	select {
	case s := <-answer: // it came meanwhile
		h.closeView(&s)
	default:
	}
	var why *xrow.Error // of who has ended it
	if errors.As(context.Cause(ctx), &why) {
		return instance.Snapshot{}, why
	}
	return instance.Snapshot{}, xrow.Errorf(xrow.ErrSyncQuorumTimeout)
}

func (h *Hub) closeView(s *instance.Snapshot) {
	if s.View != nil {
		_ = h.node.Submit(instance.CloseView{View: s.View}) // the loop has ended: the view with it
	}
}

// joinStream writes the answer to a JOIN or FETCH_SNAPSHOT.
type joinStream struct {
	hub     *Hub
	link    *iproto.Link
	sync    uint64
	version uint32 // of the joiner; 0: not told, then it knows no META stage
	ours    bool   // the joiner is
	final   bool   // there is a final stage
	group   string // whose state it is
	buf     []byte
	out     *outlet
	told    *Progress
	rests   *rests // nil: it takes what it can
}

func (j *joinStream) send(s *instance.Snapshot) error {
	defer j.hub.closeView(s)
	j.out = newOutlet(j.hub, j.link, nil)
	defer j.out.close()
	defer func() { _ = j.link.SetWriteDeadline(time.Time{}) }()
	stop := context.AfterFunc(j.hub.ctx, func() { _ = j.link.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	j.ok(&s.State.VClock)
	if j.version != 0 {
		j.meta(&s.State)
	}
	if s.View != nil {
		j.out.view = s.View
		err := j.sendRows(s.View.Pager(), s.View.IsLocal)
		j.out.view = nil
		_ = j.hub.node.Submit(instance.CloseView{View: s.View, Goes: true}) // the joiner may be at it for long
		var e *xrow.Error
		if errors.As(err, &e) {
			j.out.fail(e, j.sync)
		}
		if err != nil {
			return err
		}
	}
	j.ok(&s.State.VClock) // end of the initial stage: the joiner was registered before it began
	if j.final {
		j.ok(&s.State.VClock) // end of the final stage, which is empty: the stream has the rest
	}
	if err := j.flush(); err != nil {
		return err
	}
	return j.out.finish()
}

func (j *joinStream) row(t xrow.Type, replicaID uint32, body []byte) {
	r := xrow.Row{Type: t, Sync: j.sync, ReplicaID: replicaID, Body: body}
	j.buf = r.Append(j.buf)
}

func (j *joinStream) ok(v *vclock.VClock) {
	j.row(xrow.OK, 0, xrow.AppendGroupVClockBody(nil, v, j.group))
}

// meta tells the term, what was promoted, and to ours which rows are decided.
func (j *joinStream) meta(s *instance.State) {
	var newest terms.Span
	if n := len(s.History); n > 0 {
		newest = s.History[n-1]
	}
	var about []byte
	if j.ours {
		meta := xrow.JoinMetaBody{History: s.History, Term: newest.Term, LSN: s.Confirmed, Tuples: j.told.expected(), Share: s.Share}
		about = meta.AppendBody(nil)
	}
	j.row(xrow.JoinMeta, 0, about)
	raft := xrow.Raft{Term: s.Term, Vote: s.Vote, LeaderID: s.Vote}
	r := xrow.Row{Type: xrow.RaftState, Sync: j.sync, Body: raft.AppendBody(nil)}
	if wantsRaftLocal(j.version) {
		r.GroupID = xrow.GroupLocal
	}
	j.buf = r.Append(j.buf)
	confirmed := s.ConfirmedOf
	if newest.Owner != 0 && newest.Rules == terms.Tarantool {
		confirmed[newest.Owner] = max(confirmed[newest.Owner], s.Confirmed)
	}
	promote := xrow.Synchro{ReplicaID: newest.Owner, LSN: s.Confirmed, Term: newest.Term, VClock: &confirmed}
	if !j.ours {
		promote.LSN = confirmed[newest.Owner]
		promote.Term = max(promote.Term, 1) // Tarantool's queue begins with term 1
	}
	j.row(xrow.Promote, newest.Owner, promote.AppendBody(nil))
	j.row(xrow.JoinSnapshot, 0, nil)
}

// pages are the tuples of a view, see box.Pager.
type pages interface {
	Fill() (more bool)
	Rows() iter.Seq2[uint32, []byte]
}

// sendRows sends the tuples of a view. A page is taken while the core stands
// still, and encoded while it goes on.
func (j *joinStream) sendRows(from pages, isLocal func(space uint32) bool) error {
	for more := true; more; {
		begun := time.Now()
		j.hub.node.Scan(func() { more = from.Fill() })
		for space, tuple := range from.Rows() {
			if isLocal(space) {
				continue
			}
			j.insert(space, tuple)
			if len(j.buf) < joinBytes {
				continue
			}
			j.rests.worked(begun)
			if err := j.flush(); err != nil {
				return err
			}
			begun = time.Now()
		}
		j.rests.worked(begun)
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
	j.told.add(len(tuple))
}

func (j *joinStream) flush() (err error) {
	j.buf, err = j.out.put(j.buf)
	return err
}

// armWrite bounds a write to a joiner, and refuses it when the hub has ended.
func (h *Hub) armWrite(link *iproto.Link) error {
	if err := link.SetWriteDeadline(time.Now().Add(h.cfg.JoinTimeout)); err != nil {
		return err
	}
	if h.ctx.Err() != nil {
		return context.Cause(h.ctx)
	}
	return nil
}
