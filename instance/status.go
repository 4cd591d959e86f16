package instance

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
)

// Info is what an operator sees of the core. It is read under the shared side
// of the Loop's latch.
type Info struct {
	ID            uint32
	UUID          string
	RO            bool   // to clients; see Registers
	ROReason      string // empty when writable
	ROCfg         bool   // read_only is configured, whatever else keeps it from writing
	VClock        vclock.VClock
	Synced        vclock.VClock
	Term          uint64
	Vote          uint32
	Mode          raft.Mode
	State         raft.State
	Leader        uint32 // 0: none known
	LeaderSeen    bool   // it is this instance, or was heard within the death timeout
	LeaderIdle    time.Duration
	QueueOwner    uint32
	QueueTerm     uint64
	QueueLen      int
	QueueSize     int
	QueueAge      time.Duration // of the oldest undecided transaction
	NewestPromote uint64        // term of the newest PROMOTE in the log, in effect or not
	Quorum        int           // synchronous, of the confirmed voters
	QuorumText    string        // the replica set's, a number or a formula; empty: it has none
	QuorumFile    string        // what this instance's configuration asks for
	Voters        uint32        // confirmed, a bit each
	Members       []box.Member
	History       []terms.Span // the newest of them, infoTerms at most: see HistoryPage
	Confirmed     uint64       // LSN of the queue's owner up to which all is committed
	GroupsWritten uint64
	Failed        error
	Doubted       string // what a member claims to have seen of this disk, which has no voice until that is settled; empty: nothing
	Stalled       bool
	Expelled      bool
	SplitBrains   []SplitBrain // peers whose rows contradict ours
	Tarantool     bool         // Tarantool's rules hold in the term in effect
	Tarantools    uint32       // members that are not known to take the strong rules, a bit each
	Feature       Feature
	Founding      Founding // zero: the set is complete
	Pause         Pause    // of automatic elections
	Mandate       MandateInfo
	Node          Node // what administrators said of this instance
	Share         ShareInfo
	Moving        Moving // leadership, by our hand
	Preferred     Preferred
	Forwards      Forwarding
	Txns          TxnCount
	Sessions      SessionCount
}

// Info describes the state at a moment of monotonic time.
func (c *Core) Info(now time.Duration) Info {
	cur := c.limbo.Current()
	i := Info{ID: c.members.self, UUID: c.cfg.UUID, RO: !c.writable() || c.members.founding > 0, Founding: c.foundingInfo(), ROCfg: c.cfg.ReadOnly, VClock: c.out.vclock, Synced: c.out.onDisk, Term: c.raft.Saved().Term,
		Vote: c.raft.Saved().Vote, Mode: c.cfg.Mode, State: c.raft.State(), Leader: c.raft.Leader(), LeaderIdle: c.raft.LeaderIdle(now), LeaderSeen: c.raft.SeesLeader(),
		QueueOwner: cur.Owner, QueueTerm: cur.Term, QueueLen: c.limbo.Len(), QueueSize: c.limbo.Size(), Quorum: c.members.confirmed.synchroQuorum, QuorumFile: c.cfg.Quorum, Voters: c.members.confirmed.voters,
		Members: c.members.ids, History: c.newestTerms(), Confirmed: c.limbo.Confirmed(), GroupsWritten: c.out.written,
		Failed: c.out.failed, Doubted: c.doubtText(), Stalled: c.out.stalled, Expelled: c.members.expelled,
		SplitBrains: slices.Clone(c.gate.splits), Tarantool: cur.Rules == terms.Tarantool, Tarantools: c.members.kinds.tarantools, Feature: c.featureInfo(), Pause: c.pauseInfo(now), Mandate: c.mandateInfo(now), Node: c.fences.of(c.cfg.UUID), Share: c.shareInfo(now), Moving: c.movingInfo(now), Preferred: c.preferredInfo(now), Forwards: c.forwards.count(), Txns: c.txnCount(), Sessions: c.sessionCount()}
	i.NewestPromote, _, _ = c.limbo.Newest()
	if c.SharesQuorum() {
		i.QuorumText, _ = readQuorum(c.box.Setting(quorumKey))
	}
	if c.limbo.Len() > 0 {
		i.QueueAge = now - c.limbo.Oldest().P.since
	}
	if i.RO {
		i.ROReason, _ = c.roReason()
	}
	return i
}

// Registers tells whether this instance writes what it must by itself: it leads
// a set that is being founded, or takes writes of anybody.
func (i *Info) Registers() bool { return !i.RO || i.ROReason == reasonFounding }

// LeaderInEffect is the leader whose PROMOTE is in effect here, if it is this instance or
// is heard; else 0.
func (i *Info) LeaderInEffect() uint32 {
	if !i.LeaderSeen || i.QueueTerm != i.Term || i.QueueOwner != i.Leader {
		return 0
	}
	return i.Leader
}

// HasAll tells whether this instance holds all that is committed: it leads in effect,
// by the strong rules. Rows of others that it lacks are void.
func (i *Info) HasAll() bool {
	return i.State == raft.StateLeader && i.QueueOwner == i.ID && i.QueueTerm == i.Term && !i.Tarantool
}

// Self is the ID of this instance; 0: it has none yet.
func (c *Core) Self() uint32 { return c.members.self }

// Confirmed is the owner of the queue, and the LSN of its rows up to which all is committed.
func (c *Core) Confirmed() (owner uint32, lsn uint64) {
	return c.limbo.Current().Owner, c.limbo.Confirmed()
}

// Acked is what a member says it has on disk; false: nothing since our start.
func (c *Core) Acked(id uint32) (v vclock.VClock, ok bool) {
	v = c.peers.acked[id]
	return v, v != (vclock.VClock{})
}

// Box is the spaces. Readers hold the shared side of the Loop's latch.
func (c *Core) Box() *box.Box { return c.box }

// statusKey is what box.status, box.election and tarragon.leader depend on.
type statusKey struct {
	ro       bool
	term     uint64
	state    raft.State
	leader   uint32
	seen     bool
	owner    uint32
	inEffect uint64
	id       uint32
	splits   int
	founding bool
}

// watched is what the adapters were told last.
type watched struct {
	status statusKey
	schema uint64
	rights uint64 // version of users and rights

	procedures []box.Function
	replicas   []Replica
}

// noteStatus tells whether something that is watched has changed.
func (c *Core) noteStatus() {
	cur := c.limbo.Current()
	k := statusKey{ro: !c.writable(), term: c.raft.Saved().Term, state: c.raft.State(), leader: c.raft.Leader(), seen: c.raft.SeesLeader(),
		owner: cur.Owner, inEffect: cur.Term, id: c.members.self, splits: len(c.gate.splits), founding: c.members.founding > 0}
	if k != c.watched.status {
		c.watched.status = k
		c.eff.Status = true
	}
	if v := c.box.SchemaVersion(); v != c.watched.schema {
		c.watched.schema = v
		c.eff.Schema = true
	}
	if all := c.box.Schema().Procedures(); !sameList(all, c.watched.procedures) {
		c.watched.procedures = all
		c.eff.Schema = true
	}
	if v := c.box.Schema().RightsVersion(); v != c.watched.rights {
		c.watched.rights = v
		c.eff.Rights = true
	}
}

// sameList tells whether two lists that are never changed are one.
func sameList[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }
