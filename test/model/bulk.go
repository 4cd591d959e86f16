package main

// The bulk search moves rows only where it shows: to a quorum, with the commit
// that counts it, and to an instance that then stands for election. Whatever
// else an instance pulls it may as well pull later, from the author, who never
// loses a row that left it; until then it holds less, and that hinders neither
// its vote nor its candidacy.

// commits lists the smallest sets of instances whose acks let the leader x
// commit something.
func (m *Model) commits(s *State, x int) (out []Step) {
	if !worthCommit(&s.Node[x], 255) {
		return nil
	}
	var sets []uint8
	for k := range s.N {
		for bits := range uint8(1 << s.N) {
			if count(bits) != k || bits&(1<<x) != 0 || covered(sets, bits) {
				continue
			}
			t := s.clone()
			m.tell(t, x, bits)
			if lsn := m.quorumLSN(t, x); worthCommit(&t.Node[x], lsn) {
				sets = append(sets, bits)
				out = append(out, Step{Act: Commit, A: uint8(x), B: bits, K: lsn})
			}
		}
	}
	return out
}

// covered: bits contains one of the sets.
func covered(sets []uint8, bits uint8) bool {
	for _, f := range sets {
		if bits&f == f {
			return true
		}
	}
	return false
}

// tell brings the rows of the leader x to the given instances and their acks back.
func (m *Model) tell(s *State, x int, to uint8) {
	for _, y := range members(to) {
		if s.Node[y].PTerm <= s.Node[x].Term {
			m.pullAll(s, y, x)
		}
	}
}

// pullAll pulls and syncs all that x can get from y.
func (m *Model) pullAll(s *State, x, y int) {
	for {
		r, ok := m.nextRow(s, x, y)
		if !ok {
			break
		}
		m.take(s, x, r)
		m.syncNow(s, x)
	}
	m.ack(s, x)
}

func (m *Model) syncNow(s *State, x int) {
	for n := &s.Node[x]; n.Rec != noRec || int(n.Synced) < len(n.Log); {
		m.sync(s, x)
	}
}

// hear lets the voters read the candidate's log if they would not vote by
// their own: it may be what makes them voters.
func (m *Model) hear(s *State, c int) {
	for v := range s.N {
		if v != c && s.Node[v].PTerm < s.Node[c].Term && !m.canVote(s, v, c) {
			m.pullAll(s, v, c)
		}
	}
}

// mayKeep is how many rows a crash leaves of x's log at least. Lost is what was
// not synced: rows of its own, that nobody else has and that its own disk was
// not counted for. A row of somebody else it may as well not have pulled yet.
func (s *State) mayKeep(x int) uint8 {
	n := &s.Node[x]
	k := len(n.Log)
rows:
	for ; k > 0; k-- {
		r := n.Log[k-1]
		if int(r.Origin) != x || !r.confirms() && !n.undecided(r) {
			break
		}
		for y := range s.N {
			if y != x && has(s.Node[y].Log, r.Origin, r.LSN) {
				break rows
			}
		}
	}
	return uint8(k)
}
