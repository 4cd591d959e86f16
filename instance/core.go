package instance

import (
	"fmt"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"
)

// Core is the machine. Its owner, the Loop or the simulator, feeds it with
// Step and runs the effects.
type Core struct {
	cfg   Config
	box   *box.Box
	raft  *raft.Raft
	limbo limbo.Limbo[payload]

	out     outbox
	members members
	peers   peers
	gate    gate
	waits   waits
	lead    leadership
	beats   beats
	pause   pausing

	forwards forwards
	txns     txns
	sessions sessions
	share    sharing
	fences   fences

	preferring preferring

	replicas []Replica // the confirmed ones, by their UUIDs; a list is never changed
	ownTold  xrow.Own  // Tarragon's own spaces that relays know of

	seq        uint64        // local transaction number
	statements []xrow.DML    // of the arrival under way
	tidyAt     time.Duration // when dropped data is freed on
	started    bool
	closing    bool
	replay     bool // rows come from our own log
	restoring  bool // rows come from a checkpoint: CONFIRMs between them are gone

	now     Now
	stepped time.Duration // when the last Step ran
	eff     Effects
	watched watched
}

// New makes a core over an empty box, or one that Restore and Replay will fill.
func New(cfg Config, b *box.Box) (*Core, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Core{cfg: cfg, box: b, out: outbox{nextNo: 1, unstamped: cfg.Kind == xrow.Tarantool}}
	c.raft = raft.New(c.raftConfig(), raft.Record{Term: 1})
	c.share.filter = cfg.Filter
	c.restoreShare(nil)
	return c, nil
}

// Step runs what is due, then the events in order, and returns what may happen
// outside now. The result is valid until the next Step.
func (c *Core) Step(now Now, events []Event) *Effects {
	c.now = now
	c.eff = Effects{BeatSync: c.beats.sync, Replies: c.eff.Replies[:0], Snaps: c.eff.Snaps[:0],
		Refused: c.eff.Refused[:0]}
	c.beats.fresh = false
	c.runDeadlines()
	for _, ev := range events {
		c.handle(ev)
	}
	c.finish()
	return &c.eff
}

func (c *Core) handle(ev Event) {
	switch ev := ev.(type) {
	case Write:
		c.write(ev.Requests)
	case Rows:
		c.takeRows(ev)
	case Written:
		c.groupWritten(ev.Group)
	case *Ack:
		c.takeAck(ev)
	case Heartbeat:
		c.raft.Heard(c.now.Mono, ev.From)
		c.tellAck(0)
	case RaftMsg:
		c.takeRaft(ev)
	case Upstream:
		c.upstream(ev)
	case Downstream:
		c.downstream(ev)
	case ShownBefore:
		c.takeShown(ev)
	case WriteFailed:
		c.journalFailed(ev.Err)
	case LinearRead:
		c.linearRead(ev)
	case Streams:
		for i := range ev.Requests {
			c.streamRequest(&ev.Requests[i])
		}
	case StreamsGone:
		c.streamsGone(ev.Conn)
	case PromoteRequest:
		c.promote(ev)
	case DemoteRequest:
		c.demote(ev)
	case SwitchoverRequest:
		c.switchover(ev)
	case ForwardAnswer:
		c.forwards.answered(&ev, c.raft.Term(), c.now.Mono+c.cfg.Heartbeat)
	case StartCheckpoint:
		c.startCheckpoint(ev)
	case CopyRequest:
		c.copyRequest(ev)
	case CopyBegins:
		c.copyBegins(ev)
	case CopyRows:
		c.copyRows(ev)
	case CopyEnds:
		c.copyEnds(ev)
	case CloseView:
		if !ev.Goes {
			c.members.viewClosed(ev.View, c.now.Mono)
		}
		ev.View.Close()
	case JoinRequest:
		c.joinRequest(ev)
	case BootstrapRows:
		c.bootstrap(ev)
	case Configure:
		c.configure(ev)
	case SetQuorum:
		c.setQuorum(ev)
	case Removed:
		c.removed()
	case Trust:
		c.trust(ev)
	case RaiseFeature:
		c.raiseFeature(ev)
	case PauseElections:
		c.pauseElections(ev)
	case ResumeElections:
		c.resumeElections(ev)
	case SetNode:
		c.setNode(ev)
	case CreateFilter:
		c.createFilter(ev)
	case AlterFilter:
		c.alterFilter(ev)
	case DropFilter:
		c.dropFilter(ev)
	case OpenSession:
		c.openSession(ev)
	case CloseSession:
		c.closeSession(ev)
	case CreateReplica:
		c.createReplica(ev)
	case AlterReplica:
		c.alterReplica(ev)
	case DropReplica:
		c.dropReplica(ev)
	case AdoptTerm:
		c.adopt(ev.Term)
		c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
	case LeaderTold:
		c.leaderTold(ev)
	case Shutdown:
		c.shutdown()
	case GiveWay:
		c.giveWay()
	default:
		panic(fmt.Sprintf("instance: unknown event %T", ev))
	}
	c.afterRaft()
}

// runDeadlines comes before all requests: a process that was paused resigns
// before it takes one more write.
func (c *Core) runDeadlines() {
	now := c.now.Mono
	if c.out.parked && c.vouches() {
		c.raft.Deaf(now)
	}
	if d := c.raft.Deadline(); d != 0 && now >= d {
		if c.lead.leading && now >= d+c.cfg.DeathTimeout {
			c.trace(FactWokeLate, 0, 0, "")
		}
		c.raft.Tick(now)
		c.afterRaft()
	}
	c.endMandate()
	if slept := now - c.stepped; slept > c.cfg.DeathTimeout {
		c.out.flight.since += slept // it was this process that stood still, not the disk
		c.sessions.term = 0         // nor were those who use sessions idle
	}
	c.stepped = now
	if at := c.out.stallAt(c.cfg.StallTimeout); at != 0 && now >= at {
		c.out.stalled = true
		c.trace(FactStall, 0, 0, "")
		c.raft.Resign(now, "the disk stalls")
		c.raft.SetSelf(c.members.self, c.able(), now)
		c.afterRaft()
	}
	if c.started && now >= c.beats.at {
		c.eff.Beat = true
		c.beats.at = now + c.cfg.Heartbeat
		c.expireLearners()
		c.trimTxns()
		c.endIdle()
	}
	c.txns.expire(now)
	for e := c.waits.oldest(&c.limbo); e != nil && now >= e.P.until; e = c.waits.oldest(&c.limbo) {
		// Its client may go. The transaction stays: only a quorum or a newer PROMOTE decides it.
		c.trace(FactUnknown, e.Origin, e.LSN, "")
		c.waits.answer(&c.eff, &e.P, outcomeUnknown())
	}
}

// Deadline is when Step has something to do although nothing happens.
func (c *Core) Deadline() time.Duration {
	d := c.beats.at
	earliest := func(t time.Duration) {
		if t != 0 && t < d {
			d = t
		}
	}
	earliest(c.raft.Deadline())
	earliest(c.out.stallAt(c.cfg.StallTimeout))
	if !c.out.busy() {
		earliest(c.lead.confirmAt)
	}
	earliest(c.waits.deadline(&c.limbo))
	if c.lead.move != nil {
		earliest(c.lead.move.deadline())
	}
	earliest(c.lead.mandate.until)
	if c.fences.retry != 0 && c.yields() {
		earliest(c.fences.retry)
	}
	earliest(c.preferredDue())
	earliest(c.forwards.deadline())
	earliest(c.txns.deadline())
	earliest(c.sessionsAt())
	earliest(c.share.deadline())
	earliest(c.share.indexes.deadline(c.now.Mono))
	earliest(c.members.leaveAt)
	earliest(c.peers.claims.deadline(c.now.Mono, c.cfg.DeathTimeout, c.members.otherVoters()))
	if c.tidyAt > c.now.Mono {
		earliest(c.tidyAt)
	}
	switch {
	case c.gate.build != nil:
		earliest(c.gate.build.at)
	case len(c.gate.backlog.events) > 0 && !c.gate.ddlWaits && !c.out.crowded(c.cfg.GatherMaxSize):
		earliest(c.now.Mono)
	}
	return d
}

// finish is the end of a Step: what follows from all events together.
func (c *Core) finish() {
	c.judgeClaims()
	c.buildOn()
	c.releaseRows()
	c.count()
	c.releaseWelcome()
	c.alignRules()
	c.stepQuorum()
	c.clearPause()
	c.stepMandate()
	c.stepFence()
	if c.cfg.Preferred != "" {
		c.stepPreferred()
	}
	if c.lead.move != nil {
		c.stepHandover()
	}
	c.releaseChores()
	c.releaseHeld()
	c.stepSessions()
	if c.forwards.open > 0 {
		c.stepForwards()
	}
	c.completeSet()
	c.stepShare()
	c.raft.Holds(&c.out.vclock)
	c.answerWaits()
	c.leave()
	c.flush()
	c.tidy()
	c.show()
	c.noteCalm()
	c.noteStatus()
}

// show is what peers may hear of us, once all else is decided.
func (c *Core) show() {
	if c.raft.TakeShow() || c.eff.Beat && c.whyUnfit() != c.lead.unfit {
		c.eff.Raft = c.shownRaft()
	}
	if l := c.raft.Leader(); c.raft.State() != raft.StateLeader && c.raft.SeesLeader() {
		c.eff.Lazy = l
	}
	c.notePark()
	c.eff.BeatSync = c.beats.sync
	if c.eff.Mute = !c.vouches(); c.eff.Mute {
		c.eff.Ack = nil
	}
	c.eff.Relay = c.out.written
	if own := c.box.OwnSpaces(); len(own.Always) != len(c.ownTold.Always) || own.Never != c.ownTold.Never {
		told := own
		c.eff.Own, c.ownTold = &told, own
	}
	if !sameList(c.replicas, c.watched.replicas) {
		c.watched.replicas, c.eff.Replicas, c.eff.Status = c.replicas, c.replicas, true
	}
	c.eff.VoidPromotes = c.lead.tellVoid()
}

// shownRaft is what peers see of us now.
func (c *Core) shownRaft() *xrow.Raft {
	body := toRaftBody(c.raft.Shown(&c.out.vclock))
	unfit := c.whyUnfit()
	c.lead.unfit = unfit
	body.Quorum, body.Unfit, body.Move = c.cfg.Quorum, &unfit, c.lead.word
	return body
}

// answerWaits answers all who waited and whose outcome is known now, or whose time
// is over.
func (c *Core) answerWaits() {
	w, now, eff := &c.waits, c.now.Mono, &c.eff
	w.promotes = sweep(w.promotes, now, eff, c.judgePromote)
	c.stepDemotion()
	w.linear = sweep(w.linear, now, eff, c.judgeRead)
	w.sweepFates(now, eff, c.judgeFate)
	w.tellings = sweep(w.tellings, now, eff, c.judgeTelling)
	w.copies = sweep(w.copies, now, eff, c.judgeCopy)
}

// tidy frees a slice of what dropped spaces and indexes held: a large one
// would hold a Step up for too long.
func (c *Core) tidy() {
	if c.now.Mono < c.tidyAt || !c.box.Work(tidyRows) {
		return
	}
	c.tidyAt = c.now.Mono + tidyPause
}

const (
	tidyPause = time.Millisecond
	tidyRows  = 2000
)

func (c *Core) trace(kind FactKind, peer uint32, lsn uint64, text string) {
	c.cfg.Trace(Fact{Kind: kind, Term: c.raft.Term(), Peer: peer, LSN: lsn, Text: text})
}
