package instance

import (
	"math/bits"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// reads are reads that wait for a quorum round, and the heartbeats that ask for one.
type reads struct {
	linear   []linearRead
	beatAt   time.Duration
	beatSync uint64
	beatNew  bool // beatSync was raised in this Step
}

// linearRead is a read that must see all that was acknowledged before it came:
// it takes a quorum round, never a lease, and works on followers too.
type linearRead struct {
	conn, sync uint64
	beat       uint64        // heartbeats from this number on count
	heard      uint32        // members that answered one, a bit each
	target     vclock.VClock // what they hold
	until      time.Duration
}

func (c *Core) linearRead(ev LinearRead) {
	limit := ev.Timeout
	if limit == 0 {
		limit = c.cfg.WaitLimit
	}
	c.reads.linear = append(c.reads.linear, linearRead{conn: ev.Conn, sync: ev.Sync, beat: c.round(), until: c.now.Mono + limit,
		heard: 1 << c.members.self, target: c.out.onDisk})
}

// round asks for a heartbeat of this Step and gives its number: all that is
// asked for in one Step shares it.
func (c *Core) round() uint64 {
	if !c.reads.beatNew {
		c.reads.beatSync++
		c.reads.beatNew, c.eff.Beat = true, true
	}
	return c.reads.beatSync
}

// quorumHeard tells whether so many members answered a round that no commit can
// have missed them all.
func (c *Core) quorumHeard(heard uint32) bool {
	voters := c.members.confirmed.voters
	need := max(c.cfg.LinearizableQuorum(max(bits.OnesCount32(voters), 1), c.members.confirmed.synchroQuorum), 1)
	if !c.vouches() {
		voters &^= 1 << c.members.self // our own word counts no more than an ack of ours
	}
	return bits.OnesCount32(heard&voters) >= need
}

// ackReads lets an ack that answers a late enough heartbeat count.
func (c *Core) ackReads(ev *Ack) {
	for i := range c.reads.linear {
		r := &c.reads.linear[i]
		if ev.Sync >= r.beat && r.heard&(1<<ev.From) == 0 {
			r.heard |= 1 << ev.From
			r.target.Merge(&ev.VClock)
		}
	}
}

// checkReads answers reads whose target is held and decided.
func (c *Core) checkReads() {
	if len(c.reads.linear) == 0 {
		return
	}
	keep := c.reads.linear[:0]
	for _, r := range c.reads.linear {
		switch {
		case c.quorumHeard(r.heard) && c.decided(&r.target):
			c.eff.reply(r.conn, r.sync, nil, nil)
		case c.now.Mono >= r.until:
			c.eff.reply(r.conn, r.sync, nil, xrow.Errorf(xrow.ErrTimeout))
		default:
			keep = append(keep, r)
		}
	}
	c.reads.linear = keep
}

// decided tells whether everything up to a vclock is held here and its fate is
// known.
func (c *Core) decided(target *vclock.VClock) bool {
	if !c.out.vclock.Covers(target) {
		return false
	}
	for origin := range target {
		if e := c.limbo.OldestOf(uint32(origin)); e != nil && e.LSN <= target[origin] {
			return false
		}
	}
	return true
}
