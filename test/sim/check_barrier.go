package sim

import "tarragon.dev/tarragon/xrow"

// barrierChecker: a change of the schema, and of members with it, stands in the
// log behind a CONFIRM of all that its leader wrote in the term before, and what
// comes behind it stands behind its own CONFIRM. So two changes are never
// undecided at once, and whoever has one knows the fate of the other.
type barrierChecker struct {
	w         *World
	last      map[uint64]uint64 // by term: LSN of the newest row that is no CONFIRM
	change    map[uint64]uint64 // by term: LSN of the newest row that changes the schema
	confirmed map[uint64]uint64 // by term: up to where its CONFIRMs go
}

func (c *barrierChecker) init(w *World) {
	c.w = w
	c.last, c.change, c.confirmed = map[uint64]uint64{}, map[uint64]uint64{}, map[uint64]uint64{}
}

// wrote sees the rows of an author in the order of its log.
func (c *barrierChecker) wrote(n *node, r loggedRow) {
	switch {
	case r.term == 0:
		return
	case r.kind == xrow.Confirm:
		c.confirmed[r.term] = max(c.confirmed[r.term], r.synchro.Strong())
		return
	case r.system && r.first && c.confirmed[r.term] < c.last[r.term]:
		c.w.fail("barrier", "%s changes the schema with LSN %d of term %d; LSN %d is not confirmed (up to %d)",
			n.label(), r.lsn, r.term, c.last[r.term], c.confirmed[r.term])
	case r.first && c.confirmed[r.term] < c.change[r.term]:
		c.w.fail("barrier", "%s writes LSN %d of term %d upon a change of the schema, LSN %d, that is not confirmed (up to %d)",
			n.label(), r.lsn, r.term, c.change[r.term], c.confirmed[r.term])
	}
	if c.last[r.term] = r.lsn; r.system {
		c.change[r.term] = r.lsn
	}
}
