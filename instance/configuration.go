package instance

import (
	"math/bits"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/vclock"
)

// configuration is who counts, and how many of them make a quorum: the voters
// and the two quorums of so many. docs/protocol/membership.md says which one is
// obeyed when, and why.
//
// Invariant: any electionQuorum of voters meets any electionQuorum and any
// synchroQuorum of them.
type configuration struct {
	voters         uint32 // a bit each by replica ID
	synchroQuorum  int
	electionQuorum int
}

// newConfiguration is that of some members under a quorum. known are the IDs of
// which a committed row tells. A voter without one is not counted: it was not a
// learner before, as where Tarantool's rules hold, so it has no state yet and
// could ack nothing; the old configuration alone decides its row.
//
// A quorum of more than there are is all of them. Else a set whose quorum is a
// number could not be founded, for its first row waits for members that this row
// lets in; and who lets one go of as many as the quorum needs, or asks for a
// greater one, would write a row that nobody can decide, by any quorum.
func newConfiguration(members []box.Member, known uint32, quorum func(n int) int) configuration {
	var c configuration
	for _, m := range members {
		if isID(m.ID) && !m.Learner {
			c.voters |= 1 << m.ID
		}
	}
	c.voters &= known
	n := bits.OnesCount32(c.voters)
	c.synchroQuorum = min(max(quorum(max(n, 1)), 1), max(n, 1))
	c.electionQuorum = max(n/2+1, n-c.synchroQuorum+1)
	return c
}

func (c *configuration) has(id uint32) bool { return c.voters&(1<<id) != 0 }

// commit tells whether so many make a synchronous quorum.
func (c *configuration) commit(who uint32) bool {
	return bits.OnesCount32(who&c.voters) >= c.synchroQuorum
}

// elect tells whether so many make an election quorum.
func (c *configuration) elect(who uint32) bool {
	return bits.OnesCount32(who&c.voters) >= c.electionQuorum
}

func (c *configuration) forLimbo() limbo.Quorum {
	return limbo.Quorum{Voters: c.voters, Size: c.synchroQuorum}
}

func (c *configuration) forRaft() raft.Electorate {
	return raft.Electorate{Voters: c.voters, Quorum: c.electionQuorum}
}

func isID(id uint32) bool { return id != 0 && id < vclock.Max }

// refreshMembers reads the confirmed rows anew, and what follows from them.
func (c *Core) refreshMembers() {
	now := c.box.Members()
	c.forgetLives(now)
	c.members.ids = now
	self := uint32(0)
	for _, m := range c.members.ids {
		if isID(m.ID) && m.UUID == c.cfg.UUID {
			self = m.ID
		}
	}
	if c.members.self != 0 && self != c.members.self && len(c.members.ids) != 0 && !c.members.expelled {
		c.expel()
	}
	if c.members.self == 0 {
		c.members.self = self
	}
	c.members.oldSchema = schemaBefore(c.box, 2, 10, 1)
	c.members.founding = readFounding(c.box)
	c.members.noteLearners(c.now.Mono)
	c.members.alignQuorum = true // others are a majority now
	c.refreshNewest()
	c.noteFilter()
	c.noteReplicas()
	c.noteNodes()
	c.eff.Members = true
}

// refreshNewest reads the rows whose fate is open too. It must be called
// whenever a transaction on system spaces has come into the log or gone from it.
func (c *Core) refreshNewest() {
	newest, known := c.box.NewestMembers(), uint32(0)
	for _, m := range c.members.ids {
		known |= 1 << (m.ID % vclock.Max)
	}
	c.members.all = 0
	for _, m := range newest {
		c.members.all |= 1 << (m.ID % vclock.Max)
	}
	c.noteKinds(newest)
	c.members.confirmed = newConfiguration(c.members.ids, known, c.quorumRule(c.box.Setting(quorumKey), c.tarantoolsAmong(c.members.ids)))
	c.members.newest = newConfiguration(newest, known, c.quorumRule(c.box.NewestSetting(quorumKey), c.members.kinds.tarantools))
	c.raft.SetSelf(c.members.self, c.able(), c.now.Mono)
	c.raft.SetElectorates(raft.Electorates{Confirmed: c.members.confirmed.forRaft(), Newest: c.members.newest.forRaft()}, c.now.Mono)
	c.stopIfOlder()
	c.notePause()
}

// UndecidedMembers are members by rows whose fate is open, as far as no committed
// row has that life of them. Safe under the shared side of the Loop's latch.
func (c *Core) UndecidedMembers() (all []box.Member) {
	for _, m := range c.box.NewestMembers() {
		if !slices.ContainsFunc(c.members.ids, func(o box.Member) bool { return o.UUID == m.UUID && o.Incarnation == m.Incarnation }) {
			all = append(all, m)
		}
	}
	return all
}

// expel ends the part of this instance in the replica set: it leads and writes no
// more. It goes on voting and giving its rows out for a while: it may be the only
// one that knows its expulsion to be decided, and until others do, they need a
// quorum of the old configuration, of which it is part.
func (c *Core) expel() {
	c.members.expelled = true
	c.members.leaveAt = c.now.Mono + leaveTimeouts*c.cfg.DeathTimeout
	c.trace(FactExpelled, c.members.self, 0, "")
	c.raft.Resign(c.now.Mono, "expelled")
	c.raft.Configure(c.raftConfig(), c.now.Mono) // our row may still be there, and make us a voter
}

// removed is the word of a peer that we are no member. A lone founder's row is
// nobody else's to take: such a peer is of another set that was given the same
// UUID, and GiveWay decides between them.
func (c *Core) removed() {
	if c.members.self != 0 && !c.members.expelled && !c.lone() {
		c.expel()
	}
}

// leaveTimeouts is how many death timeouts an expelled instance stays at most.
const leaveTimeouts = 4

// leave ends what expel left, once enough of the others have what is here to elect
// without us, or after a while.
func (c *Core) leave() {
	if c.members.leaveAt == 0 {
		return
	}
	held := c.out.vclock.Global()
	if !c.members.confirmed.elect(c.peers.covering(&held)) && c.now.Mono < c.members.leaveAt {
		return
	}
	c.members.leaveAt = 0
	c.eff.Expelled = true
	c.raft.SetSelf(c.members.self, c.able(), c.now.Mono)
}
