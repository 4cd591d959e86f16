package sim

import (
	"slices"

	"tarragon.dev/tarragon/xrow"
)

// historyChecker: all that was ever committed is one history. It keeps the
// chain of PROMOTE rows and, for each term, how far a quorum of disks holds it:
// from there on it is committed, whether anybody noticed or not. A PROMOTE in
// effect whose chain leaves out what was committed has lost it: that is leader
// completeness, and that no acknowledged row is lost.
type historyChecker struct {
	w        *World
	promotes map[uint64]*row
	effect   []uint64                     // terms in effect, ascending
	upTo     map[uint64]uint64            // by term in effect: LSN up to which its rows are committed
	disks    map[uint64]map[uint32]uint64 // by term, by replica ID: LSN of the term's owner that the disk held in that very term
}

func (c *historyChecker) init(w *World) {
	c.w = w
	c.promotes, c.upTo = map[uint64]*row{}, map[uint64]uint64{}
	c.disks = map[uint64]map[uint32]uint64{}
}

// wrote sees the rows of an author as it hands them to its disk.
func (c *historyChecker) wrote(n *node, r *row) {
	switch r.kind {
	case xrow.Promote:
		c.promotes[r.term] = r
		p := r.synchro
		if p.PrevTerm == 0 {
			return
		}
		prev := c.w.check.rows.named(p.ReplicaID, p.Strong())
		if prev == nil || prev.term != p.PrevTerm {
			c.w.fail("chain", "%s writes PROMOTE of term %d after (%d, %d) of term %d, a row that nobody knows",
				n.label(), r.term, p.ReplicaID, p.Strong(), p.PrevTerm)
		}
	case xrow.Confirm:
		if p := c.promotes[r.term]; r.term != 0 && (p == nil || p.origin != r.origin) {
			c.w.fail("chain", "%s confirms LSN %d of %d in term %d, whose leader is another", n.label(), r.synchro.Strong(), r.origin, r.term)
			return
		}
		c.mustBeCommitted(n, place{r.term, r.synchro.Strong()}, "CONFIRM")
		c.commit(r.term, r.synchro.Strong())
	}
}

// held counts again after a disk has got more.
func (c *historyChecker) held(n *node) {
	term := n.disk.term
	p := c.promotes[term]
	if p == nil || n.id == 0 {
		return
	}
	lsn := n.disk.vclock[p.origin]
	if lsn < p.lsn {
		return
	}
	at := c.disks[term]
	if at == nil {
		at = map[uint32]uint64{}
		c.disks[term] = at
	}
	if lsn <= at[n.id] {
		return
	}
	at[n.id] = lsn
	for c.count(term, at) {
	}
}

// count commits what a quorum holds: of the configuration that is decided and,
// from the first change that is not on, of that one as well. It tells whether
// something was decided that lets more be counted.
func (c *historyChecker) count(term uint64, at map[uint32]uint64) (more bool) {
	confirmed, newest, change := c.w.check.config.inForce(term)
	lsn := c.quorumLSN(at, confirmed)
	if confirmed == newest && change == (place{}) {
		c.commit(term, lsn)
		return false
	}
	both := min(lsn, c.quorumLSN(at, newest))
	switch p := c.promotes[term]; {
	case change.term < term: // the PROMOTE decides it
		c.commit(term, both)
		return both >= p.lsn
	case both >= change.lsn:
		c.commit(term, change.lsn)
		return true
	}
	c.commit(term, min(lsn, change.lsn-1))
	return false
}

// quorumLSN is the greatest LSN that a quorum of disks holds.
func (c *historyChecker) quorumLSN(at map[uint32]uint64, who configuration) uint64 {
	var lsns []uint64
	for id := uint32(1); id < 32; id++ {
		if who.voters&(1<<id) != 0 {
			lsns = append(lsns, at[id])
		}
	}
	slices.Sort(lsns)
	if who.synchro > len(lsns) {
		return 0
	}
	return lsns[len(lsns)-who.synchro]
}

// names tells whether the chain of a term keeps a place.
func (c *historyChecker) names(term uint64, at place) bool {
	if at.term == 0 || at.term == term {
		return true
	}
	end, ok := c.end(term, at.term)
	return ok && at.lsn <= end
}

// commit notes that the rows of a term up to an LSN are committed, and with
// them what the term's chain names.
func (c *historyChecker) commit(term, lsn uint64) {
	p := c.promotes[term]
	if p == nil || lsn < p.lsn {
		return
	}
	old, inEffect := c.upTo[term]
	if inEffect && lsn <= old {
		return
	}
	c.upTo[term] = lsn
	if !inEffect {
		i, _ := slices.BinarySearch(c.effect, term)
		c.effect = slices.Insert(c.effect, i, term)
	}
	for _, other := range c.effect {
		switch {
		case other < term && !inEffect:
			c.compare(term, other)
		case other > term:
			c.compare(other, term)
		}
	}
}

// compare tells whether a newer term in effect keeps what an older one has
// committed.
func (c *historyChecker) compare(newer, older uint64) {
	end, ok := c.end(newer, older)
	if !ok {
		c.w.fail("history", "term %d is in effect (committed up to %d), but the chain of term %d, in effect too, leaves it out",
			older, c.upTo[older], newer)
		return
	}
	if end < c.upTo[older] {
		c.w.fail("history", "term %d has LSN %d committed, but term %d, in effect, keeps it only up to %d",
			older, c.upTo[older], newer, end)
	}
}

// end is the LSN up to which the chain of a PROMOTE keeps an older term.
func (c *historyChecker) end(newer, older uint64) (lsn uint64, ok bool) {
	for p := c.promotes[newer]; p != nil; p = c.promotes[p.synchro.PrevTerm] {
		if p.synchro.PrevTerm == older {
			return p.synchro.Strong(), true
		}
		if p.synchro.PrevTerm < older {
			return 0, false
		}
	}
	return 0, false
}

// committed tells whether a place belongs to the history, as known now.
func (c *historyChecker) committed(at place) bool {
	if at.term == 0 {
		return true // bootstrap: decided by the author's write
	}
	if at.lsn <= c.upTo[at.term] {
		return true
	}
	if len(c.effect) == 0 {
		return false
	}
	newest := c.effect[len(c.effect)-1]
	end, ok := c.end(newest, at.term)
	return ok && at.lsn <= end
}

// mustBeCommitted is the check of everybody who claims a commit.
func (c *historyChecker) mustBeCommitted(n *node, at place, claim string) {
	if !c.committed(at) {
		c.w.fail("quorum", "%s: %s for LSN %d of term %d, which no quorum of disks holds in that term (committed: %d)",
			n.label(), claim, at.lsn, at.term, c.upTo[at.term])
	}
}
