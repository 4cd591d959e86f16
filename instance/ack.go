package instance

import (
	"fmt"

	"tarragon.dev/tarragon/vclock"
)

func (c *Core) takeAck(ev *Ack) {
	if ev.From == 0 || ev.From >= vclock.Max {
		return
	}
	if c.members.self != 0 && ev.VClock[c.members.self] > c.out.vclock[c.members.self] {
		c.eff.endRelay(ev.From, protocolError(fmt.Sprintf("an ack of LSN %d of instance %d, which has written %d", ev.VClock[c.members.self], c.members.self, c.out.vclock[c.members.self])))
		return
	}
	if c.peers.back&(1<<ev.From) != 0 {
		if !ev.VClock.Covers(&c.peers.acked[ev.From]) {
			return
		}
		c.peers.back &^= 1 << ev.From // it has again what it had shown
	}
	if ev.Term > c.raft.Term() {
		c.trace(FactHigherTermAck, ev.From, 0, "") // the term comes by RAFT, or by a row: an ack is no evidence of one
		return
	}
	c.raft.Acked(c.now.Mono, ev.From, &ev.VClock)
	c.peers.acked[ev.From] = ev.VClock
	if c.lead.leading {
		c.limbo.Ack(ev.From, ev.VClock[c.members.self])
		if len(c.members.learners) > 0 {
			c.heardLearner(ev.From)
		}
	}
	c.waits.acked(ev, c.raft.Term())
}

// tellAck asks the adapter to tell all upstreams what is on our disk.
func (c *Core) tellAck(stamp float64) {
	if c.eff.Ack == nil {
		c.eff.Ack = new(AckState)
	} else if stamp == 0 {
		stamp = c.eff.Ack.Timestamp
	}
	*c.eff.Ack = AckState{VClock: c.out.onDisk.Global(), Term: c.raft.Saved().Term, Timestamp: stamp}
}

// synced are all who have an origin's rows up to an LSN on their disks, as far as
// acks over our own relays tell. We are among them.
func (c *Core) synced(origin uint32, lsn uint64) uint32 {
	self := uint32(1) << c.members.self
	who := c.peers.synced(origin, lsn) &^ self
	if c.out.onDisk[origin] >= lsn {
		who |= self
	}
	return who
}
