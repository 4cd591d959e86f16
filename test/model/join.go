package main

// A join is a state transfer. The joiner gets the term and then, in place of
// the log, the confirmed state of y with the point up to which it is
// committed, and y's undecided rows in y's order. (The model keeps the
// committed rows themselves, so that they can be compared; void rows are
// gone.) A JOIN that breaks leaves nothing; one that is repeated finds a joiner
// that has data: it keeps what it alone has beyond y's committed point, since
// it may have acked that, its term and its vote.

// canJoin: x, without a state, may get one from the leader y if y knows the
// row that registers x to be committed, whoever wrote it.
func (m *Model) canJoin(s *State, x, y int) bool {
	n, o := &s.Node[x], &s.Node[y]
	if len(n.Log) > 0 || o.Role != leader {
		return false
	}
	v := m.views(o)
	known := v.Confirmed.Voters | v.Confirmed.Learners
	if m.Rules.StateAtOnce {
		known |= v.Newest.Voters | v.Newest.Learners
	}
	return known&(1<<x) != 0
}

// canRejoin: x has a state, and y knows more to be committed.
func canRejoin(n, o *Node) bool {
	return len(n.Log) > 0 && n.Rec == noRec && n.Role == follower &&
		(o.CTerm > n.CTerm || o.CTerm == n.CTerm && o.CLSN > n.CLSN)
}

func (m *Model) join(s *State, x, y int) {
	n, o := &s.Node[x], &s.Node[y]
	if m.Rules.JoinForgets {
		n.Term, n.Vote = 0, noVote
	}
	if o.Term > n.Term {
		m.adoptTerm(s, x, o.Term)
	}
	committed := committedRows(o.Log, o.CTerm, o.CLSN, m.Rules)
	var log []Row
	for _, id := range committed {
		for _, r := range o.Log {
			if r.Term == uint8(id>>8) && r.LSN == uint8(id) {
				log = append(log, r)
			}
		}
	}
	for _, r := range o.Log {
		if o.undecided(r) {
			log = append(log, r)
		}
	}
	if !m.Rules.JoinDrops {
		for _, r := range n.Log {
			if o.undecided(r) && !has(log, r.Origin, r.LSN) {
				log = append(log, r)
			}
		}
	}
	n.Log, n.Synced = log, uint8(len(log))
	n.PTerm, n.PVote, n.Rec = n.Term, n.Vote, noRec
	n.SnapTerm, n.SnapLSN = o.CTerm, o.CLSN
	n.learn(o.CTerm, o.CLSN)
	m.ack(s, x)
}
