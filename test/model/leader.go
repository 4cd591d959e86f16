package main

import "slices"

// writeRow appends a row of x's own. Its LSN is above everything this origin
// ever used: that is what durable reservation buys.
func (m *Model) writeRow(s *State, x int, r Row) {
	n := &s.Node[x]
	r.Origin, r.Term = uint8(x), n.Term
	r.LSN = s.Used[x] + 1
	if m.Rules.NoReserve {
		r.LSN = vclockOf(n.Log)[x] + 1
	}
	s.Used[x] = max(s.Used[x], r.LSN)
	m.take(s, x, r)
}

// ack tells every leader what x has synced, under x's term. It is sent by each
// sync; that it arrives at once loses nothing, since the leader may commit as
// late as it likes. A leader counts no ack of a greater term (it would step
// down, see LearnTerm).
func (m *Model) ack(s *State, x int) {
	f := &s.Node[x]
	for y := range s.N {
		l := &s.Node[y]
		if y == x || l.Role != leader || f.PTerm > l.Term && !m.Rules.AckNoTerm {
			continue
		}
		p, _ := promoteOf(l.Log, l.Term)
		if lsn := vclockOf(f.Log[:f.Synced])[y]; lsn >= p.LSN {
			l.Acked[x] = max(l.Acked[x], lsn)
		}
	}
}

// quorumLSN is the greatest own LSN that quorums of both configurations have
// synced; own disk and followers count alike.
func (m *Model) quorumLSN(s *State, x int) uint8 {
	n := &s.Node[x]
	lsns := n.Acked
	lsns[x] = vclockOf(n.Log[:n.Synced])[x]
	acked := func(lsn uint8) (bits uint8) {
		for i := range s.N {
			if lsns[i] >= lsn {
				bits |= 1 << i
			}
		}
		return bits
	}
	v, by := m.views(n), m.Rules.Commit
	if m.Rules.Settle {
		if old, yes := m.settling(n, acked); yes {
			v, by = Views{old, v.Newest}, byBoth
		}
	}
	if n.LocalQ != 0 {
		v.Confirmed.Quorum, v.Newest.Quorum = n.LocalQ, n.LocalQ
	}
	order := slices.Clone(lsns[:s.N])
	slices.Sort(order)
	for _, lsn := range slices.Backward(order) {
		if lsn > 0 && m.quorate(v, by, Config.synchro, acked(lsn)) {
			return lsn
		}
	}
	return 0
}

// worthCommit: the quorum has a row of this term, not only CONFIRMs, beyond
// what is committed. Rows of older terms are never counted: they commit with
// this term's PROMOTE, which follows them.
func worthCommit(n *Node, lsn uint8) bool {
	for _, r := range n.Log {
		if r.Term == n.Term && r.LSN <= lsn && !r.confirms() && n.undecided(r) {
			return true
		}
	}
	return false
}

// needsConfirm: something of this term is committed that no CONFIRM tells yet.
func needsConfirm(n *Node) bool {
	if n.CTerm != n.Term || n.handed() {
		return false
	}
	for _, r := range n.Log {
		if r.Term == n.Term && (r.confirms() && r.RefLSN >= n.CLSN || r.Kind == PROMOTE && r.configures() && n.CLSN == r.LSN) {
			return false
		}
	}
	return true
}

// oldQuorumRow (mutation): an undecided row of an older term that a quorum holds.
func (m *Model) oldQuorumRow(s *State, x int) (best Row, found bool) {
	n := &s.Node[x]
	for _, r := range n.Log {
		if r.confirms() || r.Term >= n.Term || !n.undecided(r) {
			continue
		}
		holders := uint8(0)
		for i := range s.N {
			o := &s.Node[i]
			if o.PTerm <= n.Term && has(o.Log[:o.Synced], r.Origin, r.LSN) {
				holders |= 1 << i
			}
		}
		if m.quorate(m.views(n), m.Rules.Commit, Config.synchro, holders) && newestBefore(n.Log, n.Term) == r.Term {
			best, found = r, true
		}
	}
	return best, found
}

// newestBefore is the newest term in the log older than the given one.
func newestBefore(log []Row, term uint8) (t uint8) {
	for _, r := range log {
		if r.Kind == PROMOTE && r.Term < term {
			t = max(t, r.Term)
		}
	}
	return t
}
