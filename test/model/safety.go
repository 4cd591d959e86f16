package main

import (
	"fmt"
	"slices"
)

// check is what must hold in every state. One idea carries most of it: all
// committed sequences that anybody ever knew are prefixes of one history. A
// committed row that is lost, voided, reordered or missed anywhere breaks it,
// and so does what a node would have to report as split brain.
func (m *Model) check(s *State, p Step) error {
	if err := m.checkHistory(s, int(p.A)); err != nil {
		return err
	}
	if err := checkTokens(s); err != nil {
		return err
	}
	switch p.Act {
	case Write, WriteConfirm, WriteConfig, WriteHandover, Commit, Join, Rejoin, BecomeLeader, Elect, Pull:
		if err := m.checkOneChange(&s.Node[p.A]); err != nil {
			return err
		}
		if err := m.checkPredecessor(&s.Node[p.A]); err != nil {
			return err
		}
		if err := checkLastOfTerm(s); err != nil {
			return err
		}
		return checkSameRows(s)
	}
	return nil
}

// checkWinner: what was committed in earlier terms, acknowledged writes first of
// all, is in the log of the winner and on its chain.
func (m *Model) checkWinner(s *State, x int) error {
	n := &s.Node[x]
	if h := s.History; len(h) == 0 || h[len(h)-1]>>8 >= uint16(n.Term) {
		return nil // a winner that comes late commits nothing any more
	}
	top := newestPromote(n.Log)
	seq := m.sequence(n.Log, top.Term, 255)
	for i, id := range s.History {
		if i >= len(seq) || seq[i] != id {
			return fmt.Errorf("%c wins term %d with %s, but %s was committed", 'A'+x, n.Term, seqString(seq), seqString(s.History))
		}
	}
	return nil
}

// checkOneChange: a change is a barrier, so a log has one open one at most.
func (m *Model) checkOneChange(n *Node) error {
	var open Row
	for _, r := range n.Log {
		if r.Kind != CONFIG || !n.undecided(r) {
			continue
		}
		if open.Kind == CONFIG && m.Rules.barrier() {
			return fmt.Errorf("two undecided changes in one log: %v and %v", open, r)
		}
		open = r
	}
	return nil
}

// checkPredecessor: whoever takes a PROMOTE holds the row that it follows, unless
// it is void already: a state transfer leaves void rows out.
func (m *Model) checkPredecessor(n *Node) error {
	if len(n.Log) == 0 || m.Rules.SendAhead {
		return nil
	}
	if r := n.Log[len(n.Log)-1]; r.Kind == PROMOTE && n.undecided(r) && !hasPredecessor(n.Log, r) {
		return fmt.Errorf("%v without the row it follows", r)
	}
	return nil
}

// checkHistory compares what x knows as committed with the history, and
// lengthens the history if x knows more.
func (m *Model) checkHistory(s *State, x int) error {
	n := &s.Node[x]
	if n.CTerm == 0 {
		return nil // it has no state
	}
	seq := m.sequence(n.Log, n.CTerm, n.CLSN)
	h := s.History
	for i := 0; i < len(seq) && i < len(h); i++ {
		if seq[i] != h[i] {
			return fmt.Errorf("%c has %s as committed, but %s was", 'A'+x, seqString(seq), seqString(h))
		}
	}
	if len(seq) > len(h) {
		s.History = slices.Clone(seq)
	} else if len(seq) > 0 && len(seq) < len(h) && !m.Rules.PromoteAtOnce && !m.Bounds.Data {
		// It must be the whole history up to the point it knows.
		if last := seq[len(seq)-1]; last != uint16(n.CTerm)<<8|uint16(n.CLSN) {
			return fmt.Errorf("%c knows t%d/%d as committed without holding it", 'A'+x, n.CTerm, n.CLSN)
		}
	}
	return nil
}

// sequence is what is committed with the row (term, lsn), as far as it is compared.
func (m *Model) sequence(log []Row, term, lsn uint8) []uint16 {
	seq := committedRows(log, term, lsn, m.Rules)
	if m.Bounds.Data {
		seq = slices.DeleteFunc(seq, func(id uint16) bool { return !isData(log, id) })
	}
	return seq
}

// checkSameRows: (origin, LSN) names one row.
func checkSameRows(s *State) error {
	var seen [maxN][256]Row
	for i := range s.N {
		for _, r := range s.Node[i].Log {
			o := &seen[r.Origin][r.LSN]
			if *o == (Row{}) {
				*o = r
			} else if *o != r {
				return fmt.Errorf("two rows with one LSN: %v and %v", *o, r)
			}
		}
	}
	return nil
}

// isData says whether the row with this (term, LSN) is a client write.
func isData(log []Row, id uint16) bool {
	for _, r := range log {
		if r.Term == uint8(id>>8) && r.LSN == uint8(id) {
			return r.Kind == DML
		}
	}
	return false
}

func seqString(seq []uint16) string {
	out := "["
	for i, v := range seq {
		if i > 0 {
			out += " "
		}
		out += fmt.Sprintf("t%d/%d", v>>8, v&255)
	}
	return out + "]"
}
