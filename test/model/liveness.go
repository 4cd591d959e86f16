package main

import (
	"fmt"
	"slices"
)

// stuck looks for a way out of a state when all faults stop and only the given
// instances can talk: some of them must be able to lead, have their PROMOTE
// take effect, and bring all of them to the same committed rows. It builds one
// plain history per possible leader; nil means that one of them works.
func (m *Model) stuck(s *State, alive []int) error {
	base := s.clone()
	base.Left = [maxN]uint8{}
	free := Model{Rules: m.Rules, Bounds: Bounds{N: s.N, Terms: 250, Data: m.Bounds.Data}}
	free.syncAll(base, alive)
	free.exchange(base, alive)
	if !free.enough(base, alive) {
		return nil
	}
	var broken error
	if err := free.targetFails(base, alive); err != nil {
		return err
	}
	if free.settle(base, alive, &broken) {
		return nil
	}
	if broken != nil {
		return broken
	}
	for _, c := range alive {
		t := base.clone()
		if !free.canCampaign(t, c) && t.Node[c].Role != leader {
			continue
		}
		if free.elect(t, c, alive, &broken) && free.settle(t, alive, &broken) {
			return nil
		}
		if broken != nil {
			return broken
		}
	}
	return fmt.Errorf("no way to a leader in effect for %s", names(alive))
}

// enough: once they have told each other all, the instances are quorums of
// whichever two configurations one of them knows.
func (m *Model) enough(s *State, alive []int) bool {
	bits := uint8(0)
	for _, x := range alive {
		if len(s.Node[x].Log) > 0 {
			bits |= 1 << x
		}
	}
	for _, x := range members(bits) {
		v := m.views(&s.Node[x])
		for _, c := range []Config{v.Confirmed, v.Newest} {
			if k := count(bits & c.Voters); k < c.election() || k < c.synchro() {
				return false
			}
		}
	}
	return bits != 0
}

func names(ids []int) (out string) {
	for _, x := range ids {
		out += string(rune('A' + x))
	}
	return out
}

func (m *Model) must(s *State, p Step, broken *error) {
	t, err := m.Do(s, p)
	if err != nil && *broken == nil {
		*broken = fmt.Errorf("on the way out: %v: %w", p, err)
	}
	*s = *t
}

func (m *Model) syncAll(s *State, alive []int) {
	for _, x := range alive {
		for n := &s.Node[x]; int(n.Synced) < len(n.Log) || n.Rec != noRec; {
			m.sync(s, x)
		}
	}
}

// exchange pulls rows both ways until nobody gets anything new.
func (m *Model) exchange(s *State, alive []int) {
	for moved := true; moved; {
		moved = false
		for _, x := range alive {
			for _, y := range alive {
				if x == y {
					continue
				}
				for {
					r, ok := m.nextRow(s, x, y)
					if !ok {
						break
					}
					m.take(s, x, r)
					for s.Node[x].Rec != noRec || int(s.Node[x].Synced) < len(s.Node[x].Log) {
						m.sync(s, x)
					}
					moved = true
				}
			}
		}
	}
}

// elect lets c try to win an election of the highest term.
func (m *Model) elect(s *State, c int, alive []int, broken *error) bool {
	for _, y := range alive {
		s.Node[c].Term = max(s.Node[c].Term, s.Node[y].Term)
	}
	if s.Node[c].Role == leader {
		s.Node[c].Role = follower // it resigns
	}
	m.campaign(s, c, m.freshToken())
	for _, v := range alive {
		if v != c && m.canVote(s, v, c) {
			m.grantVote(s, v, c)
		}
	}
	if !m.canLead(s, c) {
		return false
	}
	m.must(s, Step{Act: BecomeLeader, A: uint8(c)}, broken)
	return *broken == nil
}

// settle lets the newest leader, if there is one, bring everybody up to date.
func (m *Model) settle(s *State, alive []int, broken *error) bool {
	l := -1
	for _, x := range alive {
		if s.Node[x].Role == leader && (l < 0 || s.Node[x].Term > s.Node[l].Term) {
			l = x
		}
	}
	if l < 0 {
		return false
	}
	for round := 0; round < 3; round++ { // PROMOTE, CONFIRM, and what came between
		m.syncAll(s, alive)
		m.exchange(s, alive)
		for _, x := range alive {
			m.ack(s, x)
		}
		if lsn := m.quorumLSN(s, l); worthCommit(&s.Node[l], lsn) {
			m.must(s, Step{Act: Commit, A: uint8(l), K: lsn}, broken)
		}
		if needsConfirm(&s.Node[l]) {
			m.must(s, Step{Act: WriteConfirm, A: uint8(l)}, broken)
		}
		if *broken != nil {
			return false
		}
	}
	want := s.Node[l]
	if want.CTerm != want.Term {
		return false
	}
	for _, x := range alive {
		n := &s.Node[x]
		if len(n.Log) == 0 || m.gone(n, x) {
			continue
		}
		if n.CTerm != want.CTerm || n.CLSN != want.CLSN || !slices.Equal(
			committedRows(n.Log, n.CTerm, n.CLSN, m.Rules), committedRows(want.Log, want.CTerm, want.CLSN, m.Rules)) {
			return false
		}
		if err := m.checkHistory(s, x); err != nil {
			*broken = err
			return false
		}
	}
	return true
}

// subsets lists the sets of instances that may be left alive.
func subsets(n int) (out [][]int) {
	for bits := 1; bits < 1<<n; bits++ {
		out = append(out, members(uint8(bits)))
	}
	return out
}
