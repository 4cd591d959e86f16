package main

import "fmt"

// canCampaign: x is a voter by its own log.
func (m *Model) canCampaign(s *State, x int) bool {
	n := &s.Node[x]
	return n.Rec == noRec && n.Role != leader && m.mayVote(s, x)
}

// campaign raises the term and votes for itself: one record in the journal,
// behind everything handed to it before.
func (m *Model) campaign(s *State, x int, token uint8) {
	n := &s.Node[x]
	n.Token = token
	n.Term++
	n.Vote = uint8(x) + 1
	n.Role, n.Votes, n.Acked = waiting, 0, [maxN]uint8{}
	s.record(x)
}

// record puts {Term, Vote} in the journal. With nothing unsynced before it, it
// is taken as synced at once: nobody can tell the difference.
func (s *State) record(x int) {
	n := &s.Node[x]
	n.Rec = uint8(len(n.Log))
	if int(n.Synced) == len(n.Log) {
		s.recordSynced(x)
	}
}

// recordSynced: only now may others see the term and the vote.
func (s *State) recordSynced(x int) {
	n := &s.Node[x]
	n.PTerm, n.PVote, n.Rec = n.Term, n.Vote, noRec
	if n.Role == waiting {
		n.Role, n.Votes = candidate, 1<<x
		return
	}
	if n.PVote != noVote {
		// The vote is sent. That it arrives at once loses nothing: the
		// candidate may count it as late as it likes.
		if c := &s.Node[n.PVote-1]; c.Role == candidate && c.Term == n.PTerm {
			c.Votes |= 1 << x
		}
	}
}

// adoptTerm follows a greater term without a vote.
func (m *Model) adoptTerm(s *State, x int, term uint8) {
	n := &s.Node[x]
	n.Term, n.Vote = term, noVote
	n.Role, n.Votes, n.Acked = follower, 0, [maxN]uint8{}
	s.record(x)
}

// canVote: x may vote for y. It does not ask by which configuration y counts,
// nor whether it counts itself: one that knows that it is out may be what those
// need who do not know it.
func (m *Model) canVote(s *State, x, y int) bool {
	v, c := &s.Node[x], &s.Node[y]
	if c.Role != candidate || v.Rec != noRec || len(v.Log) == 0 {
		return false
	}
	if c.Term < v.Term || c.Term == v.Term && (v.Vote != noVote || v.Role != follower) {
		return false
	}
	now := m.views(v)
	if (now.Newest.Voters|now.Newest.Learners)&(1<<y) == 0 && !m.Rules.VoteForAll {
		return false
	}
	if m.Rules.MembersVote && !m.mayVote(s, x) {
		return false
	}
	if m.Rules.HandoverBlind && v.handedTo(y, c.Term) {
		return true
	}
	mine := v.Log
	if m.Rules.VoteSynced {
		mine = v.Log[:v.Synced]
	}
	if m.Rules.VoteChain {
		a, b := newestPromote(c.Log).Term, newestPromote(mine).Term
		return a > b || a == b && lastOfTerm(c.Log, a) >= lastOfTerm(mine, b)
	}
	return vclockOf(c.Log).covers(vclockOf(mine))
}

func (m *Model) grantVote(s *State, x, y int) {
	n := &s.Node[x]
	n.Term, n.Vote = s.Node[y].Term, uint8(y)+1
	n.Role, n.Votes, n.Acked = follower, 0, [maxN]uint8{}
	s.record(x)
}

func (m *Model) canLead(s *State, x int) bool {
	n := &s.Node[x]
	return n.Role == candidate && m.elects(n, n.Votes)
}

// lead makes the winner of an election write its PROMOTE. It follows the
// newest PROMOTE of its own log, in effect or not, up to the last row held of
// that term.
func (m *Model) lead(s *State, x int) error {
	n := &s.Node[x]
	for len(s.Leaders) <= int(n.Term) {
		s.Leaders = append(s.Leaders[:len(s.Leaders):len(s.Leaders)], 0)
	}
	if who := s.Leaders[n.Term]; who != 0 {
		return fmt.Errorf("two leaders in term %d: %c and %c", n.Term, 'A'+who-1, 'A'+x)
	}
	if err := m.checkWinner(s, x); err != nil {
		return err
	}
	if !m.tokenCounts(n) {
		n.Role, n.Votes, n.Token = follower, 0, 0
		return nil
	}
	s.Leaders = append([]uint8{}, s.Leaders...)
	s.Leaders[n.Term] = uint8(x) + 1
	n.Role, n.Votes, n.Acked = leader, 0, [maxN]uint8{}

	prev := newestPromote(n.Log)
	if m.Rules.FollowEffective {
		prev, _ = promoteOf(n.Log, n.CTerm)
	}
	m.writeRow(s, x, Row{Kind: PROMOTE, RefOwner: prev.Origin, RefTerm: prev.Term, RefLSN: lastOfTerm(n.Log, prev.Term), Token: n.Token})
	n.Token = 0
	return nil
}

func count(bits uint8) (k int) {
	for ; bits != 0; bits &= bits - 1 {
		k++
	}
	return k
}

// elections (coarse) lists the smallest sets of voters, besides x, that make x
// leader of the term in one step. A term that others have is not learned in a
// step of its own here: candidates choose theirs, leaders may stand again, and
// who only learned a term would do less than who does not.
func (m *Model) elections(s *State, x, term int) (out []uint8) {
	t := s.clone()
	t.Node[x].Role, t.Node[x].Term = follower, uint8(term)-1
	if !m.canCampaign(t, x) {
		return nil
	}
	m.campaign(t, x, 0)
	if t.Node[x].Role != candidate {
		return nil // its own vote waits for the disk
	}
	if m.Bounds.Bulk {
		m.hear(t, x)
	}
	able := uint8(0)
	for v := range s.N {
		if v != x && m.canVote(t, v, x) && int(t.Node[v].Synced) == len(t.Node[v].Log) {
			able |= 1 << v
		}
	}
	c := &t.Node[x]
	elects := func(bits uint8) bool { return m.elects(c, bits|1<<x) }
	for bits := range uint8(1 << s.N) {
		if bits&^able != 0 || !elects(bits) {
			continue
		}
		least := true
		for _, v := range members(bits) {
			least = least && !elects(bits&^(1<<v))
		}
		if least {
			out = append(out, bits)
		}
	}
	return out
}

func (m *Model) electAtOnce(s *State, x, term int, voters, token uint8) error {
	s.Node[x].Term = uint8(term) - 1
	m.campaign(s, x, token)
	for _, v := range members(voters) {
		if m.Bounds.Bulk && !m.canVote(s, v, x) {
			m.pullAll(s, v, x)
		}
		m.grantVote(s, v, x)
	}
	return m.lead(s, x)
}

func members(bits uint8) (ids []int) {
	for i := range 8 {
		if bits&(1<<i) != 0 {
			ids = append(ids, i)
		}
	}
	return ids
}

func (s *State) newestTerm() (t int) {
	for i := range s.N {
		t = max(t, int(s.Node[i].Term))
	}
	return t
}
