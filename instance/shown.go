package instance

import (
	"fmt"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// A disk that goes back shows less than it has shown before: a machine was
// restored from an image, or a disk lied about a sync. That is a lost
// log (docs/architecture.md#the-life-of-a-lost-log), also where none of its own rows are missing: what it
// acked may be committed by that ack, and it may vote again in an old term.
//
// Nobody but its peers can know. So each remembers what a member has shown to
// it, and tells it to that member when it subscribes. The member compares that
// with its disk: it is the only one who can without a race, for whatever it has
// shown it had on its disk before. A peer that sees less in a SUBSCRIBE, in the
// answer to its own, or in an election state, counts no vote and no ack of that
// life any more. A SUBSCRIBE or an ack that shows all of it again ends this: another
// connection of the member had overtaken the one before, or the rows have come
// back. What the member makes of such a word is in claims.go.

// Shown is what an instance told others of itself last.
type Shown struct {
	Term uint64
	Vote uint32        // in that term
	Ack  vclock.VClock // greatest vclock that was acked
}

// check compares what was shown with what is on disk.
func (s *Shown) check(have raft.Record, v *vclock.VClock) error {
	switch {
	case !s.fitsVote(have):
		return fmt.Errorf("it showed term %d with a vote for %d, the disk has term %d with a vote for %d", s.Term, s.Vote, have.Term, have.Vote)
	case !v.Covers(&s.Ack):
		return fmt.Errorf("it acked %s, the disk has %s", s.Ack, v)
	}
	return nil
}

// fitsVote tells whether a record may follow the term and vote that were shown.
func (s *Shown) fitsVote(have raft.Record) bool {
	return s.Term < have.Term || s.Term == have.Term && (s.Vote == 0 || s.Vote == have.Vote)
}

// ShownBy is what a member has shown to us in its present life, as far as this
// process has heard it.
func (c *Core) ShownBy(id uint32) Shown {
	s := c.peers.shown[id]
	s.Ack = c.peers.acked[id]
	return s
}

// takeShown compares what a peer says that we have shown it with our disk. What it
// says of a term is heeded although it is only a claim, for that costs nothing: in
// the term behind it there is no vote that we could have forgotten.
func (c *Core) takeShown(ev ShownBefore) {
	if ev.From == 0 || ev.From >= vclock.Max {
		return
	}
	if err := c.checkTerm(ev.Shown.Term); err != nil {
		c.cutStream(ev.From, clientError(err))
		return
	}
	have := c.raft.Saved()
	err := ev.Shown.check(have, &c.out.onDisk)
	if err == nil {
		c.peers.claims.clear(ev.From)
		return
	}
	if c.claimed(ev.From, &ev.Shown.Ack, err) && !ev.Shown.fitsVote(have) {
		c.adopt(max(ev.Shown.Term, have.Term) + 1)
	}
}

// noteShown looks at an election state, and remembers it.
func (c *Core) noteShown(from, vote uint32, term uint64) {
	was := &c.peers.shown[from]
	if c.members.kinds.said[from] != xrow.Tarantool && (term < was.Term || term == was.Term && vote != 0 && was.Vote != 0 && vote != was.Vote) {
		c.wentBack(from)
		return
	}
	was.Term, was.Vote = term, vote
}

// wentBack drops what a member's life has said.
func (c *Core) wentBack(id uint32) {
	if c.peers.back&(1<<id) != 0 {
		return
	}
	c.trace(FactWentBack, id, 0, "")
	c.peers.back |= 1 << id
	c.limbo.Forget(id)
}
