package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// State is where an applier stands, by the words of box.info.replication
// (Tarantool, src/box/applier.h).
type State string

// States of an applier.
const (
	StateConnect      State = "connect"
	StateConnected    State = "connected"
	StateAuth         State = "auth"
	StateReady        State = "ready"
	StateSync         State = "sync"
	StateFollow       State = "follow"
	StateLoading      State = "loading"
	StateDisconnected State = "disconnected"
	StateStopped      State = "stopped"
	StateOff          State = "off"
)

// features of our requests' ID: what replication uses.
var features = iproto.Features(0).With(iproto.FeatureErrorExtension).With(iproto.FeatureWatchers)

// applier follows one configured peer.
type applier struct {
	hub  *Hub
	conf Peer
	log  zerolog.Logger
	wake chan struct{} // capacity 1: there may be an ack to send
	kick chan struct{} // capacity 1: the peer is there, connect now

	home     chan *batch
	followed uint32 // the peer that we followed last and that may turn out to be gone; 0: none
	failures failures
	compared bool      // with the peer's history, see compare
	stranger xrow.Code // by which the last SUBSCRIBE found no row of ours at the peer, see strangerBy

	upstream // guarded by the hub's lock
}

// upstream is how an applier stands with its peer, for all others.
type upstream struct {
	state   State
	message string
	uuid    string     // of the peer, as its greeting says
	site    netip.Addr // where it let us in last, see PeerAt
	peer    uint32     // its replica ID; 0: not known
	process uint64     // of the peer whose stream we follow; 0: not told
	kind    xrow.Kind  // what it said that it is; told once we follow it
	lag     float64
	heardAt time.Duration
	attempts
	drop  func(error) // ends the connection
	beat  bool        // a heartbeat waits for its ack
	waits bool        // for room for rows
	sync  uint64      // VCLOCK_SYNC of the newest heartbeat
}

// attempts is what those to follow a peer have come to, as far as its log goes.
type attempts struct {
	gap     error         // XlogGapError that ended the last two; nil: none
	lacks   bool          // one ended the last
	lacksAt time.Duration // when that began, with the first of them in a row
	tried   bool          // one has ended
}

func newApplier(h *Hub, p Peer) *applier {
	return &applier{hub: h, conf: p, log: h.cfg.Logger.With().Str("peer", p.Addr).Str("name", p.Name).Logger(),
		wake: make(chan struct{}, 1), kick: make(chan struct{}, 1), home: newBatches(), upstream: upstream{state: StateConnect}}
}

// firstPause is the pause after the second failed attempt; it doubles.
const firstPause = 10 * time.Millisecond

// run connects again and again, until the hub ends or the peer has refused us
// for good. The first attempt after a stream that lived for a while was lost
// follows at once: it tells whether the peer's process is gone.
func (a *applier) run() {
	ctx := a.hub.ctx
	pause := time.Duration(0)
	for ctx.Err() == nil {
		begun := time.Now()
		wasUp, err := a.session(ctx)
		if ctx.Err() != nil {
			break
		}
		again := a.failed(err)
		if !again && !isForeign(err) {
			return
		}
		if wasUp && time.Since(begun) > a.hub.times.Load().heartbeat {
			pause = 0
			continue
		}
		if pause = min(max(2*pause, firstPause), a.hub.times.Load().reconnect); !again {
			pause = foreignPause
		}
		if !a.rest(ctx, pause) {
			break
		}
	}
	a.set(StateOff, context.Cause(ctx).Error())
}

// foreignPause is between looks at a peer of another replica set. Where that one
// gives way, its next SUBSCRIBE here kicks us.
const foreignPause = 30 * time.Second

// isForeign tells that the peer is of another replica set, or another line: nobody's to
// follow, until that set gives way and the peer joins ours (founding.go). A Tarantool is not one
// to follow for a filtered replica, until one of ours takes its place.
func isForeign(err error) bool {
	if errors.Is(err, ErrParted) || errors.Is(err, errCutsNothing) {
		return true
	}
	var e *xrow.Error
	return errors.As(err, &e) && e.Code == xrow.ErrReplicasetUUIDMismatch
}

// kickPause is what a kick leaves of a pause: two that refuse each other would kick
// each other without end.
const kickPause = 100 * time.Millisecond

// rest waits for the next attempt.
func (a *applier) rest(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	least := time.NewTimer(min(pause, kickPause))
	defer least.Stop()
	select {
	case <-t.C:
		return true
	case <-a.kick:
	case <-ctx.Done():
		return false
	}
	select {
	case <-least.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// failed takes down why an attempt ended, and tells whether to try again.
func (a *applier) failed(err error) (again bool) {
	state, again := classify(err)
	if state == StateOff {
		a.set(StateOff, "")
		a.hub.noteEnd(a, err)
		return false
	}
	a.set(state, err.Error())
	level := zerolog.DebugLevel
	switch fresh := a.failures.add(state, err, a.hub.node.Now().Mono); {
	case !again && (fresh || !isForeign(err)): // a foreign one is looked at again
		level = zerolog.ErrorLevel
	case fresh:
		level = zerolog.WarnLevel
	}
	a.log.WithLevel(level).Str("state", string(state)).Err(err).Msg("upstream failed")
	a.hub.noteEnd(a, err)
	return again
}

// classify is what applier_f of Tarantool makes of an error (src/box/applier.cc).
func classify(err error) (state State, again bool) {
	var e *xrow.Error
	switch {
	case errors.Is(err, ErrParted):
		return StateStopped, false
	case !errors.As(err, &e):
		return StateDisconnected, true
	}
	switch e.Class() {
	case "SocketError", "SystemError", "TimedOut", "OutOfMemory", "SSLError":
		return StateDisconnected, true
	case "XlogGapError":
		return StateLoading, true
	}
	switch e.Code {
	case xrow.ErrConnectionToSelf:
		return StateOff, false
	case xrow.ErrLoading, xrow.ErrTooEarlySubscribe, xrow.ErrSyncQuorumTimeout, xrow.ErrSyncRollback, xrow.ErrCfg,
		xrow.ErrAccessDenied, xrow.ErrNoSuchUser, xrow.ErrCredsMismatch, xrow.ErrInstanceUUIDMismatch:
		return StateLoading, true
	case xrow.ErrSystem, xrow.ErrSSL, xrow.ErrNilUUID:
		return StateDisconnected, true
	case xrow.ErrProtocol:
		// Ours, not Tarantool's: what does not fit together is asked for again,
		// from the vclock on. An applier that stops for good needs somebody to
		// look at it at night.
		return StateDisconnected, true
	}
	return StateStopped, false
}

func (a *applier) set(s State, message string) {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	a.state, a.message = s, message
}

// enter goes a step on towards following: why the last attempt failed stays
// readable until then.
func (a *applier) enter(s State) {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	a.state = s
}

// session is one connection, from the greeting to its end. wasUp tells that
// rows could have come.
func (a *applier) session(ctx context.Context) (wasUp bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c, err := a.connect(ctx)
	if err != nil {
		return false, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := a.compare(ctx, c); err != nil {
		return false, err
	}
	removed := a.stranger != 0 && a.lacksUs(ctx)
	at, err := a.subscribe(c)
	before := a.stranger
	if a.stranger = strangerBy(err); a.stranger != 0 && a.stranger == before && removed {
		_ = a.hub.node.Submit(instance.Removed{}) // else the loop has ended
	}
	if err != nil {
		return false, err
	}
	err = a.follow(ctx, cancel, c, at)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return true, err
}

// connect brings a connection to where requests are taken.
func (a *applier) connect(ctx context.Context) (*iproto.Client, error) {
	a.enter(StateConnect)
	limit, cancel := context.WithTimeout(ctx, a.hub.times.Load().death)
	defer cancel()
	c, err := a.conf.dial(limit)
	if err != nil {
		if isGone(err) {
			a.tellRefused()
		}
		return nil, err
	}
	if err := a.greet(c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// isGone tells that no process serves there, not even one that is stuck: nobody
// listens, or who takes the connection, such as a proxy, ends it without a
// greeting, which ours sends at once.
func isGone(err error) bool {
	for _, is := range []error{syscall.ECONNREFUSED, syscall.ENOENT, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// tellRefused lets the core know that the peer's process is gone: elections
// need not wait for silence.
func (a *applier) tellRefused() {
	if a.followed == 0 {
		return
	}
	a.log.Info().Uint32("id", a.followed).Msg("peer refuses connections: its process is gone")
	_ = a.hub.node.Submit(instance.Upstream{Peer: a.followed, State: instance.UpstreamRefused}) // else the loop has ended
	a.followed = 0
}

func (a *applier) greet(c *iproto.Client) error {
	if err := c.SetDeadline(time.Now().Add(a.hub.times.Load().death)); err != nil {
		return err
	}
	a.hub.mu.Lock()
	a.state, a.uuid = StateConnected, c.Greeting.UUID
	a.hub.mu.Unlock()
	switch c.Greeting.UUID {
	case a.hub.cfg.UUID:
		return xrow.Errorf(xrow.ErrConnectionToSelf)
	case xrow.NilUUID:
		return xrow.Errorf(xrow.ErrNilUUID)
	}
	if err := hello(c, &a.conf, func() { a.enter(StateAuth) }); err != nil {
		return err
	}
	if err := confirmGroup(c, a.hub.cfg.Group); err != nil {
		return err
	}
	a.hub.mu.Lock()
	a.site = iproto.Site(c.RemoteAddr())
	a.hub.mu.Unlock()
	return nil
}

// PeerAt tells whether a configured peer let us in at a [iproto.Site] lately.
func (h *Hub) PeerAt(site netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.appliers, func(a *applier) bool { return a.site == site && site.IsValid() })
}

// hello exchanges features and logs in, if the peer is configured with a user.
func hello(c *iproto.Client, p *Peer, auth func()) error {
	if release := greetingVersion(c.Greeting.Version); release == 0 || release >= version(2, 10, 0) {
		if err := c.Hello(features); err != nil {
			return err
		}
	}
	if p.User == "" {
		return nil
	}
	auth()
	return c.Login(p.User, p.Password)
}

// subscription is what was agreed on with a peer.
type subscription struct {
	peer    uint32
	from    vclock.VClock    // what we held
	target  vclock.VClock    // what the peer held: with that we have caught up
	kind    xrow.Kind        // of the peer
	feature uint32           // the newest feature level that it reads; 0: not told
	procs   []xrow.Procedure // that it has
	gen     uint64           // of the share that was asked for; 0: all was
	back    bool             // it has less than it had acked before
	runs    bool             // rows or a heartbeat came
	process uint64           // of the peer; 0: not told
}

// subscribe asks for the stream.
func (a *applier) subscribe(c *iproto.Client) (at subscription, err error) {
	a.enter(StateReady)
	h := a.hub
	info := h.node.Info()
	h.mu.Lock()
	h.acking.self = info.ID
	h.acking.said.Timestamp = 0 // of rows before this connection: no lag of it
	h.mu.Unlock()
	if info.ReplicasetUUID == "" {
		return at, xrow.Errorf(xrow.ErrLoading)
	}
	req := h.subscribeRequest(&info)
	if err := c.WriteRow(&xrow.Row{Type: xrow.Subscribe, Body: req.AppendBody(nil)}); err != nil {
		return at, err
	}
	row, err := c.ReadRow()
	if err != nil {
		return at, err
	}
	if e := row.AsError(); e != nil {
		return at, e
	}
	if row.Type != xrow.OK {
		return at, xrow.Errorf(xrow.ErrUnknownRequestType, uint32(row.Type))
	}
	ok, err := xrow.DecodeSubscribeOK(row.Body)
	if err == nil {
		err = checkGroup(h.cfg.Group, ok.Group)
	}
	if err != nil {
		return at, err
	}
	if ok.ReplicasetUUID != info.ReplicasetUUID {
		return at, xrow.Errorf(xrow.ErrReplicasetUUIDMismatch, info.ReplicasetUUID, orNil(ok.ReplicasetUUID))
	}
	if a, b := info.ReplicasetName, ok.ReplicasetName; a != "" && b != "" && a != b {
		return at, xrow.Errorf(xrow.ErrReplicasetNameMismatch, a, b)
	}
	if h.cfg.Filter != "" && ok.Kind != xrow.Tarragon {
		return at, cutsNothing(h.cfg.Filter)
	}
	if row.ReplicaID == 0 && h.cfg.Anon {
		return at, xrow.Errorf(xrow.ErrUnsupported, "Tarragon", "following a replica that is anonymous itself")
	}
	if row.ReplicaID == 0 || row.ReplicaID >= vclock.Max {
		return at, xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("SUBSCRIBE answered by instance %d", row.ReplicaID))
	}
	at = subscription{peer: row.ReplicaID, from: info.Synced, target: ok.VClock, kind: ok.Kind, feature: ok.Feature, procs: ok.Procedures, process: ok.Process}
	if info.Share != nil {
		at.gen = info.Share.Gen
	}
	if m, found := info.member(c.Greeting.UUID); found && m.ID == at.peer {
		at.back = !ok.VClock.Covers(&m.Shown.Ack)
	}
	ev := instance.ShownBefore{From: at.peer} // a Tarantool says nothing of that
	if s := &ok.Shown; s.Incarnation != 0 && s.Incarnation == h.cfg.Incarnation {
		ev.Shown = instance.Shown{Term: s.Term, Vote: s.Vote, Ack: s.VClock}
	}
	return at, h.node.Submit(ev)
}

// strangerBy is the code by which a peer refused us as one that it does not know,
// or that it knows in another life only; 0: it did not.
func strangerBy(err error) xrow.Code {
	for _, code := range [...]xrow.Code{xrow.ErrTooEarlySubscribe, xrow.ErrInstanceUUIDMismatch} {
		if errors.Is(err, code) {
			return code
		}
	}
	return 0
}

// lacksUs tells whether a peer of our kind holds all rows of others that we hold,
// those that make us a member among them, and no row of ours, not one whose fate
// is open there either: it may not have heard yet that ours is committed. Then the
// row was deleted while we were away, and nobody will ever send us that: who is no
// member is not served. A confirmed row of another life of ours is as good: the one
// that made us a member is behind it.
//
// Our own rows do not matter: nobody registers itself, but for the bootstrapper,
// whom everybody knows. They may be on our disk alone.
func (a *applier) lacksUs(ctx context.Context) bool {
	info := a.hub.node.Info()
	if _, member := info.member(a.hub.cfg.UUID); !member {
		return false
	}
	_, b, err := askBallot(ctx, &a.conf, a.hub.cfg.Group, a.hub.times.Load().death)
	others := info.Synced
	others[info.ID] = 0
	return err == nil && b.Kind == xrow.Tarragon && b.Replicaset == info.ReplicasetUUID && b.VClock.Covers(&others) &&
		(a.stranger == xrow.ErrInstanceUUIDMismatch || !slices.Contains(b.Registered, a.hub.cfg.UUID))
}

// checkLog tells whether a Tarantool that begins with a heartbeat still has the
// rows that we lack. After a checkpoint that dropped its whole log, and before
// its next write, it has no file that could show the gap, and sends nothing.
func (a *applier) checkLog(ctx context.Context, at *subscription) error {
	if at.from.Covers(&at.target) {
		return nil
	}
	_, b, err := askBallot(ctx, &a.conf, a.hub.cfg.Group, a.hub.times.Load().death)
	if err != nil || at.from.Covers(&b.GCVClock) {
		return nil // no word: the stream will tell
	}
	return gapError(fmt.Errorf("%w: it keeps those behind %s, and this instance has %s", ErrGap, b.GCVClock, at.from))
}

// subscribeRequest asks for all that we do not hold. The filter of origins is
// empty where Tarantool names itself: our own rows come only if the peer has
// some that we have not, and those we must see, before we write their LSNs anew.
func (h *Hub) subscribeRequest(info *Info) xrow.SubscribeRequest {
	incarnation := h.cfg.Incarnation
	if m, found := info.member(h.cfg.UUID); found && h.cfg.TakesMark && m.ID == info.ID && xrow.KindOf(m.Incarnation) == xrow.Tarragon {
		incarnation = m.Incarnation
	}
	req := xrow.SubscribeRequest{ReplicasetUUID: info.ReplicasetUUID, ReplicasetName: info.ReplicasetName, InstanceUUID: h.cfg.UUID, InstanceName: h.cfg.Name,
		VClock: info.Synced, ServerVersion: h.cfg.Version, Kind: xrow.Tarragon, Incarnation: incarnation, Process: h.cfg.Process, Group: h.cfg.Group, Feature: h.cfg.Feature, Procedures: h.cfg.Procedures}
	if h.cfg.Anon {
		req.Incarnation = 0
		req.Anon, req.IDFilter = true, 1<<0
		if info.Share == nil {
			req.InstanceName = ""
		} else { // it is registered under its name
			req.Share = info.Share.Share
		}
	}
	return req
}

// refuseBegun tells why a stream that a peer gives is not followed. The lock is held.
func (h *Hub) refuseBegun(uuid string, at *subscription) error {
	if err := h.meet(uuid, at.process, false); err != nil {
		return err
	}
	if at.gen < h.shareGen {
		return errShare // it changed while we asked
	}
	return nil
}

// follow reads the stream until it ends.
func (a *applier) follow(ctx context.Context, cancel context.CancelCauseFunc, c *iproto.Client, at subscription) error {
	h, peer := a.hub, at.peer
	h.mu.Lock()
	if err := h.refuseBegun(a.uuid, &at); err != nil {
		h.mu.Unlock()
		return err
	}
	a.state, a.message, a.peer, a.kind, a.drop = StateSync, "", peer, at.kind, cancel
	a.process = at.process
	a.gap, a.tried = nil, true
	a.beat, a.sync = true, 0
	h.mu.Unlock()
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if err := h.node.Submit(instance.Upstream{Peer: peer, State: instance.UpstreamFollow, Kind: at.kind, Feature: at.feature, Procedures: at.procs, Back: at.back}); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.sendAcks(ctx, c.Link, &at); err != nil {
			cancel(err)
		}
	}()
	err := a.readStream(ctx, c, &at)
	cancel(err)
	_ = c.SetDeadline(time.Unix(1, 0)) // the ack writer may be in a write
	<-done
	h.mu.Lock()
	a.drop = nil
	h.mu.Unlock()
	h.setSight(peer, sight{})
	a.followed = peer
	if serr := h.node.Submit(instance.Upstream{Peer: peer, State: instance.UpstreamLost}); serr != nil {
		return serr
	}
	return err
}

// runs is told that the stream has brought rows or a heartbeat: a peer that
// lacks what we need takes the SUBSCRIBE, and says so only then.
func (a *applier) runs(at *subscription) {
	if at.runs {
		return
	}
	at.runs = true
	ev := a.log.Info().Uint32("id", at.peer).Str("vclock", at.target.String())
	if n, since := a.failures.over(); n > 0 {
		ev = ev.Int("failures", n).Dur("down", a.hub.node.Now().Mono-since)
	}
	ev.Msg("upstream started")
}

func (a *applier) readStream(ctx context.Context, c *iproto.Client, at *subscription) error {
	h, peer := a.hub, at.peer
	s := stream{link: c.Link, from: peer, done: ctx.Done(), home: a.home}
	defer s.drop()
	s.onRows = func(ev instance.Rows) error {
		ev.Gen = at.gen
		a.runs(at)
		if err := a.waitRoom(ctx); err != nil {
			return err
		}
		return h.node.Submit(ev)
	}
	s.onRaft = func(msg xrow.Raft) error {
		h.setSight(peer, sightOf(peer, &msg))
		return h.node.Submit(instance.RaftMsg{From: peer, Msg: msg})
	}
	s.onHeartbeat = func(sync uint64) error {
		if !at.runs && at.kind == xrow.Tarantool {
			if err := a.checkLog(ctx, at); err != nil {
				return err
			}
		}
		a.runs(at)
		h.mu.Lock()
		a.beat, a.sync = true, sync
		h.mu.Unlock()
		return h.node.Submit(instance.Heartbeat{From: peer, Sync: sync})
	}
	s.onTime = func(stamp float64) { a.noteTime(stamp, &at.target) }
	for {
		if err := c.SetReadDeadline(time.Now().Add(h.times.Load().silence(at.kind))); err != nil {
			return err
		}
		if ctx.Err() != nil { // the deadline may have undone what ended us
			return context.Cause(ctx)
		}
		if err := s.read(); err != nil {
			return silence(err)
		}
	}
}

// waitRoom holds rows back while too much waits for our disk. What their peer sends
// meanwhile stays with it, or between us.
func (a *applier) waitRoom(ctx context.Context) error {
	h := a.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.acking.parked {
		room := h.acking.room
		a.waits, a.message = true, "rows wait: too much is to be written to this instance's disk"
		h.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
		h.mu.Lock()
		a.waits, a.message = false, ""
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// sightOf is the leader that a peer shows: itself, or one that it hears.
func sightOf(peer uint32, msg *xrow.Raft) sight {
	switch {
	case msg.State == 3:
		return sight{term: msg.Term, leader: peer}
	case msg.IsLeaderSeen:
		return sight{term: msg.Term, leader: msg.LeaderID}
	}
	return sight{}
}

// noteTime keeps the lag, and ends SYNC when we hold what the peer held.
func (a *applier) noteTime(stamp float64, target *vclock.VClock) {
	h := a.hub
	now := h.node.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	a.lag = max(now.Wall-stamp, 0)
	a.heardAt = now.Mono
	if a.state == StateSync && a.lag <= syncLag && h.acking.said.VClock.Covers(target) {
		a.state = StateFollow
	}
}

// syncLag is replication_sync_lag, in seconds.
const syncLag = 10

// sendAcks says what the core says of its disk, until ctx ends.
func (a *applier) sendAcks(ctx context.Context, link *iproto.Link, at *subscription) error {
	w := ackWriter{floor: at.from}
	for {
		if frame := w.next(a); frame != nil {
			if _, err := link.Write(frame); err != nil {
				return err
			}
			continue
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			return nil
		}
	}
}
