package main

import (
	"fmt"
	"slices"
)

// A handover is a row: the leader names who is to lead next, and writes nothing
// behind it, not even a CONFIRM, so that nobody holds more of its term than who
// holds the row. It confirms what was committed when it was written. It needs no
// quorum: what is undecided before it is settled by the PROMOTE that follows it.
// The old leader may still learn that a quorum has rows before it, and answer.
//
// Who leads next is left to the election; timers, which give the target its head
// start, are not modelled.

// handovers lists those to whom the leader x may hand over.
func (m *Model) handovers(s *State, x int) (out []Step) {
	n := &s.Node[x]
	v := m.views(n)
	if int(s.Handovers) >= m.Bounds.Handovers || n.handed() ||
		n.CTerm != n.Term && !m.Rules.HandoverEarly || v.Confirmed != v.Newest && !m.Rules.HandoverChange {
		return nil
	}
	for _, y := range members(v.Newest.Voters &^ (1 << x)) {
		out = append(out, Step{Act: WriteHandover, A: uint8(x), B: uint8(y)})
	}
	return out
}

func (m *Model) handOver(s *State, x, y int) {
	s.Handovers++
	n := &s.Node[x]
	r := Row{Kind: HANDOVER, RefOwner: uint8(y)}
	if n.CTerm == n.Term {
		r.RefLSN = n.CLSN
	}
	if m.Rules.HandoverDecides {
		r.RefLSN = lastOfTerm(n.Log, n.Term)
	}
	m.writeRow(s, x, r)
}

// handed: the node has written the HANDOVER of its term.
func (n *Node) handed() bool {
	for _, r := range n.Log {
		if r.Kind == HANDOVER && r.Term == n.Term {
			return true
		}
	}
	return false
}

// handedTo: the log hands the role over to y in the term before the given one.
func (n *Node) handedTo(y int, term uint8) bool {
	for _, r := range n.Log {
		if r.Kind == HANDOVER && r.Term+1 == term && int(r.RefOwner) == y {
			return true
		}
	}
	return false
}

// checkLastOfTerm: a term ends with its HANDOVER.
func checkLastOfTerm(s *State) error {
	for i := range s.N {
		for _, h := range s.Node[i].Log {
			if h.Kind == HANDOVER && lastOfTerm(s.Node[i].Log, h.Term) > h.LSN {
				return fmt.Errorf("%c holds a row of term %d behind %v", 'A'+i, h.Term, h)
			}
		}
	}
	return nil
}

// targetFails: of instances that suffice and have told each other all, the target
// of the newest term's HANDOVER can lead, as long as nobody has gone beyond that
// term.
func (m *Model) targetFails(s *State, alive []int) error {
	term := uint8(0)
	for _, x := range alive {
		term = max(term, s.Node[x].Term)
	}
	for _, x := range alive {
		for _, r := range s.Node[x].Log {
			if y := int(r.RefOwner); r.Kind == HANDOVER && r.Term == term && s.Node[y].Role != leader && slices.Contains(alive, y) && m.mayVote(s, y) {
				var broken error
				t := s.clone()
				if !m.elect(t, y, alive, &broken) || !m.settle(t, alive, &broken) {
					return fmt.Errorf("%v: the target cannot lead among %s: %v", r, names(alive), broken)
				}
				return broken
			}
		}
	}
	return nil
}
