package instance

import (
	"fmt"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/vclock"
)

func (c *Core) raftConfig() raft.Config {
	mode, fencing := c.cfg.Mode, c.cfg.DeathTimeout
	if c.members.expelled {
		mode = raft.Voter
	}
	if c.cfg.Supervised {
		mode = c.supervisedMode(mode)
	}
	switch c.cfg.Fencing {
	case FencingStrict:
		fencing /= 2
	case FencingOff:
		fencing = 0
	}
	return raft.Config{Mode: mode, ElectionTimeout: c.cfg.ElectionTimeout, DeathTimeout: c.cfg.DeathTimeout,
		TarantoolDeathTimeout: c.cfg.TarantoolDeathTimeout, FencingInterval: fencing, Rand: c.cfg.Rand,
		Trace: func(f raft.Fact) {
			c.cfg.Trace(Fact{Kind: FactKind(f.Kind), Term: f.Term, Peer: f.Peer, Text: f.Text})
		}}
}

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
		c.lead.end()
		c.gate.moving = c.lead.moving()
		c.limbo.Rest()
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

// adopt follows a greater term, in a record before the row that told it.
func (c *Core) adopt(term uint64) {
	if c.replay || term <= c.raft.Term() {
		return
	}
	c.raft.Adopt(term, c.now.Mono)
	c.afterRaft()
}

func (c *Core) takeRaft(ev RaftMsg) {
	if err := c.checkTerm(ev.Msg.Term); err != nil {
		c.cutStream(ev.From, clientError(err))
		return
	}
	mine := &c.out.vclock // with what is in flight
	m := fromRaftBody(&ev.Msg)
	if m.VClock != nil && m.VClock.Compare(mine) == vclock.Incomparable {
		c.trace(FactIncomparable, ev.From, 0, "")
	}
	if c.noteShown(ev.From, m.Vote, m.Term); c.peers.back&(1<<ev.From) != 0 {
		m.Vote = 0
	}
	c.raft.Receive(c.now.Mono, ev.From, m, mine)
	c.noteWish(ev.From, ev.Msg.Quorum)
	if isID(ev.From) {
		c.peers.unfit[ev.From] = ev.Msg.Unfit
	}
	if ev.Msg.Move != nil && ev.Msg.Term == c.raft.Term() {
		c.heardMove(ev.From, ev.Msg.Move)
	}
}
