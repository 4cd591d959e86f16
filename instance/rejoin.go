package instance

import (
	"fmt"
	"iter"
	"slices"

	"tarragon/xrow"
)

// Keep makes the state of a member that joins anew out of the received state
// and its old store (design section 5, rule 14). What was shown to others must
// not be forgotten: the greater LSNs, the term and vote, and all rows of the
// old log that the received state does not settle, for they may have been
// acked and be committed by that ack. old is what the old store has on disk:
// its vclock, term, vote, and the next group; log gives the undecided rows of
// its newest checkpoint and then its groups, in order.
//
// It must not be called unless the state knows as much to be committed as the
// old core did, see [State.Knows].
func (s State) Keep(old State, log iter.Seq[*xrow.Group]) (State, error) {
	all := &xrow.Group{Before: s.VClock, After: s.VClock}
	keep := func(g *xrow.Group) error {
		for i, ref := range g.Table {
			if ref.Origin == 0 || ref.LSN <= all.After[ref.Origin] {
				continue
			}
			row, err := g.Row(i)
			if err != nil {
				return fmt.Errorf("row %d of instance %d: %w", ref.LSN, ref.Origin, err)
			}
			all.Add(&row, ref.SpaceID, ref.First, ref.Term)
		}
		return nil
	}
	if s.Undecided != nil {
		if err := keep(s.Undecided); err != nil {
			return s, err
		}
		all.After.Merge(&s.Undecided.After)
		s.holdLast()
	}
	for g := range log {
		if err := keep(g); err != nil {
			return s, err
		}
	}
	if old.Term > s.Term || old.Term == s.Term && old.Vote != 0 {
		s.Term, s.Vote = old.Term, old.Vote
	}
	s.VClock.Merge(&all.After)
	s.VClock.Merge(&old.VClock)
	s.Undecided, s.NextGroup = all, old.NextGroup
	return s, nil
}

// Knows tells whether the state knows as much to be committed as a core does.
func (s *State) Knows(i *Info) bool {
	if len(i.History) == 0 || len(s.History) == 0 {
		return len(i.History) == 0
	}
	theirs, ours := s.History[len(s.History)-1].Term, i.History[len(i.History)-1].Term
	return theirs > ours || theirs == ours && s.Confirmed >= i.Confirmed
}

// holdLast makes the newest term in effect end where its owner's undecided
// rows do: a PROMOTE may follow a CONFIRM, which is not among them.
func (s *State) holdLast() {
	n := len(s.History)
	if n == 0 {
		return
	}
	s.History = slices.Clone(s.History)
	span := &s.History[n-1]
	last := s.Undecided.After[span.Owner]
	for _, ref := range s.Undecided.Table {
		if ref.Origin == span.Owner && ref.Term > span.Term {
			last = min(last, ref.LSN-1)
		}
	}
	span.Last = max(span.Last, last)
}
