package replication

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// Hub carries effects of the core to relays and appliers. It is the
// instance.Peers of a Loop.
type Hub struct {
	cfg        Config
	times      atomic.Pointer[times]
	copyLimits atomic.Pointer[copyLimits]
	node       Node // set by Start

	mu       sync.Mutex // guards what follows; never held over I/O or Submit
	feed     feed
	acking   acking
	joins    joins
	doubles  doubles
	relays   []*relay
	appliers []*applier
	expelled bool
	closed   bool
	gapTold  bool
	refused  refusals // has a lock of its own
	forwards forwarder
	copier   copier
	giving   giving
	files    copyFiles
	shareGen uint64             // of the share that streams are to have, see reshare
	replicas []instance.Replica // those that are registered, by their UUIDs; see Effects

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
}

// ErrClosed is why connections end when the Hub is closed.
var ErrClosed = errors.New("replication: closed")

// errExpelled is why they end when our own row in _cluster is gone.
var errExpelled = errors.New("replication: this instance was expelled")

// New makes a Hub that does nothing before Start.
func New(cfg Config) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Hub{cfg: cfg, feed: feed{ring: ring{limit: cfg.RingBytes}}, joins: newJoins(), doubles: newDoubles()}
	h.times.Store(&times{death: cfg.DeathTimeout, tarantool: cfg.TarantoolTimeout, heartbeat: cfg.Heartbeat, reconnect: cfg.ReconnectMax})
	h.copyLimits.Store(&copyLimits{cfg.CopyTimeout, cfg.MaxCopies})
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	h.forwards.hub = h
	return h, nil
}

// times are what may change while the hub runs.
type times struct {
	death     time.Duration
	tarantool time.Duration // death, of peers of Tarantool's kind
	heartbeat time.Duration
	reconnect time.Duration
}

// silence is how long a peer of a kind may say nothing.
func (t *times) silence(kind xrow.Kind) time.Duration {
	if kind == xrow.Tarantool {
		return t.tarantool
	}
	return t.death
}

// SetTimes changes the death timeout and the longest pause between attempts to
// connect; 0: the default. Streams that run follow with their next read.
func (h *Hub) SetTimes(death, reconnect time.Duration) {
	t := instance.TimingsOf(death)
	setDefault(&reconnect, t.Death)
	h.times.Store(&times{death: t.Death, tarantool: t.Tarantool, heartbeat: t.Heartbeat, reconnect: reconnect})
}

// Start begins to serve and to follow the configured peers. The node's loop
// may run already; what it has handed over since New is not lost.
func (h *Hub) Start(node Node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.node = node
	h.cleanCopies() // of a life that has ended without
	for _, p := range h.cfg.Peers {
		a := newApplier(h, p)
		h.appliers = append(h.appliers, a)
		h.wg.Go(a.run)
	}
	h.beginCopy()
}

// Close ends all connections and waits for the goroutines. Loop and log must
// outlive it.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel(ErrClosed)
	h.wg.Wait()
	h.mu.Lock()
	for _, f := range h.files.list {
		f.gone = true // its time is over, and another life has files of the same names
	}
	h.mu.Unlock()
	h.cleanCopies()
}

// Handle takes the effects of a Step. It implements instance.Peers.
func (h *Hub) Handle(e *instance.Effects) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(e.Forwards) > 0 && !h.closed && !h.expelled {
		h.forwards.take(e.Forwards)
	}
	all, more, turn := h.feed.take(e, h.demand())
	for _, r := range h.relays {
		switch {
		case all:
			r.wakeUp()
		case more && !h.holdsBack(r):
			r.wakeForRows()
		}
	}
	h.acking.mute = e.Mute
	h.park(e)
	h.orderCopy(e)
	if e.Share != nil {
		h.reshare(e.Share)
	}
	if e.Replicas != nil {
		h.noteReplicas(e.Replicas)
	}
	if e.Ack != nil || turn {
		h.wakeAcks(e.Ack, turn)
	}
	for _, r := range e.Refused {
		h.refuse(r)
	}
	for _, r := range e.Ended {
		h.endRelay(r)
	}
	if e.Expelled && !h.expelled {
		h.expelled = true
		h.cancel(errExpelled)
	}
}

// park makes appliers with rows wait, or lets them go on. While one waits it reads
// no heartbeats: it answers the core's own, so that its peer sees that we live.
// The lock is held.
func (h *Hub) park(e *instance.Effects) {
	h.acking.park(e.Park)
	for _, a := range h.appliers {
		if a.waits && e.Beat {
			a.beat = true
		}
	}
}

// Shown is what peers were told last. It is final once the Hub is closed.
func (h *Hub) Shown() instance.Shown {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := instance.Shown{Term: h.feed.raft.term, Vote: h.feed.raft.vote, Ack: h.acking.said.VClock}
	if h.acking.said.Term > s.Term {
		s.Term, s.Vote = h.acking.said.Term, 0
	}
	return s
}

// wakeAcks takes what the core says and wakes those who have to pass it on: see
// ackWriter. The lock is held.
func (h *Hub) wakeAcks(ack *instance.AckState, turn bool) {
	rows, term := false, false
	if ack != nil {
		rows, term = h.acking.take(ack)
	}
	for _, a := range h.appliers {
		if turn || term || a.beat || rows && h.urgent(a) {
			signal(a.wake)
		}
	}
}

// setSight takes down what a peer shows; leader 0: nothing is known.
func (h *Hub) setSight(peer uint32, s sight) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.feed.setSight(peer, s) {
		return
	}
	for _, r := range h.relays {
		if r.peer == peer {
			r.wakeUp()
		}
	}
}

// demand is who reads what there is to send. The lock is held.
func (h *Hub) demand() demand {
	if len(h.relays) == 0 {
		return noDemand
	}
	for _, r := range h.relays {
		if r.share != nil {
			return demandCut
		}
	}
	return demandAll
}

// holdsBack tells whether a peer gets its rows from the leader that both of us
// hear, so that our relay need not send them. The lock is held.
//
// Peers of Tarantool's kind always get them at once: their next ack may have
// been on its way when the heartbeat left, so it does not answer it, and their
// own clocks of lag and synchronization go by the rows that arrive. What they
// have already they drop.
func (h *Hub) holdsBack(r *relay) bool {
	return r.kind == xrow.Tarragon && h.feed.hearsOurLeader(r.peer)
}

// urgent tells whether a peer must hear at once what is on our disk: one of the
// Tarantool kind does, as it would from its like. The lock is held.
func (h *Hub) urgent(a *applier) bool {
	return h.feed.lazy == 0 || h.feed.lazy == a.peer || a.kind == xrow.Tarantool
}

// refuse ends the stream from a peer whose rows cannot be taken.
func (h *Hub) refuse(r instance.Refusal) {
	for _, a := range h.appliers {
		if a.peer == r.Peer && a.drop != nil {
			a.drop(r.Err)
		}
	}
}

// endRelay ends our stream to a member that says what cannot be. The lock is held.
func (h *Hub) endRelay(r instance.Refusal) {
	for _, to := range h.relays {
		if to.peer == r.Peer && to.end == nil {
			to.end = r.Err
			to.wakeUp()
		}
	}
}

// signal wakes the one that waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (h *Hub) addRelay(r *relay) *xrow.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.expelled {
		return xrow.Errorf(xrow.ErrLoading)
	}
	if err := h.meet(r.uuid, r.process, r.peer == 0); err != nil {
		return err
	}
	for _, other := range h.relays {
		if other.uuid == r.uuid && (other.peer == 0) == (r.peer == 0) {
			return errDuplicate()
		}
	}
	if r.peer != 0 && h.joins.open[r.uuid] != nil {
		return errDuplicate()
	}
	if err := h.refuseReplica(&r.subscriber); err != nil {
		return err // it was dropped meanwhile
	}
	h.relays = append(h.relays, r)
	h.wg.Add(1)
	for _, a := range h.appliers { // it is up: no need to wait for the next attempt
		if a.uuid == r.uuid {
			signal(a.kick)
		}
	}
	return nil
}

func (h *Hub) removeRelay(r *relay) {
	h.forgetRelay(r)
	h.wg.Done()
}

// forgetRelay lets the peer come again.
func (h *Hub) forgetRelay(r *relay) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.relays = slices.DeleteFunc(h.relays, func(o *relay) bool { return o == r })
}

func errDuplicate() *xrow.Error {
	return xrow.Errorf(xrow.ErrCfg, "replication", "duplicate connection with the same replica UUID")
}

// wall is the time of rows and acks, as seconds since the epoch.
func (h *Hub) wall() float64 { return h.node.Now().Wall }

// noteEnd takes down how an attempt to follow a peer ended. When nobody brings us
// on and somebody no longer has the rows, the owner is told to join anew, unless
// this instance holds all that is committed: then the rows are void ones.
func (h *Hub) noteEnd(a *applier, err error) {
	info, now := h.node.Info(), h.node.Now().Mono
	h.mu.Lock()
	a.noteEnd(err, now)
	var cause error
	if !h.gapTold && !info.HasAll {
		cause = h.allBehind(info.Raft, now)
		h.gapTold = cause != nil
	}
	h.mu.Unlock()
	if cause != nil {
		h.cfg.Logger.Error().Err(cause).Msg("no peer has the rows that this instance needs: it has to join anew")
		h.cfg.MustJoin(cause)
	}
}

// noteEnd: one gap says little. The peer may have joined by a state that we gave
// after the SUBSCRIBE was written, and then its log begins behind that. The next one
// is written behind it, so a second gap in a row is one. The hub's lock is held.
func (a *applier) noteEnd(err error, now time.Duration) {
	again := a.lacks
	a.tried, a.gap, a.lacks = true, nil, isGap(err)
	switch {
	case a.lacks && again:
		a.gap = err
	case a.lacks:
		a.lacksAt = now
	}
}

// isGap tells whether a peer no longer has the rows that we asked for. Old
// releases say so by the class of the error alone.
func isGap(err error) bool {
	var e *xrow.Error
	return errors.As(err, &e) && (e.Code == xrow.ErrXlogGap || e.Class() == "XlogGapError")
}

// allBehind is the gap at some peer if every peer was tried and none brings us on;
// else nil. A peer does that as long as we follow it, but where elections are on only
// if it leads or has rows that we have not: two that lack the same would follow each
// other for ever, and the others could neither elect nor commit without them. What
// such a peer gets it would pass on soon. The lock is held.
func (h *Hub) allBehind(elections bool, now time.Duration) (gap error) {
	wait := time.Duration(0)
	for _, a := range h.appliers {
		if !a.tried || a.drop != nil && (!elections || a.peer == h.feed.lazy || a.state != StateFollow) {
			return nil
		}
		if a.drop != nil {
			wait = h.times.Load().death
		}
	}
	for _, a := range h.appliers {
		if a.gap != nil && now-a.lacksAt >= wait {
			return a.gap
		}
	}
	return nil
}
