package main

// nextRow is the row that x would get next from y's relay: the first of y's
// log, in the log's order, that x's vclock does not cover. A row of y's own
// waits for y's sync, so no author ever loses a row that others hold, and a
// vclock says what a node has. That a PROMOTE finds the row it follows is
// checked (safety.go).
func (m *Model) nextRow(s *State, x, y int) (Row, bool) {
	n, o := &s.Node[x], &s.Node[y]
	if m.Rules.NoExchange && (o.Role != leader || o.Term < n.Term) || len(n.Log) == 0 || m.gone(n, x) || m.gone(o, y) {
		return Row{}, false
	}
	v := vclockOf(n.Log)
	for i, r := range o.Log {
		if r.LSN <= v[r.Origin] {
			continue
		}
		if !m.Rules.SendAhead && int(r.Origin) == y && i >= int(o.Synced) {
			return Row{}, false
		}
		return r, true
	}
	return Row{}, false
}

// gone (variant): the node knows that it is no member any more, and stops.
func (m *Model) gone(n *Node, x int) bool {
	if !m.Rules.ExpelledStops {
		return false
	}
	v := m.views(n)
	return (v.Confirmed.Voters|v.Confirmed.Learners)&(1<<x) == 0
}

// canTake: a row of a greater term waits until the term record before it can
// go to the journal.
func canTake(n *Node, r Row) bool {
	return r.Term <= n.Term || n.Rec == noRec
}

// take appends a row to x's log and draws the conclusions it allows.
func (m *Model) take(s *State, x int, r Row) {
	n := &s.Node[x]
	if r.Term > n.Term {
		m.adoptTerm(s, x, r.Term) // the record precedes the row: an ack of the row carries the term
	}
	var before Views
	if n.Role == waiting || n.Role == candidate {
		before = m.views(n)
	}
	n.appendRow(r)
	switch r.Kind {
	case CONFIRM, HANDOVER:
		n.learn(r.Term, r.RefLSN) // a fact, whoever leads now
	case PROMOTE:
		if m.Rules.PromoteAtOnce {
			n.learn(r.Term, r.LSN)
		}
	}
	m.giveUp(n, before)
}
