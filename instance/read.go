package instance

import (
	"math/bits"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// linearRead is a read that must see all that was acknowledged before it came:
// it takes a quorum round, never a lease, and works on followers too.
type linearRead struct {
	client
	beat   uint64        // heartbeats from this number on count
	heard  uint32        // members that answered one, a bit each
	target vclock.VClock // what they hold
	begins *openTxn      // the transaction whose BEGIN it is; nil: it is a read
}

func (c *Core) linearRead(ev LinearRead) {
	limit := ev.Timeout
	if limit == 0 {
		limit = c.cfg.WaitLimit
	}
	c.waits.linear = append(c.waits.linear, linearRead{client: client{ev.Conn, ev.Sync, c.now.Mono + limit},
		beat: c.beats.round(&c.eff), heard: 1 << c.members.self, target: c.out.onDisk})
}

// acked takes an ack of a late enough heartbeat.
func (r *linearRead) acked(ev *Ack) {
	if ev.Sync >= r.beat && r.heard&(1<<ev.From) == 0 {
		r.heard |= 1 << ev.From
		r.target.Merge(&ev.VClock)
	}
}

// judgeRead lets a read run whose target is held and decided.
func (c *Core) judgeRead(r *linearRead, late bool) outcome {
	switch {
	case c.quorumHeard(r.heard) && c.decided(&r.target):
		return succeeds(nil)
	case late:
		if r.begins != nil && c.txns.open[r.begins.id] == r.begins {
			c.txns.remove(r.begins)
		}
		return fails(xrow.Errorf(xrow.ErrTimeout))
	}
	return outcome{}
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
