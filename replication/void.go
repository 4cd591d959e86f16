package replication

import (
	"slices"

	"tarragon.dev/tarragon/xrow"
)

// withoutVoid is a group as peers of Tarantool's kind may see it: they take a
// PROMOTE for good where they get it, so NOPs stand in for those of ours that
// took effect nowhere. Groups are shared: one that changes is a new one.
func withoutVoid(g *xrow.Group, self uint32, void []uint64) *xrow.Group {
	isVoid := func(ref xrow.Ref) bool {
		return ref.Type == xrow.Promote && ref.Origin == self && slices.Contains(void, ref.LSN)
	}
	if len(void) == 0 || !slices.ContainsFunc(g.Table, isVoid) {
		return g
	}
	out := &xrow.Group{Before: g.Before, After: g.Before}
	for i, ref := range g.Table {
		row, err := g.Row(i)
		if err != nil {
			return g // damage: the peer says so
		}
		if isVoid(ref) {
			row.Type, row.Body, ref.Term = xrow.Nop, nil, 0
		}
		out.Add(&row, ref.SpaceID, ref.First, ref.Term)
	}
	return out
}
