package main

import "fmt"

// Where an agent says who leads, an instance stands for election only when the agent
// calls it with a token. Agents are not trusted: any of them may come with any token, late,
// at any instance, any number of times. A winner looks into its own log first: unless its
// token is greater than that of every PROMOTE there, it writes none and gives up. So who
// was told that it leads by a token is never followed by who has an older one.

func tokenString(token uint8) string {
	if token == 0 {
		return ""
	}
	return fmt.Sprintf(" by token %d", token)
}

// tokens lists those that n may stand by.
func (m *Model) tokens(n *Node) (out []uint8) {
	if m.Bounds.Tokens == 0 {
		return []uint8{0}
	}
	for t := range m.Bounds.Tokens {
		if token := uint8(t + 1); !m.Rules.TokenAtCall || token > m.greatestToken(n) {
			out = append(out, token)
		}
	}
	return out
}

// freshToken is one that no agent has drawn.
func (m *Model) freshToken() uint8 {
	if m.Bounds.Tokens == 0 {
		return 0
	}
	return uint8(m.Bounds.Tokens) + 1
}

// tokenCounts: who has won the election may lead by its token.
func (m *Model) tokenCounts(n *Node) bool {
	switch had := m.greatestToken(n); {
	case n.Token == 0, m.Rules.TokenAnew, m.Rules.TokenAtCall:
		return true
	case m.Rules.TokenEqual:
		return n.Token >= had
	default:
		return n.Token > had
	}
}

func (m *Model) greatestToken(n *Node) (t uint8) {
	for _, r := range n.Log {
		if r.Kind == PROMOTE && (!m.Rules.TokenEffect || r.Term <= n.CTerm) {
			t = max(t, r.Token)
		}
	}
	return t
}

// checkTokens: along the terms in effect tokens ascend.
func checkTokens(s *State) error {
	for i := range s.N {
		n := &s.Node[i]
		for p, ok := promoteOf(n.Log, n.CTerm); ok; {
			before, held := promoteOf(n.Log, p.RefTerm)
			if held && p.Token != 0 && p.Token <= before.Token {
				return fmt.Errorf("%c: %v follows %v", 'A'+i, p, before)
			}
			p, ok = before, held
		}
	}
	return nil
}
