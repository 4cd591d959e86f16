package main

import "fmt"

// Config says who counts and how many make a quorum. Members are bits.
type Config struct {
	Voters, Learners uint8
	Quorum           uint8 // the synchronous quorum; 0: N/2+1
	Ends             uint8 // the voter whose life this change ended; it is in the row only
}

func (c Config) String() string {
	out := names(members(c.Voters))
	if c.Learners != 0 {
		out += "+" + names(members(c.Learners))
	}
	out += fmt.Sprintf("/%d", c.synchro())
	if c.Ends != 0 {
		out += " ends " + names(members(c.Ends))
	}
	return out
}

func (c Config) synchro() int {
	n := count(c.Voters)
	if c.Quorum == 0 {
		return n/2 + 1
	}
	return min(int(c.Quorum), n)
}

// election is the least number that meets every synchronous quorum and itself.
func (c Config) election() int {
	n := count(c.Voters)
	return max(n/2+1, n-c.synchro()+1)
}

// Views are the two configurations that a node knows: by what it knows to be
// committed, and by all that may still be. Where no change is undecided they
// are equal.
type Views struct{ Confirmed, Newest Config }

// views reads them off the log. Nothing about who counts is kept elsewhere.
func (m *Model) views(n *Node) (v Views) {
	v.Confirmed = configAt(n.Log, n.CTerm, n.CLSN)
	v.Newest = v.Confirmed
	if m.Rules.NewestByChain {
		if top := newestPromote(n.Log); top.Term > 0 {
			v.Newest = configAt(n.Log, top.Term, 255)
		}
		return v
	}
	for _, r := range n.Log {
		if r.Kind == CONFIG && n.undecided(r) {
			v.Newest = r.Cfg
		}
	}
	return v
}

// configAt is the configuration that holds when the row (term, lsn) is
// committed.
func configAt(log []Row, term, lsn uint8) Config { return changeAt(log, term, lsn).Cfg }

// changeAt is the row that says so: the last one on the chain.
func changeAt(log []Row, term, lsn uint8) (c Row) {
	for term != 0 && c.LSN == 0 {
		for _, r := range log {
			if r.Term == term && r.LSN <= lsn && r.LSN > c.LSN && r.configures() {
				c = r
			}
		}
		p, _ := promoteOf(log, term)
		term, lsn = p.RefTerm, p.RefLSN
	}
	return c
}

// undecided: the fate of r is open as far as n knows.
func (n *Node) undecided(r Row) bool {
	return r.Term > n.CTerm || r.Term == n.CTerm && r.LSN > n.CLSN
}

// Counting says by which of the two configurations a quorum is counted.
type Counting uint8

const (
	byBoth      Counting = iota // a quorum of the confirmed and one of the newest
	byConfirmed                 // the newest is not looked at
	byNewest                    // it replaces the confirmed one as soon as it is in the log
	byGreater                   // members by the confirmed, number by the greater of both
)

// quorate reports whether the given instances suffice.
func (m *Model) quorate(v Views, by Counting, need func(Config) int, bits uint8) bool {
	enough := func(c Config, k int) bool {
		who := c.Voters
		if m.Rules.CountLearners {
			who |= c.Learners
		}
		return c.Voters != 0 && count(bits&who) >= k
	}
	switch by {
	case byConfirmed:
		return enough(v.Confirmed, need(v.Confirmed))
	case byNewest:
		return enough(v.Newest, need(v.Newest))
	case byGreater:
		return enough(v.Confirmed, max(need(v.Confirmed), need(v.Newest)))
	}
	return enough(v.Confirmed, need(v.Confirmed)) && enough(v.Newest, need(v.Newest))
}

// elects reports whether the votes make their holder leader.
func (m *Model) elects(n *Node, votes uint8) bool {
	if m.Rules.HandoverLeads && n.Vote != noVote && n.handedTo(int(n.Vote)-1, n.Term) {
		return true
	}
	v := m.views(n)
	if m.Rules.DropEnded {
		votes &^= v.Newest.Ends &^ v.Newest.Voters
	}
	return m.quorate(v, m.Rules.Elect, Config.election, votes)
}

// mayVote: its own log makes the node a voter.
func (m *Model) mayVote(s *State, x int) bool {
	v := m.views(&s.Node[x])
	return (v.Confirmed.Voters|v.Newest.Voters)&(1<<x) != 0
}

// giveUp ends a candidacy whose configurations changed under it: the votes
// were asked for by other rules.
func (m *Model) giveUp(n *Node, before Views) {
	if (n.Role == candidate || n.Role == waiting) && !m.Rules.GoOn && m.views(n) != before {
		n.Role, n.Votes = follower, 0
	}
}
