package instance

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// heardKind notes what a peer says that it is. A false word ends no rules that keep
// more: where all members are ours by their rows, one that says otherwise is not
// believed.
func (c *Core) heardKind(peer uint32, kind xrow.Kind) error {
	k := &c.members.kinds
	if peer == 0 || peer >= vclock.Max {
		return nil
	}
	if kind == xrow.Tarantool && c.strongAlone() && k.all&(1<<peer) != 0 {
		return protocolError(fmt.Sprintf("instance %d is registered as one of Tarragon, and says that it is a Tarantool", peer))
	}
	before := k.said[peer]
	k.say(peer, kind)
	c.raft.SetTarantools(k.tarantools)
	if c.started && before != kind {
		c.refreshNewest() // other rules, other quorums
	}
	return nil
}

// strongAlone tells whether the strong rules hold and no member knows others.
func (c *Core) strongAlone() bool {
	cur := c.limbo.Current()
	return !c.replay && c.cfg.Kind != xrow.Tarantool && cur.Term != 0 && !c.limbo.Mixed() && c.members.kinds.tarantools == 0
}

// tarantoolsAmong are those of some members who are taken for Tarantools.
func (c *Core) tarantoolsAmong(members []box.Member) (set uint32) {
	for i := range members {
		if m := &members[i]; isID(m.ID) && m.UUID != c.cfg.UUID && c.members.kinds.of(m) == xrow.Tarantool {
			set |= 1 << m.ID
		}
	}
	return set
}

// others reads off the rows of _cluster who the others are, and of which of them no
// row tells the kind.
func (c *Core) others(members []box.Member) (all, unmarked uint32) {
	for i := range members {
		m := &members[i]
		if !isID(m.ID) || m.UUID == c.cfg.UUID {
			continue
		}
		all |= 1 << m.ID
		if m.Kind() == xrow.KindUnknown {
			unmarked |= 1 << m.ID
		}
	}
	return all, unmarked
}

// noteKinds does so for the newest rows.
func (c *Core) noteKinds(members []box.Member) {
	all, unmarked := c.others(members)
	confirmed, _ := c.others(c.members.ids)
	c.members.kinds.note(all, unmarked, confirmed)
	c.raft.SetTarantools(c.members.kinds.tarantools)
}

// schemaBefore tells whether the version of the schema in _schema is known and
// not above a given one.
func schemaBefore(b *box.Box, major, minor, patch uint64) bool {
	q := box.Query{Space: xrow.SpaceSchema, Iterator: box.EQ, Key: msgp.AppendString([]byte{0x91}, "version"), Limit: 1}
	raw, n, err := b.Select(box.UserAdmin, &q, nil)
	if err != nil || n == 0 {
		return false
	}
	elems, at, ok := mp.ReadArrayHeader(raw)
	if !ok || elems < 4 {
		return false
	}
	_, m, _ := mp.ReadString(raw[at:])
	at += m
	var v [3]uint64
	for i := range v {
		u, m, ok := mp.ReadUint(raw[at:])
		if !ok {
			return false
		}
		v[i] = u
		at += m
	}
	return slices.Compare(v[:], []uint64{major, minor, patch}) <= 0
}
