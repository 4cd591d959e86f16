package server

import (
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
)

// plan is what may go: checkpoints by their IDs, and groups below before.
type plan struct {
	drop   []uint64
	before uint64
}

// need is what the members still want of the log.
type need struct {
	alone    bool
	least    vclock.VClock // what all other members have acked
	unknown  bool          // one has not told since our start
	decided  vclock.VClock // in front of all rows whose fate is open
	inEffect uint64        // term whose PROMOTE is in effect
	read     vclock.VClock // what all anonymous replicas have
	readers  bool          // there are some
}

func (k *keeper) plan(cps []xlog.CheckpointInfo) plan {
	n := k.need()
	p := makePlan(cps, &n, int(k.tuning.checkpointCount.Load()), k.wanted(&n), k.capped())
	p.before = min(p.before, k.seek(&n.decided)) // whatever the caps say: see Core.Decided
	return p
}

// makePlan says what may go. Kept are count checkpoints, newest first in cps,
// and the newest one from before the last change of term until all members have
// acked beyond it: should the change turn out to be wrong, the state in front
// of it is still there. The log is kept from the oldest of these on, and from
// wanted on for the slowest member; but only behind limit, and below that for
// the checkpoints that count asks for, so that a member that is dead does not
// hold it for ever.
func makePlan(cps []xlog.CheckpointInfo, n *need, count int, wanted, limit uint64) (p plan) {
	if len(cps) == 0 {
		return p
	}
	keep := min(max(count, 1), len(cps))
	elder := -1
	if !beforeTerm(cps[:keep], n.inEffect) {
		for i := keep; i < len(cps) && elder < 0; i++ {
			if termOf(&cps[i]) < n.inEffect {
				elder = i
			}
		}
	}
	if elder >= 0 && (n.beyond(&cps[elder]) || cps[elder].State.NextGroup < limit) {
		elder = -1
	}
	oldest := cps[keep-1].State.NextGroup
	for i := keep; i < len(cps); i++ {
		if i == elder {
			oldest = cps[i].State.NextGroup
			continue
		}
		p.drop = append(p.drop, cps[i].ID)
	}
	p.before = min(oldest, max(wanted, limit))
	return p
}

// beforeTerm tells whether one of the checkpoints is from before a term.
func beforeTerm(cps []xlog.CheckpointInfo, term uint64) bool {
	for i := range cps {
		if termOf(&cps[i]) < term {
			return true
		}
	}
	return false
}

// termOf is the newest term that was in effect when a checkpoint was made.
func termOf(c *xlog.CheckpointInfo) uint64 {
	if n := len(c.State.History); n > 0 {
		return c.State.History[n-1].Term
	}
	return 0
}

// beyond tells whether all members hold what a checkpoint holds.
func (n *need) beyond(c *xlog.CheckpointInfo) bool {
	v := c.State.VClock.Global()
	return n.alone || !n.unknown && n.least.Covers(&v)
}

// need asks the core what the other members have, and replication about those
// that are no members.
func (k *keeper) need() (n need) {
	n.alone = true
	n.read, n.readers = k.readers()
	known := false
	k.core.Read(func(c *instance.Core) {
		i := c.Info(0)
		n.inEffect, n.decided = i.QueueTerm, c.Decided()
		for _, m := range i.Members {
			if m.ID == i.ID || m.ID >= vclock.Max {
				continue
			}
			n.alone = false
			v, ok := c.Acked(m.ID)
			switch {
			case !ok:
				n.unknown = true
			case !known:
				n.least, known = v, true
			default:
				n.least.Min(&v)
			}
		}
	})
	return n
}

// wanted is the group from which the slowest member or anonymous replica goes
// on; the first one while a member has not told what it holds.
func (k *keeper) wanted(n *need) uint64 {
	from := k.store.Last() + 1
	if n.readers {
		from = k.seek(&n.read)
	}
	switch {
	case n.alone:
		return from
	case n.unknown:
		return k.store.First()
	}
	return min(from, k.seek(&n.least))
}

// seek is the group from which the log goes on behind v, the first one if some
// of that is gone already.
func (k *keeper) seek(v *vclock.VClock) uint64 {
	no, err := k.store.Seek(v)
	if err != nil {
		return k.store.First()
	}
	return no
}

// capped is the oldest group that members and old terms may hold on to.
func (k *keeper) capped() uint64 {
	no, err := k.store.Within(uint64(max(k.limits.MaxLogEntries, 0)), uint64(max(k.limits.MaxLogBytes, 0)))
	if err != nil {
		return 0
	}
	return no
}
