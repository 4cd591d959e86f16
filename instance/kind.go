package instance

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// heardRules notes what a peer says of the rules that it knows. A false word ends no
// rules that keep more: where all members are ours by their rows, one that says
// otherwise is not believed.
func (c *Core) heardRules(peer uint32, rules uint64) error {
	if peer == 0 || peer >= uint32(len(c.out.vclock)) {
		return nil
	}
	if rules == 0 && c.strongAlone() && c.members.kinds.all&(1<<peer) != 0 {
		return protocolError(fmt.Sprintf("instance %d is registered as one of Tarragon, and says that it is a Tarantool", peer))
	}
	bit, strong, tarantool := uint32(1)<<peer, c.members.kinds.saidStrong, c.members.kinds.saidTarantool
	if rules == 0 {
		c.members.kinds.saidStrong, c.members.kinds.saidTarantool = c.members.kinds.saidStrong&^bit, c.members.kinds.saidTarantool|bit
	} else {
		c.members.kinds.saidStrong, c.members.kinds.saidTarantool = c.members.kinds.saidStrong|bit, c.members.kinds.saidTarantool&^bit
	}
	c.raft.SetTarantools(c.tarantools())
	if c.started && (strong != c.members.kinds.saidStrong || tarantool != c.members.kinds.saidTarantool) {
		c.refreshNewest() // other rules, other quorums
	}
	return nil
}

// strongAlone tells whether the strong rules hold and no member knows others.
func (c *Core) strongAlone() bool {
	cur := c.limbo.Current()
	return !c.replay && c.cfg.Kind != xrow.Tarantool && cur.Term != 0 && !c.limbo.Mixed() && c.tarantools() == 0
}

// Tarantools are the members, committed or not, that are not known to take the
// strong rules: a bit each. Known is who said so since our start, and who has
// an incarnation in its row and did not say otherwise: we wrote that.
func (c *Core) tarantools() uint32 {
	return c.members.kinds.unmarked&^c.members.kinds.saidStrong | c.members.kinds.saidTarantool&c.members.kinds.all
}

// tarantoolsAmong are those of some members.
func (c *Core) tarantoolsAmong(members []box.Member) uint32 {
	unmarked, all := c.kinds(members)
	return unmarked&^c.members.kinds.saidStrong | c.members.kinds.saidTarantool&all
}

// kinds reads off the rows of _cluster who of the others has no incarnation.
func (c *Core) kinds(members []box.Member) (unmarked, all uint32) {
	for _, m := range members {
		if !isID(m.ID) || m.UUID == c.cfg.UUID {
			continue
		}
		all |= 1 << m.ID
		if m.Incarnation == 0 {
			unmarked |= 1 << m.ID
		}
	}
	return unmarked, all
}

// noteKinds does so for the newest rows.
func (c *Core) noteKinds(members []box.Member) {
	c.members.kinds.unmarked, c.members.kinds.all = c.kinds(members)
	// An ID may be given to somebody else: a word holds for one membership.
	_, confirmed := c.kinds(c.members.ids)
	c.members.kinds.saidStrong &= c.members.kinds.all | confirmed
	c.members.kinds.saidTarantool &= c.members.kinds.all | confirmed
	c.raft.SetTarantools(c.tarantools())
}

// schemaBefore tells whether the version of the schema in _schema is known and
// not above a given one.
func schemaBefore(b *box.Box, major, minor, patch uint64) bool {
	q := box.Query{Space: spaceSchema, Iterator: box.EQ, Key: msgp.AppendString([]byte{0x91}, "version"), Limit: 1}
	raw, n, err := b.Select(box.UserAdmin, &q, nil)
	if err != nil || n == 0 {
		return false
	}
	elems, at, ok := xrow.ReadArrayHeader(raw)
	if !ok || elems < 4 {
		return false
	}
	_, m, _ := xrow.ReadString(raw[at:])
	at += m
	var v [3]uint64
	for i := range v {
		u, m, ok := xrow.ReadUint(raw[at:])
		if !ok {
			return false
		}
		v[i] = u
		at += m
	}
	return slices.Compare(v[:], []uint64{major, minor, patch}) <= 0
}

// spaceSchema is _schema: [key, value ...].
const spaceSchema = 272
