package main

// sync brings the journal to disk. A pending vote record cuts it in two steps,
// so that rows before it can be acked under the old term.
func (m *Model) sync(s *State, x int) {
	n := &s.Node[x]
	if n.Rec != noRec && n.Synced < n.Rec {
		n.Synced = n.Rec
		m.ack(s, x)
		return
	}
	n.Synced = uint8(len(n.Log))
	if n.Rec != noRec {
		s.recordSynced(x)
	}
	m.ack(s, x)
}

// crash loses the log beyond the first k rows, and everything volatile; what
// is known to be committed is read from the log again.
func (s *State) crash(x int, k uint8) {
	n := &s.Node[x]
	keepRec := k&128 != 0
	k &= 127
	if keepRec {
		n.PTerm, n.PVote = n.Term, n.Vote
	}
	*n = Node{Log: n.Log[:k:k], Synced: k, PTerm: n.PTerm, PVote: n.PVote,
		Term: n.PTerm, Vote: n.PVote, Rec: noRec, SnapTerm: n.SnapTerm, SnapLSN: n.SnapLSN}
	n.recall()
}

// recall finds what the log says is committed.
func (n *Node) recall() {
	n.learn(n.SnapTerm, n.SnapLSN)
	for _, r := range n.Log {
		if r.Term == 1 && r.Kind == PROMOTE {
			n.learn(1, r.LSN) // the first term is given
		}
		if r.confirms() {
			n.learn(r.Term, r.RefLSN)
		}
	}
}

// wipe (mutation) takes the disk away. The instance comes back empty under its
// old ID and is given a state again.
func (s *State) wipe(x int) { s.Node[x] = Node{Rec: noRec} }
