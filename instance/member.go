package instance

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// bootstrap makes an empty instance the first of a replica set. The rows are
// without a term: decided by this write.
func (c *Core) bootstrap(ev BootstrapRows) {
	c.members.self = ev.ID
	c.seq++
	tx := c.box.Begin(c.seq)
	for i := range ev.Rows {
		if err := tx.ExecuteInternal(&ev.Rows[i]); err != nil {
			panic(fmt.Sprintf("instance: bootstrap row of space %d: %v", ev.Rows[i].SpaceID, err))
		}
	}
	c.submit(c.author(), tx, &Request{}, payload{ddl: true})
}

// forgetLives drops what members said in a former life that had the same ID:
// acks of a disk that is gone, and the rules that another program knew.
func (c *Core) forgetLives(now []box.Member) {
	byID := func(all []box.Member, id uint32) (m box.Member) {
		if i := slices.IndexFunc(all, func(m box.Member) bool { return m.ID == id }); i >= 0 {
			return all[i]
		}
		return m
	}
	for _, was := range c.members.ids {
		if isID(was.ID) && byID(now, was.ID).ID == 0 {
			c.members.givenBack |= 1 << was.ID
		}
	}
	for _, m := range now {
		was := byID(c.members.ids, m.ID)
		if was.UUID == m.UUID && was.Incarnation == m.Incarnation || !isID(m.ID) {
			continue
		}
		c.peers.forget(m.ID)
		if was.ID == 0 {
			continue // what it said of itself before we knew its row holds
		}
		c.peers.reads[m.ID] = 0
		said := xrow.KindUnknown
		if m.Kind() == xrow.Tarragon && m.Incarnation == was.Incarnation {
			// A Tarantool changed the uuid alone: the mark is of the former
			// life. Until the new one speaks it may be of either kind.
			said = xrow.Tarantool
		}
		c.members.kinds.say(m.ID, said)
	}
}

// lastIDKey is the key in _schema of the greatest replica ID that was given back:
// [key, id]. The transaction that deletes the member with the greatest ID of all
// writes it.
const lastIDKey = "tarragon.last_id"

func lastIDTuple(id uint32) []byte {
	return msgp.AppendUint32(msgp.AppendString([]byte{0x92}, lastIDKey), id)
}

// readLastID is 0 where there is none.
func readLastID(tuple []byte) uint32 { return readNumber(tuple) }

// readNumber is n of a row [key, n]; 0: there is none, or it is no number of 32 bits.
func readNumber(tuple []byte) uint32 {
	fields, at, ok := mp.ReadArrayHeader(tuple)
	if !ok || fields < 2 {
		return 0
	}
	n, _, ok := mp.ReadInt(tuple[mp.Skip(tuple, at):])
	if !ok || n < 0 || n > math.MaxUint32 {
		return 0
	}
	return uint32(n)
}

// keepLastID writes that row if a transaction needs it.
func (c *Core) keepLastID(tx *box.Txn) error {
	if !c.underStrong() || c.members.all == 0 {
		return nil
	}
	left := uint32(0)
	for _, m := range c.box.NewestMembers() {
		left |= 1 << (m.ID % vclock.Max)
	}
	last := uint32(bits.Len32(c.members.all)) - 1
	if left>>last != 0 || readLastID(c.box.NewestSetting(lastIDKey)) >= last {
		return nil
	}
	d := xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSchema, Tuple: lastIDTuple(last)}
	return tx.ExecuteInternal(&d)
}

// MemberTuple is a tuple of _cluster. That of an instance of Tarantool's kind,
// which has no incarnation, looks as Tarantool would write it.
func MemberTuple(id uint32, uuid, name string, incarnation uint64) []byte {
	b := msgp.AppendUint32([]byte{0x94}, id)
	b = msgp.AppendString(b, uuid)
	if incarnation == 0 {
		if b[0] = 0x92; name != "" {
			b[0]++
			b = msgp.AppendString(b, name)
		}
		return b
	}
	if name == "" {
		b = msgp.AppendNil(b)
	} else {
		b = msgp.AppendString(b, name)
	}
	return msgp.AppendUint64(b, incarnation)
}

// freeID is the replica ID of a new member: one above all that were ever given,
// as far as that is known. Who had an ID before may be alive and not know that it
// has gone: its acks and votes would be those of the new member, and rows that
// only it holds would have the same LSNs. Only when there is no room above are
// freed ones taken, those without a known LSN first. held is what this instance has
// of each.
func (m *members) freeID(used, last uint32, held *vclock.VClock) uint32 {
	known := used | m.givenBack
	for id := uint32(1); id < vclock.Max; id++ {
		if held[id] != 0 {
			known |= 1 << id
		}
	}
	if top := max(uint32(bits.Len32(known&^1)), last+1); top < vclock.Max {
		return top
	}
	for _, taken := range [...]uint32{known, used} {
		if id := uint32(bits.TrailingZeros32(^(taken | 1))); id < vclock.Max {
			return id
		}
	}
	return 0
}

func putMember(tx *box.Txn, t xrow.Type, m box.Member) error {
	tuple := MemberTuple(m.ID, m.UUID, m.Name, m.Incarnation)
	if m.Learner {
		tuple = LearnerTuple(m.ID, m.UUID, m.Name, m.Incarnation)
	}
	d := xrow.DML{Type: t, SpaceID: xrow.SpaceCluster, Tuple: tuple}
	return tx.ExecuteInternal(&d)
}

func deleteMember(tx *box.Txn, id uint32) error {
	d := xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceCluster, Key: msgp.AppendUint32([]byte{0x91}, id)}
	return tx.ExecuteInternal(&d)
}

// LearnerTuple is a tuple of _cluster for a member that does not count yet.
func LearnerTuple(id uint32, uuid, name string, incarnation uint64) []byte {
	b := MemberTuple(id, uuid, name, incarnation)
	b[0]++
	return msgp.AppendBool(b, true)
}
