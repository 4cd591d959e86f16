package main

// Change is a kind of change of the configuration.
type Change uint8

const (
	AddLearner Change = iota // a fresh ID is registered: it gets the state, streams, counts for nothing
	Promote                  // a learner that holds a state becomes a voter
	Replace                  // a voter's life ends, and the same instance is registered under a fresh ID
	Expel                    // a voter goes
	SetQuorum                // the synchronous quorum
	Swap                     // a voter goes and a learner takes its place, in one row
	numChanges
)

var changeNames = [...]string{"learner", "promote", "replace", "expel", "quorum", "swap"}

// changes lists the configurations that the leader x may write next.
func (m *Model) changes(s *State, x int) (out []Step) {
	n := &s.Node[x]
	v := m.views(n)
	if n.Role != leader || !m.mayChange(n, v) {
		return nil
	}
	cur := v.Newest
	cur.Ends = 0
	add := func(c Change, cfg Config) {
		if int(s.Changes[c]) < m.Bounds.Changes[c] {
			out = append(out, Step{Act: WriteConfig, A: uint8(x), Change: c, Cfg: cfg})
		}
	}
	fresh := s.freshID()
	if fresh != 0 {
		c := cur
		c.Learners |= fresh
		add(AddLearner, c)
	}
	for y := range s.N {
		bit := uint8(1) << y
		ready := cur.Learners&bit != 0 && (len(s.Node[y].Log) > 0 || m.Rules.VoterAtOnce)
		if ready {
			c := cur
			c.Learners &^= bit
			c.Voters |= bit
			add(Promote, c)
		}
		if cur.Voters&bit == 0 || cur.Voters == bit {
			continue
		}
		c := cur
		c.Voters &^= bit
		add(Expel, c)
		c.Ends = bit
		if fresh != 0 {
			c.Learners |= fresh
			add(Replace, c)
		} else if m.Bounds.Ready && cur.Learners != 0 {
			add(Replace, c) // a learner that waits stands for the fresh one
		}
		for z := range s.N {
			if in := uint8(1) << z; cur.Learners&in != 0 && len(s.Node[z].Log) > 0 {
				add(Swap, Config{Voters: cur.Voters&^bit | in, Learners: cur.Learners &^ in, Quorum: cur.Quorum})
			}
		}
	}
	for q := range count(cur.Voters) {
		if q+1 != cur.synchro() {
			c := cur
			c.Quorum = uint8(q + 1)
			add(SetQuorum, c)
		}
	}
	return out
}

// mayChange: the leader's PROMOTE is in effect, nothing is undecided, and the
// CONFIRM of what came before is in its log, so that whoever holds the change
// knows that too.
func (m *Model) mayChange(n *Node, v Views) bool {
	if m.Rules.NoBarrier {
		return n.CTerm == n.Term
	}
	if v.Confirmed != v.Newest {
		return false
	}
	if n.CTerm != n.Term {
		return m.Rules.ChangeAtOnce
	}
	for _, r := range n.Log {
		if r.Term == n.Term && !r.confirms() && n.undecided(r) {
			return false
		}
	}
	return m.Rules.NoConfirmBefore || !needsConfirm(n)
}

// behindChange: a change is undecided, and nothing is written behind it.
func (m *Model) behindChange(n *Node) bool {
	if m.Rules.NoBarrier || m.Rules.WriteBehind {
		return false
	}
	for _, r := range n.Log {
		if r.Kind == CONFIG && r.Term == n.Term && n.undecided(r) {
			return true
		}
	}
	return false
}

// freshID is the bit of the next ID that nobody ever had, 0: none is left. An
// ID is used once: the acks and LSNs of two lives cannot be told apart.
func (s *State) freshID() uint8 {
	for x := range s.N {
		if s.UsedIDs&(1<<x) == 0 {
			return 1 << x
		}
	}
	return 0
}

func (m *Model) writeConfig(s *State, p Step) {
	s.Changes[p.Change]++
	s.UsedIDs |= p.Cfg.Voters | p.Cfg.Learners
	m.writeRow(s, int(p.A), Row{Kind: CONFIG, Cfg: p.Cfg})
}

// settling (variant): the leader knows the last change to be committed, but no
// CONFIRM of its term that says so is at a quorum of the old and one of the new
// configuration, which both count until then. It returns the old one.
func (m *Model) settling(n *Node, acked func(uint8) uint8) (old Config, yes bool) {
	change := changeAt(n.Log, n.CTerm, n.CLSN)
	if change.Kind != CONFIG {
		return old, false
	}
	v := Views{configAt(n.Log, change.Term, change.LSN-1), change.Cfg}
	for _, r := range n.Log {
		if r.Kind == CONFIRM && r.Term == n.Term && (change.Term < n.Term || r.RefLSN >= change.LSN) {
			return v.Confirmed, !m.quorate(v, byBoth, Config.synchro, acked(r.LSN))
		}
	}
	return v.Confirmed, true
}
