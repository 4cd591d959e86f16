package replication

import (
	"slices"

	"tarragon/xrow"
)

// withoutVoid is a group with NOPs in the place of our own PROMOTEs that a newer
// one left out, by their LSNs: an original that did not get one in time would
// stop at its term (decision 0012). A group that has none is given back as it is.
func withoutVoid(g *xrow.Group, self uint32, void []uint64) *xrow.Group {
	isVoid := func(ref *xrow.Ref) bool {
		return ref.Type == xrow.Promote && ref.Origin == self && slices.Contains(void, ref.LSN)
	}
	if len(void) == 0 || !slices.ContainsFunc(g.Table, func(ref xrow.Ref) bool { return isVoid(&ref) }) {
		return g
	}
	out := &xrow.Group{Before: g.Before, After: g.After}
	for i := range g.Table {
		ref := &g.Table[i]
		row, err := g.Row(i)
		if err != nil {
			return g // damage: the peer says so
		}
		if isVoid(ref) {
			row.Type, row.Body = xrow.Nop, nil
		}
		out.Add(&row, ref.SpaceID, ref.First, ref.Term)
	}
	return out
}
