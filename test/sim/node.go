package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// node is a host with its disk and, most of the time, a process on it. It
// stands for what Loop and the adapters do in a real instance.
type node struct {
	w    *World
	slot int
	uuid string
	name string
	disk *disk

	life     int            // number of the process; work of an older one is void
	up       bool           // a process runs, with or without a core
	hostGone bool           // no kernel answers for the host
	paused   bool           // the process is stopped, its kernel is not
	member   bool           // was part of the replica set
	identity int            // number of the instance that the host has
	going    bool           // an operator stops it, for its row is gone
	parting  *vclock.VClock // rows up to here tell that its row is gone
	mode     instance.Mode  // as its file says
	quorum   string         // the same
	went     [2]configuration
	wiped    bool          // lost its disk and has not joined again
	ended    bool          // its store says that it is no member any more: it does not start
	back     bool          // its disk went back, and it does not know that
	offset   time.Duration // its monotonic time at the start of the world
	drift    int64         // parts per million
	wall     float64       // wall time beside the world's

	core *instance.Core // nil while the process joins
	box  *box.Box
	id   uint32 // replica ID; 0: none yet

	lastID uint32 // the one that its disk had last
	voters int    // that it knows to count, itself included

	inbox []instance.Event
	taken []instance.Event // room of the last batch

	turn        *turn // the next Step of this process
	stepPlanned bool
	timerAt     time.Duration // of the planned timer event; 0: none
	lastStep    time.Duration
	steps       uint64   // so far
	frozen      struct { // with Break.DeadlinesAfterRequests: the last Step of a core
		core *instance.Core
		at   time.Duration
	}
	writable writable
	idle     int // Steps without an event, one right after the other

	shown   *xrow.Raft    // what peers are shown
	acked   vclock.VClock // what upstreams are told
	relayed uint64        // groups up to here may go out
	lazy    uint32        // hold rows back from peers that see this leader
	void    []uint64      // LSNs of own PROMOTEs that go out as NOPs
	links   []*applier    // by slot of the peer
	parked  bool          // rows of peers wait with their appliers
	relays  []*relay
	joining *joiner
	served  []*joinServer
	snaps   map[uint64]func(instance.Snapshot)

	forwards []*forwarding // to others
	asked    []*conn       // by which others forward to us

	tag    uint64
	saving bool // a checkpoint is being made
}

func (n *node) label() string {
	if n.id == 0 {
		return fmt.Sprintf("n%d/-", n.slot)
	}
	return fmt.Sprintf("n%d/%d", n.slot, n.id)
}

// running tells whether a process is there, paused or not.
func (n *node) running() bool { return n.up }

// active tells whether its core can be stepped now.
func (n *node) active() bool { return n.up && !n.paused && n.core != nil }

// mono is the node's monotonic time.
func (n *node) mono() time.Duration {
	return n.offset + n.w.now + time.Duration(int64(n.w.now)/1e6*n.drift)
}

// moment is the world's time at which the node's monotonic time is m.
func (n *node) moment(m time.Duration) time.Duration {
	t := m - n.offset
	return time.Duration(float64(t)/(1+float64(n.drift)/1e6)) + time.Microsecond
}

// start runs a new process: it recovers what the disk has, or joins.
func (n *node) start() {
	n.reset()
	if n.disk.empty() {
		n.beginJoin(false)
		return
	}
	n.recover()
}

// reset is the state of a process that has just begun.
func (n *node) reset() {
	n.life++
	n.up, n.hostGone, n.paused = true, false, false
	n.w.check.preferred.started(n)
	n.shown, n.acked, n.relayed, n.lazy, n.id, n.void = nil, vclock.VClock{}, 0, 0, 0, nil
	n.turn = &turn{n, n.life}
	n.inbox, n.taken, n.stepPlanned, n.timerAt, n.idle = nil, nil, false, 0, 0
	n.relays, n.joining, n.served, n.saving = nil, nil, nil, false
	n.forwards, n.asked = nil, nil
	n.snaps = map[uint64]func(instance.Snapshot){}
	n.links = make([]*applier, len(n.w.hosts))
	n.core, n.box, n.parked = nil, nil, false
}

// recover builds the core from the disk.
func (n *node) recover() {
	if err := n.restore(); err != nil {
		n.w.fail("recovery", "%s: %v", n.label(), err)
		return
	}
	n.w.tell(n, "recovered: vclock %v, term %d", n.disk.vclock, n.disk.term)
	n.w.check.client.recovered(n)
	n.w.check.vote.began(n)
	if n.ended = n.isOut(); n.ended {
		n.w.tell(n, "is no member any more")
		n.crash(false)
		return
	}
	n.open()
}

// isOut tells whether the store of a member has no row of it, or one of another
// life.
func (n *node) isOut() bool {
	if n.isTarantool() {
		return false
	}
	out := true
	for _, m := range append(n.box.Members(), n.box.NewestMembers()...) {
		if m.UUID == n.uuid {
			if out = m.Incarnation != 0 && m.Incarnation != n.incarnation(); out {
				return true
			}
		}
	}
	return out
}

// open lets a core that holds its state begin.
func (n *node) open() {
	n.core.Start(n.now())
	n.relayed = n.disk.synced
	n.member = true
	n.learnID()
	n.dialPeers()
	n.plan(0)
}

// now is the time that a Step is told.
func (n *node) now() instance.Now {
	return instance.Now{Mono: n.mono(), Wall: 1.7e9 + n.w.now.Seconds() + n.wall}
}

// config is the same for every process of the node.
func (n *node) config() instance.Config {
	c := n.w.plan.config
	c.UUID, c.Name = n.uuid, n.name
	c.Mode, c.Quorum, c.ParseQuorum = n.mode, n.quorum, parseQuorum
	c.SynchroQuorum, _ = parseQuorum(n.quorum)
	c.Kind = n.kind()
	c.Rand = rand.New(rand.NewPCG(n.w.seed, uint64(n.slot)<<32|uint64(n.life)))
	c.Trace = func(f instance.Fact) { n.w.fact(n, f) }
	return c
}

// isTarantool tells whether the host is of Tarantool's kind.
func (n *node) isTarantool() bool { return slices.Contains(n.w.plan.tarantools, n.slot) }

// kind is the kind of program that it is.
func (n *node) kind() xrow.Kind {
	if n.isTarantool() {
		return xrow.Tarantool
	}
	return xrow.Tarragon
}

// reads is the newest feature level that it says it reads; 0: it says nothing.
func (n *node) reads() uint32 {
	if n.isTarantool() {
		return 0
	}
	return instance.FeatureLevel
}

// incarnation is what its _cluster row has of its store.
func (n *node) incarnation() uint64 {
	if n.isTarantool() {
		return 0
	}
	return n.disk.incarnation
}

// post hands events to the node's loop.
func (n *node) post(events ...instance.Event) {
	if !n.up || n.core == nil {
		return
	}
	n.inbox = append(n.inbox, events...)
	n.plan(n.w.plan.cpu.draw(n.w))
}

// plan makes sure that a Step comes.
func (n *node) plan(d time.Duration) {
	if n.stepPlanned {
		return
	}
	n.stepPlanned = true
	n.w.queue.push(n.w.now+max(d, 0), n.turn)
}

// turn is a Step of a process.
type turn struct {
	n    *node
	life int
}

func (t *turn) happen() {
	if t.n.life == t.life {
		t.n.stepPlanned = false
		t.n.step()
	}
}

// step is one turn of the loop: all that waits, then the effects.
func (n *node) step() {
	if !n.active() {
		return
	}
	batch := n.inbox
	n.inbox = n.taken
	n.noteSyncs(batch)
	n.w.mix(uint64(n.w.now), uint64(n.slot), uint64(len(batch)))
	slept := n.w.now - n.lastStep
	n.steps++
	eff := n.stepCore(batch)
	n.w.check.client.stepped(n, batch, eff, slept)
	n.w.check.prevote.stepped(n, batch, slept)
	n.w.check.pause.stepped(n, batch)
	n.w.check.fence.stepped(n, batch)
	n.w.check.mandate.stepped(n, batch)
	n.w.check.promise.stepped(n, batch)
	n.watchIdle(len(batch) > 0)
	n.run(eff)
	n.stepLate()
	n.w.net.released(batch)
	clear(batch)
	n.taken = batch[:0]
	n.armTimer()
}

// stepCore is a Step of the core.
func (n *node) stepCore(batch []instance.Event) *instance.Effects {
	if n.w.plan.broken != (Break{}) {
		return n.stepBroken(batch)
	}
	return n.core.Step(n.now(), batch)
}

// watchIdle finds a deadline that never moves: Steps without an event that
// follow each other faster than any timer should.
func (n *node) watchIdle(busy bool) {
	if busy || n.w.now-n.lastStep > time.Millisecond {
		n.idle = 0
	} else if n.idle++; n.idle > 1000 {
		n.w.fail("deadline", "%s: 1000 idle Steps, deadline %v, time %v", n.label(), n.core.Deadline(), n.mono())
	}
	n.lastStep = n.w.now
}

// armTimer plans a Step for the core's next deadline. A planned timer that
// comes too early looks again then.
func (n *node) armTimer() {
	if n.core == nil || !n.up {
		return
	}
	at := max(n.moment(n.core.Deadline()), n.w.now+1)
	if n.timerAt != 0 && n.timerAt <= at {
		return
	}
	n.timerAt = at
	life := n.life
	n.w.queue.push(at, doing(func() {
		if n.life != life || n.timerAt != at {
			return
		}
		n.timerAt = 0
		if !n.active() {
			return
		}
		if n.core.Deadline() <= n.mono() {
			n.plan(0)
		} else {
			n.armTimer()
		}
	}))
}

// run does what a Step allows, in an order that any real loop could take.
func (n *node) run(eff *instance.Effects) {
	w := n.w
	if n.back && errors.Is(eff.Fatal, instance.ErrLostData) {
		n.noticesLoss(eff.Fatal)
		return
	}
	if eff.Fatal != nil {
		w.fail("fatal", "%s: %v", n.label(), eff.Fatal)
		return
	}
	if eff.Group != nil {
		n.write(eff.GroupNo, eff.Group, eff.Lost)
	}
	if eff.VoidPromotes != nil {
		n.void = eff.VoidPromotes
	}
	if eff.Raft != nil {
		n.show(eff.Raft)
	}
	if eff.Lazy != n.lazy {
		n.lazy = eff.Lazy
	}
	if eff.Relay > n.relayed {
		w.check.mayRelay(n, eff.Relay)
		n.relayed = eff.Relay
	}
	n.pumpAll()
	if eff.Beat {
		n.beat(eff.BeatSync)
	}
	if eff.Ack != nil {
		n.ack(eff.Ack)
	}
	for _, r := range eff.Replies {
		if r.Conn >= forwardConn {
			n.answerForwarded(r)
			continue
		}
		w.load.answer(n, r)
	}
	for _, f := range eff.Forwards {
		w.check.handover.met.Forwarded++
		n.forward(f)
	}
	for _, s := range eff.Snaps {
		n.giveSnapshot(s)
	}
	if eff.Tell != 0 {
		n.post(instance.LeaderTold{Term: eff.Tell})
	}
	n.park(eff.Park)
	if len(eff.Lost) > 0 {
		w.count(RowsVoided)
	}
	if eff.Members {
		n.learnID()
	}
	for _, r := range eff.Refused {
		n.refuseStream(r)
	}
	for _, r := range eff.Ended {
		n.endRelay(r)
	}
	if eff.Expelled {
		w.tell(n, "is expelled")
	}
}

// park makes the appliers keep rows to themselves, or lets them go on.
func (n *node) park(on bool) {
	n.parked = on
	for _, a := range n.links {
		if a != nil && !on && len(a.waits) > 0 {
			a.unpark()
		}
	}
}

// write hands a group to the disk.
func (n *node) write(no uint64, g *xrow.Group, lost []xrow.LostRow) {
	w := n.w
	if no != n.disk.next() {
		w.fail("journal", "%s writes group %d after %d", n.label(), no, n.disk.next()-1)
		return
	}
	w.mix(no, uint64(len(g.Rows)), g.After.Signature())
	on := w.check.logged(n, g)
	life := n.life
	n.disk.append(no, on, lost, func(err error) {
		if n.life != life || !n.up {
			return
		}
		if err != nil {
			w.check.sick.failed(n)
			n.post(instance.WriteFailed{Err: err})
			return
		}
		w.check.synced(n, on)
		n.post(instance.Written{Group: no})
	})
}

// show sends a new election state to every peer that follows us.
func (n *node) show(r *xrow.Raft) {
	copied := *r
	if r.VClock != nil {
		v := *r.VClock
		copied.VClock = &v
	}
	n.w.check.shown(n, &copied)
	n.w.tell(n, "shows term %d vote %d state %d leader %d seen %v", r.Term, r.Vote, r.State, r.LeaderID, r.IsLeaderSeen)
	n.shown = &copied
	for _, to := range n.relays {
		to.raft()
	}
}

// crash ends the process. The host may go with it: then nobody refuses.
func (n *node) crash(hostGone bool) {
	if !n.up {
		n.hostGone = n.hostGone || hostGone
		return
	}
	n.w.tell(n, "crashes (host gone: %v)", hostGone)
	n.hostGone = hostGone
	n.w.net.processDied(n, hostGone)
	n.endProcess()
}

// endProcess forgets what only the process knew.
func (n *node) endProcess() {
	n.up, n.paused = false, false
	n.views()
	lost := n.disk.crash(func(no uint64) {
		n.w.count(GroupSurvivedCrash)
		n.w.check.synced(n, n.disk.logged(no))
	})
	for range lost {
		n.w.count(GroupLostInCrash)
	}
	n.w.load.connectionsLost(n)
	n.w.check.died(n)
	n.core, n.box = nil, nil
	n.links, n.relays, n.joining, n.served = nil, nil, nil, nil
}

// pause stops the process as SIGSTOP does.
func (n *node) pause() {
	if n.up && !n.paused {
		n.w.tell(n, "is paused")
		n.w.check.preferred.stood(n)
		n.paused = true
	}
}

// resume lets it go on: late packets first or the missed deadlines of the
// sockets first, nobody knows.
func (n *node) resume() {
	if !n.paused {
		return
	}
	n.w.tell(n, "wakes up")
	n.w.check.sick.woke(n)
	n.w.check.preferred.woke(n)
	n.paused = false
	if n.shown != nil && n.shown.State == stateLeader {
		n.w.count(PausedLeaderWoke)
	}
	timeoutsFirst := n.w.chance(3)
	for _, c := range append([]*conn(nil), n.w.net.conns...) {
		for side := range c.ends {
			if c.ends[side].host != n || !c.alive(side) {
				continue
			}
			if timeoutsFirst {
				c.expire(side)
			}
			c.wake(side)
		}
	}
	n.plan(0)
}
