package instance

import (
	"tarragon.dev/tarragon/xrow"
)

// vouches tells whether our word on our disk counts. Acks keep a leader in
// office; one that hears them from disks that fail or stall could commit
// nothing, and would stay. Nor is a disk believed that lost rows once.
func (c *Core) vouches() bool { return c.out.failed == nil && !c.out.stalled && !c.doubted() }

// doubted tells whether a member claims to have seen more of our disk. Whoever
// leads was elected by voters whose rows it covers, and goes on until more is known.
func (c *Core) doubted() bool { return c.peers.claims.open() != 0 && !c.lead.leading }

// able tells whether we may vote: whoever is registered does, whether it counts or
// not. Who asks for the vote says whether it counts; and that may know more than
// we do. Who campaigns has to be a voter, see raft.Electorates.
func (c *Core) able() bool {
	return c.members.self != 0 && (!c.members.expelled || c.members.leaveAt != 0) && c.vouches() && !c.closing
}

// broken ends the part of this disk: it is proven that it has lost rows or
// promises. Nothing more is written.
func (c *Core) broken(err error) { c.withdraw(FactInDoubt, "its disk is in doubt", err) }

// withdraw ends the part of this instance for good: it leads, votes, writes and
// acks no more.
func (c *Core) withdraw(fact FactKind, why string, err error) {
	if c.out.failed != nil {
		return
	}
	c.trace(fact, 0, 0, err.Error())
	c.eff.Fatal = err
	c.out.failed = err
	c.waits.failSnaps(&xrow.Error{Code: xrow.ErrWALIO, Message: err.Error(), Err: err}, &c.eff) // the group they wait for may never be written
	c.raft.Resign(c.now.Mono, why)
	c.raft.SetSelf(c.members.self, false, c.now.Mono)
}

func (c *Core) shutdown() {
	c.closing = true
	c.raft.Resign(c.now.Mono, "shutdown")
	c.raft.SetSelf(c.members.self, false, c.now.Mono)
}

// journalFailed: a failed sync is never retried. We stop writing and acking
// for good, and go on answering reads from memory.
func (c *Core) journalFailed(err error) {
	if c.out.failed != nil {
		return
	}
	c.out.failed = err
	c.trace(FactDiskFailed, 0, 0, err.Error())
	c.raft.Resign(c.now.Mono, "the disk failed")
	c.raft.SetSelf(c.members.self, false, c.now.Mono)
	c.afterRaft()
	unknown := &xrow.Error{Code: xrow.ErrWALIO, Message: "Failed to write to disk: " + err.Error() + ". The outcome of the transaction is unknown", Err: err}
	for i := range c.limbo.Len() {
		c.waits.answer(&c.eff, &c.limbo.At(i).P, unknown)
	}
	c.waits.failLocal(unknown, &c.eff)
	c.gate.failHeld(&c.eff, func(*Request) *xrow.Error { return unknown })
	c.waits.failTold(&c.eff)
	c.waits.failFates(&xrow.Error{Code: xrow.ErrWALIO, Message: "Failed to write to disk: " + err.Error() + ". Nothing was written by this request", Err: err}, &c.eff)
	c.waits.failSnaps(unknown, &c.eff)
}
