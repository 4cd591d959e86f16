package instance

import (
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// A replica set is being founded while _schema has the row
// ["tarragon.founding", n], which its bootstrapper wrote. It takes no write of a
// client until n voters have a store of it, and n is a majority of all
// configured instances: an instance has one store, so two sets cannot both come
// that far, and what a set that did not come so far holds is nobody's data. Then
// the leader deletes the row, for ever.
//
// Who founds a set and is its only member may give way to another one: nobody
// else counts in that set, and from the Step that decides so nobody joins it.

const (
	foundingKey = "tarragon.founding"
	// reasonFounding is the word of box.info.ro_reason.
	reasonFounding = "founding"
)

// FoundingRow makes the replica set that it is bootstrapped with one that is
// being founded until n voters are there.
func FoundingRow(n int) xrow.DML {
	return xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceSchema, Tuple: msgp.AppendInt(msgp.AppendString([]byte{0x92}, foundingKey), n)}
}

// Founding is how far the founding of a replica set is.
type Founding struct {
	Need int  // voters that it takes; 0: the set is complete
	Have int  // voters that this leader has heard of
	Lone bool // this instance is the only member, and may give way
}

// readFounding is n of the confirmed row; 0: there is none.
func readFounding(b *box.Box) int {
	return int(min(readNumber(b.Setting(foundingKey)), vclock.Max))
}

func (c *Core) foundingInfo() Founding {
	if c.members.founding == 0 {
		return Founding{}
	}
	return Founding{Need: c.members.founding, Have: c.members.founders(&c.peers), Lone: c.lone()}
}

// refuseFounding is the answer to a client that writes while the set is being
// founded. What is ours passes: registrations and the like come another way,
// and expulsion lets go of a member that will not come.
func (c *Core) refuseFounding(r *Request) *xrow.Error {
	switch {
	case c.members.founding == 0 || r.Internal:
		return nil
	case r.Do == nil && !c.box.IsGlobalSpace(r.DML.SpaceID):
		return nil
	case r.Do == nil && r.DML.SpaceID == xrow.SpaceCluster && r.DML.Type == xrow.Delete:
		return nil
	}
	return c.unwritable()
}

func (c *Core) foundingText() string {
	return fmt.Sprintf("the replica set is being founded: %d of %d configured instances have joined that must before it takes writes", c.members.founders(&c.peers), c.members.founding)
}

// completeSet ends the founding once the voters are there.
func (c *Core) completeSet() {
	if c.members.founding == 0 || !c.writable() || c.gate.barrier || c.gate.build != nil || c.limbo.Len() > 0 || c.members.founders(&c.peers) < c.members.founding {
		return
	}
	c.trace(FactFounded, 0, 0, "")
	c.execute(&Request{Barrier: true, Internal: true, Do: func(tx *box.Txn) ([]byte, error) {
		d := xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceSchema, Key: msgp.AppendString([]byte{0x91}, foundingKey)}
		return nil, tx.ExecuteInternal(&d)
	}}, nil)
}

// lone tells whether this instance founds a set that nobody else has a store of.
func (c *Core) lone() bool {
	if c.members.founding == 0 || c.members.self == 0 || c.out.failed != nil || c.members.expelled || c.closing {
		return false
	}
	all := c.box.NewestMembers()
	return len(all) == 1 && all[0].ID == c.members.self && all[0].UUID == c.cfg.UUID
}

// giveWay ends the part of a lone founder in its set: from here on it registers
// nobody. Somebody may have come between the question and this event; then it
// stays.
func (c *Core) giveWay() {
	if !c.lone() {
		return
	}
	c.trace(FactGaveWay, 0, 0, "")
	c.shutdown()
	c.eff.GaveWay = true
}

// founders counts voters with a store of this set. A row in _cluster is not
// enough: its JOIN may have broken off, and the instance may join elsewhere.
// An ack comes out of a store.
func (m *members) founders(p *peers) (n int) {
	for _, o := range m.ids {
		if o.ID == m.self || !o.Learner && o.ID < vclock.Max && p.acked[o.ID] != (vclock.VClock{}) {
			n++
		}
	}
	return n
}
