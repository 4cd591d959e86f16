package raft

import (
	"fmt"
	"math/rand/v2"
	"time"

	"tarragon.dev/tarragon/vclock"
)

// State is the role of an instance, with the numbers of the wire.
type State uint8

// States.
const (
	StateFollower  State = 1
	StateCandidate State = 2
	StateLeader    State = 3
)

func (s State) String() string {
	switch s {
	case StateCandidate:
		return "candidate"
	case StateLeader:
		return "leader"
	}
	return "follower"
}

// Config is fixed but for what SetMode and Configure change.
type Config struct {
	Mode            Mode
	ElectionTimeout time.Duration // how long a candidate waits for votes
	DeathTimeout    time.Duration // silence after which a leader counts as gone
	// TarantoolDeathTimeout is the same for a leader of Tarantool's kind, which
	// gives word less often. The fencing interval of a quorum that needs such
	// members is longer by as much. 0: four times DeathTimeout.
	TarantoolDeathTimeout time.Duration
	FencingInterval       time.Duration // a leader without a quorum for so long resigns; 0: never
	Rand                  *rand.Rand    // source of shifts; required
	Trace                 func(Fact)    // told of every decision, refusals too; required
}

// Fact is a decision of the machine.
type Fact struct {
	Kind string // one of the Fact constants
	Term uint64
	Peer uint32
	Text string
}

// Kinds of facts.
const (
	FactNewTerm    = "new term"
	FactCampaign   = "campaign"
	FactVote       = "vote"
	FactRefuse     = "refuse vote"
	FactLeader     = "leader"
	FactFollow     = "follow"
	FactLeaderLost = "leader lost"
	FactResign     = "resign"
	FactGiveUp     = "give up election"
	FactSplitVote  = "split vote"
	FactConflict   = "conflicting leader"
	FactPreVote    = "pre-vote refused"
	FactPauseOver  = "pause over"
)

// Message is what an instance shows of itself.
type Message struct {
	Term         uint64
	Vote         uint32
	State        State
	Leader       uint32
	IsLeaderSeen bool
	VClock       *vclock.VClock // a candidate's
}

// Record is what has to be on disk before it is shown.
type Record struct {
	Term uint64
	Vote uint32
}

// peer is what is known of another instance.
type peer struct {
	live     bool          // our applier gets its stream
	told     bool          // a message came over this stream: what follows is not guessed
	seesLead bool          // its last message says that it sees a leader
	term     uint64        // of its last message
	heard    time.Duration // last packet of its stream
	acked    time.Duration // last ack over our relay
	vclock   vclock.VClock // of its last ack or candidacy: a hint for the order of candidacies
}

// Raft is the machine. The zero value is not usable, see New.
type Raft struct {
	cfg  Config
	self uint32 // 0: not registered, takes no part

	term uint64 // decided; >= saved.Term
	vote uint32
	// saved is on disk, handed is with the journal; Invariant: saved.Term <= handed.Term <= term.
	saved, handed Record

	state   State
	waiting bool   // voted for ourselves, the record is not on disk yet
	leader  uint32 // of term; 0: none known
	seen    bool   // we hear the leader

	tarantools uint32 // bit per member of Tarantool's kind

	who  Electorates
	able bool // may vote and campaign: a voter by its row, disk in order

	votes    uint32        // candidate: bit per member that voted for us
	answered uint32        // candidate: bit per member that spoke in this term
	byHand   bool          // the candidacy or leadership is not of our own accord: by Promote
	forced   bool          // while another leader was seen
	lost     string        // why the leader that we knew last leads no more
	at       time.Duration // candidate: when to give up; follower: when to campaign, 0: not set
	paused   time.Duration // until then we campaign by hand only; 0: not at all
	prefer   Preference
	next     succession
	given    succession // what we gave away as leader of the term givenIn, this one or an older one
	givenIn  uint64
	peers    [vclock.Max]peer
	show     bool // Shown has changed
}

// New makes a follower of the given record, which is on disk.
func New(cfg Config, saved Record) *Raft {
	if saved.Term == 0 {
		saved.Term = 1
	}
	return &Raft{cfg: cfg, term: saved.Term, vote: saved.Vote, saved: saved, handed: saved, state: StateFollower, show: true}
}

// Restore replaces the record by one read from the log.
func (r *Raft) Restore(saved Record) {
	if saved.Term < r.term {
		panic(fmt.Sprintf("raft: term goes back from %d to %d", r.term, saved.Term))
	}
	r.term, r.vote, r.saved, r.handed = saved.Term, saved.Vote, saved, saved
}

// Term is the decided term, perhaps not on disk yet.
func (r *Raft) Term() uint64 { return r.term }

// Saved is what is on disk.
func (r *Raft) Saved() Record { return r.saved }

// State is our role.
func (r *Raft) State() State { return r.state }

// Leader is the leader of the term, 0 if none is known.
func (r *Raft) Leader() uint32 { return r.leader }

// SeesLeader tells whether we hear a leader or are one.
func (r *Raft) SeesLeader() bool { return r.seen || r.state == StateLeader }

// Vote is the decided vote of the term, 0 if none.
func (r *Raft) Vote() uint32 { return r.vote }

// LeaderIdle is the time since the leader was heard.
func (r *Raft) LeaderIdle(now time.Duration) time.Duration {
	if r.leader == 0 || r.leader == r.self {
		return 0
	}
	return now - r.peers[r.leader].heard
}

// Mode is the election mode.
func (r *Raft) Mode() Mode { return r.cfg.Mode }

// SetSelf tells our replica ID, and whether we may vote and campaign: not
// before the row that registers us is known to be committed, and not with a
// disk that fails or stalls.
func (r *Raft) SetSelf(id uint32, able bool, now time.Duration) {
	r.self = id
	if r.able != able {
		r.able = able
		r.plan(now)
	}
}

// SetTarantools tells which members are of Tarantool's kind.
func (r *Raft) SetTarantools(mask uint32) { r.tarantools = mask }

// Configure changes timeouts and the mode. A leader that may no longer lead
// resigns.
func (r *Raft) Configure(cfg Config, now time.Duration) {
	r.cfg = cfg
	if r.state != StateFollower && (cfg.Mode == Voter || cfg.Mode == Off && !r.byHand) {
		r.Resign(now, "mode "+cfg.Mode.String())
	}
	r.plan(now)
}

// TakeRecord gives the record that has to go to the journal now, behind all
// rows handed to it before.
func (r *Raft) TakeRecord() (Record, bool) {
	want := Record{r.term, r.vote}
	if want == r.handed {
		return want, false
	}
	r.handed = want
	return want, true
}

// Persisted tells that a record is on disk.
func (r *Raft) Persisted(rec Record, now time.Duration) {
	r.saved = rec
	r.show = true
	if r.waiting && rec.Term == r.term && rec.Vote == r.self {
		r.waiting = false
		r.becomeCandidate(now)
	}
}

// TakeShow tells whether Shown has changed since it was asked last.
func (r *Raft) TakeShow() bool {
	show := r.show
	r.show = false
	return show
}

// Shown is what peers may know of us: nothing that is not on disk.
func (r *Raft) Shown(v *vclock.VClock) Message {
	m := Message{Term: r.saved.Term, Vote: r.saved.Vote, State: StateFollower}
	if r.saved.Term != r.term {
		return m
	}
	m.State, m.Leader, m.IsLeaderSeen = r.state, r.leader, r.seen && r.state != StateLeader
	if r.state == StateCandidate {
		g := v.Global()
		m.VClock = &g
	}
	return m
}

// Show lets it be shown again: what goes with it has changed.
func (r *Raft) Show() { r.show = true }

// VClockGrew lets a candidate show that it holds more now.
func (r *Raft) VClockGrew() {
	if r.state == StateCandidate {
		r.show = true
	}
}

// Receive takes what a peer shows. mine is the vclock of everything that was
// handed to the journal.
func (r *Raft) Receive(now time.Duration, from uint32, m Message, mine *vclock.VClock) {
	if !r.isPeer(from) {
		return
	}
	p := &r.peers[from]
	p.live, p.told, p.heard = true, true, now
	if m.Term < r.term {
		p.term, p.seesLead = m.Term, false // it will hear of our term
		r.plan(now)
		return
	}
	r.enter(m.Term, now)
	p.term, p.seesLead = m.Term, m.IsLeaderSeen || m.State == StateLeader
	if m.VClock != nil {
		p.vclock = *m.VClock
	}
	r.answered |= 1 << from
	switch {
	case m.State == StateLeader:
		r.follow(now, from)
		return
	case r.leader == from:
		r.leaderResigned(now)
	}
	if m.State == StateCandidate && m.Vote == from {
		r.consider(now, from, m.VClock, mine)
	}
	if m.Vote == r.self && r.state == StateCandidate && m.Vote != 0 {
		r.votes |= 1 << from
		r.countVotes(now)
	}
	r.checkSplit(now)
	r.plan(now)
}

// consider grants a vote or refuses it.
func (r *Raft) consider(now time.Duration, from uint32, theirs, mine *vclock.VClock) {
	var why string
	switch {
	case !r.able || r.self == 0:
		why = "no voter"
	case r.leader != 0:
		why = "a leader is known"
	case r.vote == from:
		return
	case !r.who.Newest.has(from):
		why = "no member"
	case r.vote != 0:
		why = fmt.Sprintf("voted for %d", r.vote)
	case r.state != StateFollower || r.waiting:
		why = "a candidate itself"
	case theirs == nil || !theirs.Covers(mine):
		why = "its vclock lacks rows of ours"
	}
	if why != "" {
		r.trace(FactRefuse, from, why)
		return
	}
	r.vote = from
	r.at = now + r.cfg.ElectionTimeout + r.shift(r.cfg.ElectionTimeout/10)
	r.trace(FactVote, from, "")
}

// Adopt follows a greater term that a row told of.
func (r *Raft) Adopt(term uint64, now time.Duration) {
	if r.enter(term, now) {
		r.plan(now)
	}
}

// enter follows a greater term that others tell of. The one behind a handover is the
// heir's, whose own word may come later than theirs.
func (r *Raft) enter(term uint64, now time.Duration) (greater bool) {
	if term <= r.term {
		return false
	}
	start, next := r.headStart(), term == r.term+1
	r.newTerm(term)
	if next && start > now {
		r.at = start
	}
	return true
}

func (r *Raft) newTerm(term uint64) {
	r.term, r.vote = term, 0
	r.state, r.waiting, r.byHand = StateFollower, false, false
	r.leader, r.seen = 0, false
	r.votes, r.answered, r.at = 0, 0, 0
	r.next = succession{}
	r.show = true
	r.trace(FactNewTerm, 0, "")
}

func (r *Raft) follow(now time.Duration, from uint32) {
	if r.leader != 0 && r.leader != from {
		r.trace(FactConflict, from, "")
		return
	}
	if r.leader == from && (r.seen || r.next.heir != 0) {
		return
	}
	r.state, r.waiting, r.votes, r.at, r.lost, r.given = StateFollower, false, 0, 0, "", succession{}
	r.leader, r.seen, r.show = from, r.next.heir == 0, true
	r.trace(FactFollow, from, "")
}

func (r *Raft) leaderResigned(now time.Duration) {
	r.leader, r.seen, r.show = 0, false, true
	r.at, r.lost = 0, "it resigned"
	r.trace(FactLeaderLost, 0, r.lost)
}

// isPeer tells whether an ID is that of another instance.
func (r *Raft) isPeer(id uint32) bool { return id != 0 && id < vclock.Max && id != r.self }

// Heard notes a packet of a peer's main loop.
func (r *Raft) Heard(now time.Duration, from uint32) {
	if !r.isPeer(from) {
		return
	}
	p := &r.peers[from]
	p.heard, p.live = now, true
	if from == r.leader && !r.seen && r.state == StateFollower && r.next.heir == 0 {
		r.seen, r.show, r.at = true, true, 0
		r.trace(FactFollow, from, "heard again")
	}
}

// Deaf notes that this instance does not read its streams for now: silence says
// nothing of the peers whose streams run.
func (r *Raft) Deaf(now time.Duration) {
	for id := range r.peers {
		if p := &r.peers[id]; p.live {
			p.heard = now
		}
	}
}

// Acked notes an ack of a peer over our relay.
func (r *Raft) Acked(now time.Duration, from uint32, v *vclock.VClock) {
	if !r.isPeer(from) {
		return
	}
	r.peers[from].acked = now
	r.peers[from].vclock = *v
}

// Live tells whether a peer gave word within the death timeout: on its stream,
// or by an ack over ours.
func (r *Raft) Live(now time.Duration, id uint32) bool {
	if !r.isPeer(id) {
		return false
	}
	p := &r.peers[id]
	death := r.deathOf(id)
	return p.live && now < p.heard+death || p.acked != 0 && now < p.acked+death
}

// Hears tells whether the stream from a peer runs, and brought word within the death
// timeout.
func (r *Raft) Hears(now time.Duration, id uint32) bool {
	return r.isPeer(id) && r.peers[id].live && now < r.peers[id].heard+r.deathOf(id)
}

// Acks tells whether a peer acked rows of ours within the death timeout, or we lead for
// no longer than that.
func (r *Raft) Acks(now time.Duration, id uint32) bool {
	if !r.isPeer(id) {
		return false
	}
	p := &r.peers[id]
	return p.acked != 0 && now < p.acked+r.deathOf(id)
}

// deathOf is the silence after which an instance counts as gone.
func (r *Raft) deathOf(id uint32) time.Duration {
	switch {
	case r.tarantools&(1<<id) == 0:
		return r.cfg.DeathTimeout
	case r.cfg.TarantoolDeathTimeout == 0:
		return 4 * r.cfg.DeathTimeout
	}
	return r.cfg.TarantoolDeathTimeout
}

// Upstream tells that the stream from a peer runs, ended, or that its process
// is gone. A leader whose process is gone is lost at once: pre-vote makes it
// safe to ask.
func (r *Raft) Upstream(now time.Duration, from uint32, live, gone bool) {
	if !r.isPeer(from) {
		return
	}
	p := &r.peers[from]
	if !live || !p.live {
		p.told = false // what it said on an older connection may be out of date
	}
	p.live = live
	if live {
		p.heard = now
	} else {
		p.seesLead = false
		if r.vote == from && r.leader == 0 && r.state == StateFollower && !r.waiting {
			r.at = 0 // whom we voted for will not lead
		}
	}
	if gone && from == r.leader && r.seen {
		r.loseLeader(now, "its process is gone")
	}
	if !live && from == r.given.heir {
		r.given.until = now
	}
	if !live && from == r.next.heir {
		r.heirGone(now)
	}
	r.plan(now)
}

func (r *Raft) loseLeader(now time.Duration, why string) {
	r.seen, r.show, r.at, r.lost = false, true, 0, why
	r.trace(FactLeaderLost, r.leader, why)
	r.plan(now)
}

// Promote starts an election by hand, without asking who sees a leader. false:
// this instance may not lead.
func (r *Raft) Promote(now time.Duration) bool {
	if r.self == 0 || !r.able || r.cfg.Mode == Voter || !r.who.Newest.has(r.self) {
		return false
	}
	forced := r.seen
	r.campaign(now)
	r.byHand, r.forced = true, forced
	return true
}

// Stands tells whether this instance leads, or asks for votes.
func (r *Raft) Stands() bool { return r.state != StateFollower || r.waiting }

// Forced tells whether the candidacy or leadership was asked for by [Raft.Promote] while
// another leader was seen.
func (r *Raft) Forced() bool { return r.byHand && r.forced }

// Lost is why the leader that was known last leads no more; empty: none was known since
// our start, or it does.
func (r *Raft) Lost() string { return r.lost }

// Pause keeps this instance from elections of its own accord until a moment; what is
// past or 0 ends that. It votes as ever, and Promote asks nobody. A candidacy that is
// under way goes on.
func (r *Raft) Pause(until, now time.Duration) {
	if until <= now {
		until = 0
	}
	if r.paused != until {
		r.paused = until
		r.plan(now)
	}
}

// Resign gives leadership or candidacy up in the same term, and stays back
// from the next election for a while.
func (r *Raft) Resign(now time.Duration, why string) {
	if r.state == StateFollower && !r.waiting {
		return
	}
	if r.state == StateLeader {
		r.leader, r.lost = 0, why
	}
	r.state, r.waiting, r.byHand, r.votes = StateFollower, false, false, 0
	r.show, r.given = true, succession{}
	r.at = now + r.cfg.DeathTimeout
	r.trace(FactResign, 0, why)
}

// Tick runs what is due.
func (r *Raft) Tick(now time.Duration) {
	if r.paused != 0 && now >= r.paused {
		r.paused = 0
		r.trace(FactPauseOver, 0, "")
		r.plan(now)
	}
	if r.seen && r.state == StateFollower && now >= r.peers[r.leader].heard+r.deathOf(r.leader) {
		r.loseLeader(now, "silence")
	}
	if r.state == StateLeader {
		if d := r.fencedAt(); d != 0 && now >= d {
			r.Resign(now, "no quorum")
		} else if d := r.headStart(); d != 0 && now >= d {
			r.succeedNobody(now)
		}
		return
	}
	if d := r.takeBackAt(); d != 0 && now >= d && r.takeBack(now) {
		return
	}
	if r.at == 0 || now < r.at || r.waiting {
		return
	}
	if r.state == StateCandidate {
		r.giveUp(now, "no quorum of votes in time")
		return
	}
	r.at = 0
	if now >= r.headStart() && r.mayCampaign() {
		r.campaign(now)
		return
	}
	if id := r.witness(); id != 0 && r.cfg.Mode == Candidate && r.paused == 0 {
		r.trace(FactPreVote, id, "it sees a leader")
	}
	r.plan(now)
}

// witness is a live member that sees a leader in our term, 0 if there is none.
func (r *Raft) witness() uint32 {
	for id := range r.peers {
		if p := &r.peers[id]; r.who.has(uint32(id)) && p.live && p.seesLead && p.term == r.term {
			return uint32(id)
		}
	}
	return 0
}

// Deadline is when Tick has something to do, 0: never.
func (r *Raft) Deadline() (d time.Duration) {
	earliest := func(t time.Duration) {
		if t != 0 && (d == 0 || t < d) {
			d = t
		}
	}
	earliest(r.paused)
	if r.seen && r.state == StateFollower {
		earliest(r.peers[r.leader].heard + r.deathOf(r.leader))
	}
	if r.state == StateLeader {
		earliest(r.fencedAt())
		earliest(r.headStart())
		return d
	}
	if !r.waiting {
		earliest(r.at)
	}
	earliest(r.takeBackAt())
	return d
}

// fencedAt is when a leader has been without a quorum for too long.
func (r *Raft) fencedAt() (at time.Duration) {
	if r.cfg.FencingInterval == 0 {
		return 0
	}
	for _, e := range r.who.all() {
		if e.alone(r.self) {
			continue
		}
		if t := max(r.quorumCounts(e), 1); at == 0 || t < at {
			at = t
		}
	}
	return at
}

// quorumCounts is how long the word of a quorum, ourselves included, counts: that
// of a member for the fencing interval, or for longer if it is of Tarantool
// kind and gives it less often.
func (r *Raft) quorumCounts(e Electorate) time.Duration {
	var acks [vclock.Max]time.Duration
	n, need := 0, e.Quorum
	if e.has(r.self) {
		need--
	}
	for id := range r.peers {
		if e.has(uint32(id)) && uint32(id) != r.self {
			// Insertion keeps the newest first; there are at most 31.
			t := r.peers[id].acked + r.fencingOf(uint32(id))
			i := n
			for ; i > 0 && acks[i-1] < t; i-- {
				acks[i] = acks[i-1]
			}
			acks[i] = t
			n++
		}
	}
	if need <= n {
		return acks[need-1]
	}
	return 0
}

func (r *Raft) fencingOf(id uint32) time.Duration {
	d := r.cfg.FencingInterval
	return max(d, time.Duration(float64(d)*(r.deathOf(id).Seconds()/r.cfg.DeathTimeout.Seconds())))
}

// plan sets the moment of the next candidacy of a follower that sees no
// leader. Who holds more goes first, so that candidacies rarely collide.
func (r *Raft) plan(now time.Duration) {
	if r.state != StateFollower || r.waiting || r.at != 0 || r.seen || !r.mayCampaign() {
		return
	}
	step := r.cfg.DeathTimeout / 50
	r.at = max(now, r.headStart()) + time.Duration(r.rank())*step + r.shift(step/2)
}

// rank counts the live members that should campaign before us.
func (r *Raft) rank() (n int) {
	mine := r.peers[r.self].vclock.Signature()
	for id := range r.peers {
		p := &r.peers[id]
		if uint32(id) == r.self || !p.live || !r.who.has(uint32(id)) || r.prefer.bars(uint32(id)) {
			continue
		}
		theirs := p.vclock.Global()
		if r.before(uint32(id), r.self, theirs.Signature(), mine) {
			n++
		}
	}
	return n
}

// Holds tells the machine our own vclock, a hint for the order of candidacies.
func (r *Raft) Holds(v *vclock.VClock) { r.peers[r.self].vclock = v.Global() }

// mayCampaign is the pre-vote: a quorum of voters, ourselves included, is in
// touch and sees no leader. Who is on the way out does not campaign, nor does anybody
// while elections are paused.
func (r *Raft) mayCampaign() bool {
	if r.paused != 0 || r.self == 0 || !r.able || r.prefer.bars(r.self) || r.cfg.Mode != Candidate || r.seen || !r.who.Newest.has(r.self) {
		return false
	}
	with := uint32(1) << r.self
	for id := range r.peers {
		p := &r.peers[id]
		if r.isPeer(uint32(id)) && p.live && p.told && !(p.seesLead && p.term == r.term) {
			with |= 1 << id
		}
	}
	return r.who.elect(with)
}

// campaign raises the term and votes for ourselves: one record in the journal.
func (r *Raft) campaign(now time.Duration) {
	r.newTerm(r.term + 1)
	r.vote, r.waiting = r.self, true
	r.trace(FactCampaign, 0, "")
}

func (r *Raft) becomeCandidate(now time.Duration) {
	r.state, r.votes, r.show = StateCandidate, 1<<r.self, true
	r.answered |= 1 << r.self
	r.at = now + r.cfg.ElectionTimeout + r.shift(r.cfg.ElectionTimeout/10)
	r.countVotes(now)
}

func (r *Raft) countVotes(now time.Duration) {
	if r.state != StateCandidate || !r.who.elect(r.votes) {
		return
	}
	r.state, r.leader, r.seen, r.show, r.at = StateLeader, r.self, false, true, 0
	for id := range r.peers {
		r.peers[id].acked = now // the fencing interval starts anew
	}
	r.trace(FactLeader, r.self, "")
}

// checkSplit shortens the wait of a candidate that cannot win any more.
func (r *Raft) checkSplit(now time.Duration) {
	if r.state != StateCandidate {
		return
	}
	hoped := r.votes // with those that may still vote for us, as far as they can be reached
	for id := range r.peers {
		if r.answered&(1<<id) == 0 && r.peers[id].live {
			hoped |= 1 << id
		}
	}
	if r.who.elect(hoped) {
		return
	}
	soon := now + r.cfg.DeathTimeout/50 + r.shift(r.cfg.DeathTimeout/10)
	if soon < r.at {
		r.at = soon
		r.trace(FactSplitVote, 0, "")
	}
}

func (r *Raft) giveUp(now time.Duration, why string) {
	r.state, r.votes, r.byHand, r.show = StateFollower, 0, false, true
	r.at = 0
	r.trace(FactGiveUp, 0, why)
	if r.mayCampaign() {
		r.at = now + r.cfg.DeathTimeout/50 + r.shift(r.cfg.DeathTimeout/5)
	}
}

// shift is a random duration below limit.
func (r *Raft) shift(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return time.Duration(r.cfg.Rand.Int64N(int64(limit)))
}

func (r *Raft) trace(kind string, peer uint32, text string) {
	r.cfg.Trace(Fact{Kind: kind, Term: r.term, Peer: peer, Text: text})
}
