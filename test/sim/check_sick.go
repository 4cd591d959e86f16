package sim

import "time"

// sickChecker: a leader whose disk stalls or fails does not stay one. Nothing
// that it is asked for could ever be committed with its help, and its heartbeats
// would keep the others from electing one that can.
type sickChecker struct {
	w       *World
	waits   [][]time.Duration // by slot: since when groups are with the disk, oldest first
	failure []time.Duration   // by slot: when a sync failed in this process; 0: never
}

func (c *sickChecker) init(w *World) {
	c.w = w
	c.waits, c.failure = make([][]time.Duration, len(w.hosts)), make([]time.Duration, len(w.hosts))
}

func (c *sickChecker) logged(n *node) { c.waits[n.slot] = append(c.waits[n.slot], c.w.now) }

func (c *sickChecker) synced(n *node) {
	if k := len(c.waits[n.slot]); k > 0 {
		c.waits[n.slot] = c.waits[n.slot][:copy(c.waits[n.slot], c.waits[n.slot][1:])]
	}
}

func (c *sickChecker) failed(n *node) {
	if c.failure[n.slot] == 0 {
		c.failure[n.slot] = c.w.now
	}
}

func (c *sickChecker) died(n *node) { c.waits[n.slot], c.failure[n.slot] = c.waits[n.slot][:0], 0 }

// woke: what the process did not see does not count.
func (c *sickChecker) woke(n *node) {
	for i := range c.waits[n.slot] {
		c.waits[n.slot][i] = c.w.now
	}
	if c.failure[n.slot] != 0 {
		c.failure[n.slot] = c.w.now
	}
}

// look is called now and then for a process that is not paused.
func (c *sickChecker) look(n *node) {
	if n.shown == nil || n.shown.State != stateLeader || n.core == nil {
		return
	}
	slack := c.w.plan.config.Heartbeat + 50*time.Millisecond
	if at := c.failure[n.slot]; at != 0 && c.w.now > at+slack {
		c.w.fail("sick leader", "%s still leads, its disk failed %v ago", n.label(), c.w.now-at)
	}
	if waits := c.waits[n.slot]; len(waits) > 0 && c.w.now > waits[0]+c.w.plan.config.StallTimeout+slack {
		c.w.fail("sick leader", "%s still leads, its disk has a group since %v", n.label(), c.w.now-waits[0])
	}
}
