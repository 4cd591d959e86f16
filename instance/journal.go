package instance

// flush hands the gathered group to the journal if that is idle. What comes
// while it syncs gathers, so batching follows the disk by itself.
func (c *Core) flush() {
	if c.out.failed != nil || c.out.busy() || c.replay {
		return
	}
	if untold := c.limbo.Untold(c.raft.Term()); untold != 0 && c.lead.leading && !c.gate.moving && c.lead.confirmDue(c.now.Mono, c.out.open != nil, c.out.gap) {
		c.addConfirm(untold)
	}
	c.eff.Group, c.eff.Lost = c.out.depart(c.now.Mono, c.members.self)
	c.eff.GroupNo = c.out.flight.no
}

// groupWritten: everything up to a group is on disk. Now it may be shown.
func (c *Core) groupWritten(no uint64) {
	f := c.out.arrived(no)
	if c.out.stalled {
		c.out.stalled = false
		c.raft.SetSelf(c.members.self, c.able(), c.now.Mono)
	}
	if f.record != nil {
		c.raft.Persisted(*f.record, c.now.Mono)
		c.afterRaft()
	}
	if c.lead.leading {
		c.limbo.Ack(c.members.self, c.out.onDisk[c.members.self])
	}
	c.limbo.Written(no)
	c.settle()
	c.waits.written(no, &c.eff)
	c.showAsync()
	c.tellAck(f.stamp)
}
