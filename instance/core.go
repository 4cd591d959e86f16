package instance

import (
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/vclock"
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

// payload is what a limbo entry carries for us.
type payload struct {
	conn, sync uint64
	waiting    bool // a client waits for the outcome
	answered   bool // it was told that it is done (asynchronous)
	ddl        bool
	data       []byte        // its answer
	until      time.Duration // it waits so long
	since      time.Duration // when it was queued
	frames     []byte        // its rows as they are in the log
	join       *JoinRequest
}

// New makes a core over an empty box, or one that Restore and Replay will fill.
func New(cfg Config, b *box.Box) (*Core, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Core{cfg: cfg, box: b, out: outbox{nextNo: 1}}
	c.raft = raft.New(c.raftConfig(), raft.Record{Term: 1})
	return c, nil
}

func (c *Core) raftConfig() raft.Config {
	fencing := c.cfg.DeathTimeout
	switch c.cfg.Fencing {
	case FencingStrict:
		fencing /= 2
	case FencingOff:
		fencing = 0
	}
	return raft.Config{Mode: c.cfg.Mode, ElectionTimeout: c.cfg.ElectionTimeout, DeathTimeout: c.cfg.DeathTimeout,
		TarantoolDeathTimeout: c.cfg.TarantoolDeathTimeout, FencingInterval: fencing, Rand: c.cfg.Rand,
		Trace: func(f raft.Fact) {
			c.cfg.Trace(Fact{Kind: FactKind(f.Kind), Term: f.Term, Peer: f.Peer, Text: f.Text})
		}}
}

// Step runs what is due, then the events in order, and returns what may happen
// outside now. The result is valid until the next Step.
func (c *Core) Step(now Now, events []Event) *Effects {
	c.now = now
	c.eff = Effects{BeatSync: c.beats.sync, Replies: c.eff.Replies[:0], Snaps: c.eff.Snaps[:0],
		Refused: c.eff.Refused[:0]}
	c.beats.fresh = false
	if !c.cfg.Break.DeadlinesAfterRequests {
		c.runDeadlines()
	}
	for _, ev := range events {
		c.handle(ev)
	}
	if c.cfg.Break.DeadlinesAfterRequests {
		c.runDeadlines()
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
		if ev.State == UpstreamFollow {
			if err := c.heardRules(ev.Peer, ev.Rules); err != nil {
				c.cutStream(ev.Peer, clientError(err))
				break
			}
		}
		c.raft.Upstream(c.now.Mono, ev.Peer, ev.State == UpstreamFollow, ev.State == UpstreamRefused)
		if ev.State == UpstreamFollow {
			if ev.Back && ev.Rules != 0 {
				c.wentBack(ev.Peer)
			}
			c.gate.streamBegins(ev.Peer, &c.eff)
			c.tellAck(0)
		}
	case Downstream:
		if ev.Up {
			if err := c.heardRules(ev.Peer, ev.Rules); err != nil {
				c.eff.endRelay(ev.Peer, clientError(err))
				break
			}
			c.subscribed(ev)
		}
	case ShownBefore:
		c.takeShown(ev)
	case WriteFailed:
		c.journalFailed(ev.Err)
	case LinearRead:
		c.linearRead(ev)
	case PromoteRequest:
		c.promote(ev)
	case DemoteRequest:
		c.demote(ev)
	case StartCheckpoint:
		c.startCheckpoint(ev)
	case CloseView:
		if !ev.Goes {
			c.viewClosed(ev.View)
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
		if c.members.self != 0 && !c.members.expelled {
			c.expel()
		}
	case Trust:
		c.trust(ev)
	case AdoptTerm:
		c.adopt(ev.Term)
		c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
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
	if slept := now - c.stepped; c.out.busy() && slept > c.cfg.DeathTimeout {
		c.out.flight.since += slept // it was this process that stood still, not the disk
	}
	c.stepped = now
	if c.out.busy() && !c.out.stalled && now >= c.out.flight.since+c.cfg.StallTimeout {
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
	}
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
	if c.out.busy() && !c.out.stalled {
		earliest(c.out.flight.since + c.cfg.StallTimeout)
	}
	if !c.out.busy() {
		earliest(c.lead.confirmAt)
	}
	earliest(c.waits.deadline(&c.limbo))
	earliest(c.members.leaveAt)
	earliest(c.claimDeadline())
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
	c.releaseChores()
	c.releaseHeld()
	c.completeSet()
	c.raft.Holds(&c.out.vclock)
	c.answerWaits()
	c.leave()
	c.flush()
	if c.raft.TakeShow() {
		m := c.raft.Shown(&c.out.vclock)
		c.eff.Raft = toRaftBody(m)
		c.eff.Raft.Quorum = c.cfg.Quorum
	}
	if l := c.raft.Leader(); c.raft.State() != raft.StateLeader && c.raft.SeesLeader() {
		c.eff.Lazy = l
	}
	c.tidy()
	c.notePark()
	c.eff.BeatSync = c.beats.sync
	if c.eff.Mute = !c.vouches(); c.eff.Mute {
		c.eff.Ack = nil
	}
	c.eff.Relay = c.out.written
	if c.cfg.Break.RelayBeforeSync {
		c.eff.Relay = c.out.nextNo - 1
	}
	if c.lead.newVoid {
		c.eff.VoidPromotes, c.lead.newVoid = slices.Clone(c.lead.voidPromotes), false
	}
	c.noteStatus()
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

// afterRaft draws the conclusions of a call of the election machine: its
// record goes to the log at once, behind what was handed over before and
// before what comes next.
func (c *Core) afterRaft() {
	if rec, ok := c.raft.TakeRecord(); ok && c.out.failed == nil {
		if rec.Vote != 0 && rec.Vote != c.members.self && (c.out.open != nil || c.out.busy()) {
			c.trace(FactVoteInFlight, rec.Vote, 0, "")
		}
		c.out.addRecord(c.now.Wall, rec)
	}
	leads := c.raft.State() == raft.StateLeader
	switch {
	case leads && !c.lead.leading:
		c.becomeLeader()
	case !leads && c.lead.leading:
		c.lead.leading = false
		c.limbo.Rest()
		c.lead.confirmAt = 0
	}
}

// maxTermJump bounds how far beyond our own term a term is believed. One election
// raises it by one; who could raise it to the end at once would end elections for
// good. An operator may raise it further: [AdoptTerm].
const maxTermJump = 1_000_000

// checkTerm refuses a term that no elections have brought about.
func (c *Core) checkTerm(term uint64) error {
	if own := c.raft.Term(); term > own && term-own > maxTermJump && !c.replay {
		return protocolError(fmt.Sprintf("term %d, where term %d is known here: no elections have brought that about; if it is right, tarragon adopt-term tells this instance", term, own))
	}
	return nil
}

func (c *Core) takeRaft(ev RaftMsg) {
	if err := c.checkTerm(ev.Msg.Term); err != nil {
		c.cutStream(ev.From, clientError(err))
		return
	}
	mine := &c.out.vclock
	if c.cfg.Break.VoteIgnoresInFlight {
		mine = &c.out.onDisk
	}
	m := fromRaftBody(&ev.Msg)
	if m.VClock != nil && m.VClock.Compare(mine) == vclock.Incomparable {
		c.trace(FactIncomparable, ev.From, 0, "")
	}
	if c.noteShown(ev.From, m.Vote, m.Term); c.peers.back&(1<<ev.From) != 0 {
		m.Vote = 0
	}
	c.raft.Receive(c.now.Mono, ev.From, m, mine)
	c.noteWish(ev.From, ev.Msg.Quorum)
}

func (c *Core) takeAck(ev *Ack) {
	if ev.From == 0 || ev.From >= vclock.Max {
		return
	}
	if c.members.self != 0 && ev.VClock[c.members.self] > c.out.vclock[c.members.self] {
		c.eff.endRelay(ev.From, protocolError(fmt.Sprintf("an ack of LSN %d of instance %d, which has written %d", ev.VClock[c.members.self], c.members.self, c.out.vclock[c.members.self])))
		return
	}
	if c.peers.back&(1<<ev.From) != 0 {
		if !ev.VClock.Covers(&c.peers.acked[ev.From]) {
			return
		}
		c.peers.back &^= 1 << ev.From // it has again what it had shown
	}
	if ev.Term > c.raft.Term() && !c.cfg.Break.AckNoTerm {
		c.trace(FactHigherTermAck, ev.From, 0, "") // the term comes by RAFT, or by a row: an ack is no evidence of one
		return
	}
	c.raft.Acked(c.now.Mono, ev.From, &ev.VClock)
	c.peers.acked[ev.From] = ev.VClock
	if c.lead.leading {
		c.limbo.Ack(ev.From, ev.VClock[c.members.self])
		if len(c.members.learners) > 0 {
			c.heardLearner(ev.From)
		}
	}
	c.waits.acked(ev, c.raft.Term())
}

// tellAck asks the adapter to tell all upstreams what is on our disk.
func (c *Core) tellAck(stamp float64) {
	v := c.out.onDisk
	if c.cfg.Break.AckBeforeSync {
		v = c.out.vclock
	}
	if c.eff.Ack == nil {
		c.eff.Ack = new(AckState)
	} else if stamp == 0 {
		stamp = c.eff.Ack.Timestamp
	}
	*c.eff.Ack = AckState{VClock: v.Global(), Term: c.raft.Saved().Term, Timestamp: stamp}
}

// vouches tells whether our word on our disk counts. Acks keep a leader in
// office; one that hears them from disks that fail or stall could commit
// nothing, and would stay. Nor is a disk believed that lost rows once.
func (c *Core) vouches() bool { return c.out.failed == nil && !c.out.stalled && !c.doubted() }

// doubted tells whether a member claims to have seen more of our disk. Whoever
// leads was elected by voters whose rows it covers, and goes on until more is known.
func (c *Core) doubted() bool { return c.peers.claims.open() != 0 && !c.lead.leading }

// able tells whether we may vote: whoever is registered does, whether it counts or
// not. Who asks for the vote says whether it counts; and that may know more than
// we do. Who campaigns has to be a voter, see raft.Electorates.
func (c *Core) able() bool {
	return c.members.self != 0 && (!c.members.expelled || c.members.leaveAt != 0) && c.vouches() && !c.closing
}

func (c *Core) configure(ev Configure) {
	old := c.cfg
	ev.Apply(&c.cfg)
	if cfg, err := c.cfg.withDefaults(); err != nil {
		c.cfg = old
		c.eff.reply(ev.Conn, ev.Sync, nil, &xrow.Error{Code: xrow.ErrCfg, Message: err.Error()})
		return
	} else {
		c.cfg = cfg
	}
	if c.cfg.Memory != 0 {
		c.box.SetMemory(c.cfg.Memory)
	}
	c.beats.at = min(c.beats.at, c.now.Mono+c.cfg.Heartbeat) // peers that are told the same wait no longer for it
	c.gate.splits = nil                                      // the operator has acted
	c.raft.Configure(c.raftConfig(), c.now.Mono)
	if c.started {
		c.refreshMembers()
	}
	c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
}

// noValues is the DATA of a procedure that returns nothing. Shared by all
// answers: nobody changes it.
var noValues = []byte{0xdd, 0, 0, 0, 0}

func (c *Core) shutdown() {
	c.closing = true
	c.raft.Resign(c.now.Mono, "shutdown")
	c.raft.SetSelf(c.members.self, false, c.now.Mono)
}

func (c *Core) trace(kind FactKind, peer uint32, lsn uint64, text string) {
	c.cfg.Trace(Fact{Kind: kind, Term: c.raft.Term(), Peer: peer, LSN: lsn, Text: text})
}

// broken ends the part of this disk: it is proven that it has lost rows or
// promises. Nothing more is written.
func (c *Core) broken(err error) {
	if c.out.failed != nil {
		return
	}
	c.trace(FactInDoubt, 0, 0, err.Error())
	c.eff.Fatal = err
	c.out.failed = err
	c.waits.failSnaps(&xrow.Error{Code: xrow.ErrWALIO, Message: err.Error(), Err: err}, &c.eff) // the group they wait for may never be written
	c.raft.Resign(c.now.Mono, "its disk is in doubt")
	c.raft.SetSelf(c.members.self, false, c.now.Mono)
}
