package sim

import (
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// voteChecker: a disk's vote in a term never changes, whatever restarts or joins
// anew. It reads {term, vote} wherever a disk has it: in the rows of the log, in
// checkpoints, in states that came by a JOIN; and what a process shows must be
// what its disk said when it began, or more. An identity ends with its disk: a
// new incarnation has a new replica ID.
type voteChecker struct {
	w    *World
	disk []record // by slot: the newest that the identity has on disk
	said []record // by slot: what this process shows at least
}

// record is a vote in a term; vote 0: none yet.
type record struct {
	term uint64
	vote uint32
}

// follows tells whether one may come behind another.
func (r record) follows(old record) bool {
	return r.term > old.term || r.term == old.term && (old.vote == 0 || r.vote == old.vote)
}

func (c *voteChecker) init(w *World) {
	c.w = w
	c.disk, c.said = make([]record, len(w.hosts)), make([]record, len(w.hosts))
}

// take is told of a record that a disk has now.
func (c *voteChecker) take(n *node, r record, where string) {
	old := &c.disk[n.slot]
	if !r.follows(*old) {
		c.w.fail("vote", "%s has the vote for %d in term %d in %s, its disk had one for %d in term %d",
			n.label(), r.vote, r.term, where, old.vote, old.term)
	}
	*old = r
}

// synced reads the rows of the log.
func (c *voteChecker) synced(n *node, g *xrow.Group) {
	for i, ref := range g.Table {
		if ref.Origin != 0 || ref.Type != xrow.RaftState {
			continue
		}
		if row, err := g.Row(i); err == nil {
			if r, err := xrow.DecodeRaft(row.Body); err == nil {
				c.take(n, record{r.Term, r.Vote}, "a row of its log")
			}
		}
	}
}

// saved reads a checkpoint that is complete: a restart takes it, and the rows
// of the log behind it that it does not count.
func (c *voteChecker) saved(n *node, s *instance.State) {
	r := record{s.Term, s.Vote}
	for no := s.NextGroup; no <= n.disk.synced; no++ {
		g := n.disk.at(no)
		if g == nil {
			continue
		}
		for i, ref := range g.Table {
			if ref.Origin != 0 || ref.Type != xrow.RaftState || ref.LSN <= s.VClock[0] {
				continue
			}
			if row, err := g.Row(i); err == nil {
				if body, err := xrow.DecodeRaft(row.Body); err == nil {
					r = record{body.Term, body.Vote}
				}
			}
		}
	}
	c.take(n, r, "its checkpoint")
}

// joined reads the state that a disk begins anew with. A new identity has given its
// vote away in that term: another of its lives may have voted in it.
func (c *voteChecker) joined(n *node, s *instance.State) {
	if c.disk[n.slot] == (record{}) && s.Vote == 0 && !n.isTarantool() {
		c.w.fail("vote", "%s joins in term %d with a vote to give", n.label(), s.Term)
	}
	c.take(n, record{s.Term, s.Vote}, "the state that it joined with")
}

// began is called when a process has read its disk.
func (c *voteChecker) began(n *node) { c.said[n.slot] = c.disk[n.slot] }

// shown compares what a process says with what it said, or read from its disk.
func (c *voteChecker) shown(n *node, r *xrow.Raft) {
	now, old := record{r.Term, r.Vote}, &c.said[n.slot]
	if !now.follows(*old) {
		c.w.fail("vote", "%s shows a vote for %d in term %d, and had one for %d in term %d",
			n.label(), now.vote, now.term, old.vote, old.term)
	}
	*old = now
}

// wiped ends an identity.
func (c *voteChecker) wiped(n *node) { c.disk[n.slot], c.said[n.slot] = record{}, record{} }
