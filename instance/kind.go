package instance

import (
	"slices"

	"tarragon/box"
	"tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// heardRules notes what a peer says of the rules that it knows.
func (c *Core) heardRules(peer uint32, rules uint64) {
	if peer == 0 || peer >= uint32(len(c.vclock)) {
		return
	}
	bit, before := uint32(1)<<peer, c.originals()
	if rules == 0 {
		c.saidStrong, c.saidOriginal = c.saidStrong&^bit, c.saidOriginal|bit
	} else {
		c.saidStrong, c.saidOriginal = c.saidStrong|bit, c.saidOriginal&^bit
	}
	c.raft.SetOriginals(c.originals())
	if c.started && (before == 0) != (c.originals() == 0) {
		c.refreshNewest() // other rules, other quorums
	}
}

// originals are the members, committed or not, that are not known to take the
// strong rules: a bit each. Known is who said so since our start, and who has
// an incarnation in its row and did not say otherwise: we wrote that.
func (c *Core) originals() uint32 {
	return c.memberOriginals&^c.saidStrong | c.saidOriginal&c.memberMask
}

// noteKinds reads off the rows of _cluster who has no incarnation.
func (c *Core) noteKinds(members []box.Member) {
	c.memberOriginals, c.memberMask = 0, 0
	for _, m := range members {
		if m.ID == 0 || m.ID >= uint32(len(c.vclock)) || m.UUID == c.cfg.UUID {
			continue
		}
		c.memberMask |= 1 << m.ID
		if m.Incarnation == 0 {
			c.memberOriginals |= 1 << m.ID
		}
	}
	// An ID may be given to somebody else: a word holds for one membership.
	c.saidStrong &= c.memberMask
	c.saidOriginal &= c.memberMask
	c.raft.SetOriginals(c.originals())
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
