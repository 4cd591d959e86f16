package main

import "fmt"

// Model is a rule set within bounds.
type Model struct {
	Rules  Rules
	Bounds Bounds
}

// Act is what a step does.
type Act uint8

const (
	Campaign Act = iota
	GrantVote
	BecomeLeader
	LearnTerm
	Write
	Commit
	CommitOld
	WriteConfirm
	WriteConfig
	WriteHandover
	TellQuorum
	Pull
	Sync
	Crash
	Wipe
	Join
	Rejoin
	Elect // coarse: campaign in term B, the votes of the instances in K, lead
)

var actNames = [...]string{"campaign", "vote", "lead", "learn-term", "write", "commit", "commit-old", "confirm",
	"config", "hands-over-to", "is-told-quorum", "pull", "sync", "crash", "loses-its-disk", "joins-from", "joins-anew-from", "elect"}

// Step is one thing that can happen: instance A does Act with instance B.
type Step struct {
	Act    Act
	A, B   uint8
	K      uint8 // Commit: up to this LSN. Elect: bits of the voters. TellQuorum: it. Crash: rows kept, +128 when the vote record there is kept too
	Change Change
	Cfg    Config // WriteConfig
	Token  uint8  // Campaign, Elect: by which it stands
}

func (p Step) String() string {
	switch p.Act {
	case GrantVote:
		return fmt.Sprintf("%c votes for %c", 'A'+p.A, 'A'+p.B)
	case LearnTerm, Pull, Join, Rejoin, WriteHandover:
		return fmt.Sprintf("%c %s %c", 'A'+p.A, actNames[p.Act], 'A'+p.B)
	case Elect:
		return fmt.Sprintf("%c is elected by %s in term %d%s", 'A'+p.A, names(members(p.K|1<<p.A)), p.B, tokenString(p.Token))
	case Campaign:
		return fmt.Sprintf("%c campaigns%s", 'A'+p.A, tokenString(p.Token))
	case Crash:
		return fmt.Sprintf("%c crashes, keeps %d rows, restarts", 'A'+p.A, p.K&127)
	case TellQuorum:
		return fmt.Sprintf("%c is-told-quorum %d", 'A'+p.A, p.K)
	case WriteConfig:
		return fmt.Sprintf("%c %s: %v", 'A'+p.A, changeNames[p.Change], p.Cfg)
	}
	if p.Act == Commit && p.B != 0 {
		return fmt.Sprintf("%c commits, acked by %s", 'A'+p.A, names(members(p.B)))
	}
	return fmt.Sprintf("%c %s", 'A'+p.A, actNames[p.Act])
}

// Steps lists what can happen next. A partition needs no step of its own: it
// is a history in which some pairs do not meet.
func (m *Model) Steps(s *State) (out []Step) {
	add := func(a Act, x, y int, k uint8) { out = append(out, Step{Act: a, A: uint8(x), B: uint8(y), K: k}) }
	b := m.Bounds
	for x := range s.N {
		n := &s.Node[x]
		if s.Mover != 0 && x != int(s.Mover)-1 {
			continue
		}
		if int(n.Synced) < len(n.Log) || n.Rec != noRec {
			add(Sync, x, 0, 0)
		}
		if b.Coarse {
			from := int(n.Term) + 1
			if n.Role == leader {
				from++ // it stands again only after somebody else stood
			}
			for term := from; term <= min(b.Terms, s.newestTerm()+1); term++ {
				for _, bits := range m.elections(s, x, term) {
					for _, token := range m.tokens(n) {
						out = append(out, Step{Act: Elect, A: uint8(x), B: uint8(term), K: bits, Token: token})
					}
				}
			}
		} else if int(n.Term) < b.Terms && m.canCampaign(s, x) {
			for _, token := range m.tokens(n) {
				out = append(out, Step{Act: Campaign, A: uint8(x), Token: token})
			}
		}
		if m.canLead(s, x) {
			add(BecomeLeader, x, 0, 0)
		}
		if n.Role == leader && s.Mover == 0 {
			out = append(out, m.leaderSteps(s, x)...)
		}
		if s.Left[x] > 0 && s.Mover == 0 {
			for k := n.Synced; int(k) <= len(n.Log); k++ {
				if n.Rec == noRec || k <= n.Rec {
					add(Crash, x, 0, k)
				}
				if n.Rec != noRec && k >= n.Rec {
					add(Crash, x, 0, k|128)
				}
			}
		}
		if b.Bulk && s.Mover == 0 && int(s.Crashes) < b.Crashes {
			for k := s.mayKeep(x); int(k) <= len(n.Log); k++ {
				add(Crash, x, 0, k)
			}
		}
		if m.Rules.SameID && int(s.Wipes) < b.Wipes && len(n.Log) > 0 {
			add(Wipe, x, 0, 0)
		}
		for y := range s.N {
			if x == y {
				continue
			}
			o := &s.Node[y]
			if !b.Coarse && n.Rec == noRec && o.PTerm > n.Term && len(n.Log) > 0 {
				add(LearnTerm, x, y, 0)
			}
			if !b.Coarse && m.canVote(s, x, y) {
				add(GrantVote, x, y, 0)
			}
			if s.Mover == 0 && m.canJoin(s, x, y) {
				add(Join, x, y, 0)
			}
			if s.Mover == 0 && int(s.Rejoins) < b.Rejoins && canRejoin(n, o) {
				add(Rejoin, x, y, 0)
			}
			if r, ok := m.nextRow(s, x, y); ok && canTake(n, r) {
				add(Pull, x, y, 0)
			}
		}
	}
	return out
}

func (m *Model) leaderSteps(s *State, x int) (out []Step) {
	n := &s.Node[x]
	add := func(a Act, k uint8) { out = append(out, Step{Act: a, A: uint8(x), K: k}) }
	handed := n.handed() && !m.Rules.HandoverGoesOn
	if int(s.Writes) < m.Bounds.Writes && n.CTerm == n.Term && !m.behindChange(n) && !handed {
		add(Write, 0)
	}
	if m.Bounds.Bulk {
		out = append(out, m.commits(s, x)...)
	} else if lsn := m.quorumLSN(s, x); worthCommit(n, lsn) {
		add(Commit, lsn)
	}
	if m.Rules.CountOldTerm {
		if _, ok := m.oldQuorumRow(s, x); ok {
			add(CommitOld, 0)
		}
	}
	if handed {
		return out
	}
	if needsConfirm(n) && !m.Bounds.Coarse {
		add(WriteConfirm, 0)
	}
	if m.Rules.LocalQuorum && int(s.Changes[SetQuorum]) < m.Bounds.Changes[SetQuorum] {
		for q := range count(m.views(n).Confirmed.Voters) {
			add(TellQuorum, uint8(q+1))
		}
		return out
	}
	out = append(out, m.handovers(s, x)...)
	return append(out, m.changes(s, x)...)
}

// Do takes a step that Steps listed. An error is a broken guarantee.
func (m *Model) Do(old *State, p Step) (*State, error) {
	s := old.clone()
	x, y := int(p.A), int(p.B)
	switch p.Act {
	case Sync:
		m.sync(s, x)
	case Campaign:
		m.campaign(s, x, p.Token)
	case GrantVote:
		m.grantVote(s, x, y)
	case BecomeLeader:
		if err := m.lead(s, x); err != nil {
			return s, err
		}
	case LearnTerm:
		m.adoptTerm(s, x, s.Node[y].PTerm)
	case Write:
		s.Writes++
		m.writeRow(s, x, Row{Kind: DML})
	case Elect:
		s.Mover = 0
		if err := m.electAtOnce(s, x, y, p.K, p.Token); err != nil {
			return s, err
		}
	case Commit:
		if m.Bounds.Bulk {
			m.tell(s, x, p.B)
		}
		s.Node[x].learn(s.Node[x].Term, p.K)
		if m.Bounds.Coarse && !s.Node[x].handed() {
			m.writeRow(s, x, Row{Kind: CONFIRM, RefLSN: s.Node[x].CLSN})
		}
	case CommitOld:
		r, _ := m.oldQuorumRow(s, x)
		s.Node[x].learn(r.Term, r.LSN)
	case WriteConfirm:
		m.writeRow(s, x, Row{Kind: CONFIRM, RefLSN: s.Node[x].CLSN})
	case WriteConfig:
		m.writeConfig(s, p)
	case WriteHandover:
		m.handOver(s, x, y)
	case TellQuorum:
		s.Changes[SetQuorum]++
		s.Node[x].LocalQ = p.K
	case Pull:
		r, _ := m.nextRow(s, x, y)
		m.take(s, x, r)
		if m.Bounds.Bulk {
			m.syncNow(s, x)
			if s.Node[x].Role != leader {
				s.Mover = uint8(x) + 1 // it stands for election next
			}
		}
	case Crash:
		if m.Bounds.Bulk {
			s.Crashes++
		} else {
			s.Left[x]--
		}
		s.crash(x, p.K)
	case Wipe:
		s.Wipes++
		s.wipe(x)
	case Join:
		m.join(s, x, y)
	case Rejoin:
		s.Rejoins++
		m.join(s, x, y)
	}
	if m.Bounds.Bulk {
		for i := range s.N {
			s.Node[i].Acked = [maxN]uint8{} // each commit brings its own
		}
	}
	if p.Act != Sync {
		for i := range s.N {
			if n := &s.Node[i]; s.Left[i] == 0 && (n.Rec != noRec || int(n.Synced) < len(n.Log)) {
				m.sync(s, i) // it will not crash: its disk may as well be fast
				m.sync(s, i)
			}
		}
	}
	return s, m.check(s, p)
}
