package instance

import (
	"fmt"
)

// Whatever comes while the journal has a group gathers for the next one. A disk
// that hangs must not let that grow without end, so there are three bounds, all
// by bytes. From GatherMaxSize on the readers of peers' rows wait (Effects.Park):
// the senders' windows fill, and a sender keeps nothing for a peer beside its
// ring. From twice that on rows that come all the same end their stream. Clients
// are refused at that, or where their own queue may be longer, at that.
//
// Invariant: the group that gathers is no larger than the greater of the last two
// and one event more, far below the 4 GiB that offsets in it can say.

// refSize is what a row takes in a group besides its frame.
const refSize = 40

// ownGather bounds what clients may let gather, however long their queue may be.
const ownGather = 1 << 30

// notePark tells the readers of peers' rows to wait, or to go on. A peer that hears
// nothing from them must not take this instance for dead: what is on its disk is
// told with each heartbeat, as if one had been read. Nor is a peer dead whose
// heartbeats wait behind its rows (raft.Deaf): followers whose disks are slow for a
// moment would depose their leader. Where the disk stalls, it may be: this instance
// campaigns no more, and says no longer that there is a leader.
func (c *Core) notePark() {
	if now := c.out.crowded(c.cfg.GatherMaxSize) || c.share.crowded(c.cfg.BacklogMaxSize); now != c.out.parked {
		if c.out.parked = now; now {
			c.trace(FactParked, 0, 0, fmt.Sprintf("%d bytes wait for the disk", c.out.gathered()))
		}
	}
	if c.eff.Park = c.out.parked; c.out.parked && c.eff.Beat {
		c.tellAck(0)
	}
}

// gathered is the bytes that wait for the journal to be idle.
func (o *outbox) gathered() int {
	if o.open == nil {
		return 0
	}
	return len(o.open.Rows) + refSize*len(o.open.Table)
}

// crowded tells whether peers' rows wait with their readers. A disk that failed
// takes nothing any more, and nothing gathers.
func (o *outbox) crowded(limit int) bool { return o.failed == nil && o.gathered() >= limit }
