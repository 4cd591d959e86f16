package sim

import (
	"maps"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// promiseChecker: whatever an instance tells others is on its disk before:
// terms, votes, acks, rows. Terms never go back, and there is one vote per
// term, in all lives of a disk. Whose disk failed acks no more: it could keep a
// leader in office that can commit nothing.
type promiseChecker struct {
	w     *World
	off   bool            // planted faults: let the damage itself show
	term  []uint64        // by slot: greatest term shown
	acks  []vclock.VClock // by slot: greatest ack
	mute  []int           // by slot: the life that knows of its disk's failure
	votes map[ballot]uint32
}

type ballot struct {
	slot int
	term uint64
}

func (c *promiseChecker) init(w *World) {
	c.w = w
	c.off = w.plan.blindToPromises
	c.term, c.acks, c.mute = make([]uint64, len(w.hosts)), make([]vclock.VClock, len(w.hosts)), make([]int, len(w.hosts))
	c.votes = map[ballot]uint32{}
}

func (c *promiseChecker) shown(n *node, r *xrow.Raft) {
	if c.off {
		return
	}
	d := n.disk
	switch {
	case r.Term < c.term[n.slot]:
		c.w.fail("terms", "%s shows term %d after %d", n.label(), r.Term, c.term[n.slot])
	case r.Term > d.term && r.Term > 1:
		c.w.fail("promise", "%s shows term %d, its disk has %d", n.label(), r.Term, d.term)
	case r.Vote != 0 && (d.term != r.Term || d.vote != r.Vote):
		c.w.fail("promise", "%s shows a vote for %d in term %d, its disk has %d in %d", n.label(), r.Vote, r.Term, d.vote, d.term)
	}
	c.term[n.slot] = max(c.term[n.slot], r.Term)
	if r.Vote == 0 {
		return
	}
	b := ballot{n.slot, r.Term}
	if old, ok := c.votes[b]; ok && old != r.Vote {
		c.w.fail("votes", "%s votes for %d in term %d after a vote for %d", n.label(), r.Vote, r.Term, old)
	}
	c.votes[b] = r.Vote
}

// stepped: a core learns that its disk failed.
func (c *promiseChecker) stepped(n *node, batch []instance.Event) {
	for _, ev := range batch {
		if _, failed := ev.(instance.WriteFailed); failed {
			c.mute[n.slot] = n.life
		}
	}
}

func (c *promiseChecker) acked(n *node, s *instance.AckState) {
	d := n.disk
	if c.off {
		return
	}
	switch {
	case c.mute[n.slot] == n.life:
		c.w.fail("promise", "%s acks %v after its disk failed", n.label(), s.VClock)
	case !d.vclock.Covers(&s.VClock):
		c.w.fail("promise", "%s acks %v, its disk has %v", n.label(), s.VClock, d.vclock)
	case !s.VClock.Covers(&c.acks[n.slot]):
		c.w.fail("vclock", "%s acks %v after %v", n.label(), s.VClock, c.acks[n.slot])
	case s.Term != d.term && s.Term > 1:
		c.w.fail("promise", "%s acks under term %d, its disk has %d", n.label(), s.Term, d.term)
	}
	c.acks[n.slot] = s.VClock
}

func (c *promiseChecker) relayed(n *node, no uint64) {
	if !c.off && no > n.disk.synced {
		c.w.fail("promise", "%s releases group %d to its relays, its disk has %d", n.label(), no, n.disk.synced)
	}
}

// joinedMixed: by Tarantool's rules a member that joins anew under its own ID keeps
// its own rows. Those of others that the state leaves out come again, see
// [instance.State.Rejoin]; until then its peers count none of its acks.
func (c *promiseChecker) joinedMixed(n *node) {
	acks := &c.acks[n.slot]
	own := acks[n.id]
	*acks = n.disk.vclock
	acks[n.id] = max(acks[n.id], own)
}

// wiped: a new incarnation promises anew. It begins with a vote for the leader
// that registered it, so that it cannot vote again in that term.
func (c *promiseChecker) wiped(n *node) {
	maps.DeleteFunc(c.votes, func(b ballot, _ uint32) bool { return b.slot == n.slot })
	c.term[n.slot], c.acks[n.slot] = 0, vclock.VClock{}
}
