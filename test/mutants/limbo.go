package mutants

var limboRules = []Mutant{
	{
		Name: "a PROMOTE takes effect on arrival", Area: "limbo", File: "limbo/strong.go", Quick: true,
		Old: `		_, err := s.AddPromote(r.promote(terms.Strong))
		return err`,
		New: `		if _, err := s.AddPromote(r.promote(terms.Strong)); err != nil {
			return err
		}
		return s.Confirm(r.Begins, r.LSN)`,
		Killers: []string{"quorum", "history", "dirty read", "fatal", "stream"},
	},
	{
		Name: "a PROMOTE takes effect without a quorum", Area: "limbo", File: "limbo/lead.go",
		Old:     `i < 0 || lsn < l.pending[i].LSN {`,
		New:     `i < 0 {`,
		Killers: []string{"quorum", "history", "dirty read"},
	},
	{
		// Figure 8 of the Raft paper.
		Name: "rows of an older term are counted", Area: "limbo", File: "instance/settle.go", Quick: true,
		Old: `	lsn, err := c.limbo.Count(`,
		New: `	for i := range c.limbo.Len() {
		cur, e, held := c.limbo.Current(), c.limbo.At(i), 1
		for id := range c.peers.acked {
			if uint32(id) != c.members.self && cur.Term < c.raft.Term() && cur.Owner != 0 && c.peers.acked[id][cur.Owner] >= e.LSN {
				held++
			}
		}
		if held >= c.members.confirmed.synchroQuorum {
			_ = c.limbo.Confirm(cur.Term, e.LSN)
			break
		}
	}
	lsn, err := c.limbo.Count(`,
		Killers: []string{"quorum", "history", "dirty read"},
	},
	{
		Name: "a PROMOTE follows the one in effect", Area: "limbo", File: "instance/lead.go",
		Old: `	prevTerm, prevOwner, prevLSN := c.limbo.Newest()
`,
		New: `	current := c.limbo.Current()
	prevTerm, prevOwner, prevLSN := current.Term, current.Owner, current.Last
`,
		Killers: []string{"history", "fatal", "stream"},
	},
	{
		Name: "a PROMOTE keeps all that is held of the term before", Area: "limbo", File: "limbo/terms.go",
		Old:     `l.confirmed = max(l.confirmed, p.PrevLSN)`,
		New:     `l.confirmed = max(l.confirmed, p.PrevLSN, l.Current().Last)`,
		Killers: []string{"dirty read", "convergence", "content", "stream", "voided rows"},
	},
	{
		Name: "a term ends with the last row that is held", Area: "limbo", File: "limbo/strong.go",
		Old:     `s.spans[n-1].Last = p.PrevLSN`,
		New:     `_ = n`,
		Killers: []string{"convergence"},
	},
	{
		Name: "a CONFIRM confirms all that is held", Area: "limbo", File: "limbo/terms.go",
		Old:     `max(l.confirmed, min(lsn, cur.Last))`,
		New:     `max(l.confirmed, cur.Last)`,
		Killers: []string{"dirty read", "history", "quorum"},
	},
	{
		Name: "a late row of an older term is kept", Area: "limbo", File: "limbo/strong.go",
		Old: `		// taken. One that comes only now is not among them.
		return Void, nil`,
		New: `		// taken. One that comes only now is not among them.
		return Keep, nil`,
		Killers: []string{"stream", "panic"},
	},
	{
		Name: "rows that a PROMOTE leaves out stay", Area: "limbo", File: "limbo/strong.go",
		Old:     `s.voidFrom(s.settled)`,
		New:     `s.voidFrom(s.queue.len())`,
		Killers: []string{"dirty read", "convergence", "content", "panic", "voided rows"},
	},
	{
		Name: "rows are taken from the leader alone", Area: "limbo", File: "instance/apply.go",
		Old:     `if c.gate.cut&(1<<ev.From) != 0 || ev.Gen != c.share.gen {`,
		New:     `if c.gate.cut&(1<<ev.From) != 0 || ev.From != c.raft.Leader() {`,
		Killers: []string{"liveness", "fatal", "stream", "convergence"},
	},
	{
		Name: "a leader writes before its PROMOTE is in effect", Area: "limbo", File: "instance/readonly.go",
		Old:     `return c.lead.leading && cur.Term == c.raft.Term()`,
		New:     `return c.lead.leading`,
		Killers: []string{"panic", "stream"},
	},
	{
		Name: "a schema change without the CONFIRM before it", Area: "limbo", File: "instance/write.go",
		Old: `	if r.Barrier {
		c.tellSchema()`,
		New: `	if r.Barrier && len(c.members.ids) == 0 {
		c.tellSchema()`,
		Killers: []string{"barrier"},
	},
	{
		Name: "a schema change is built upon before its CONFIRM", Area: "limbo", File: "instance/settle.go",
		Old: `			c.refreshMembers()
			c.tellSchema()`,
		New:     `			c.refreshMembers()`,
		Killers: []string{"barrier"},
	},
	{
		Name: "a timer says that a write is not committed", Area: "limbo", File: "instance/core.go",
		Old:     `c.waits.answer(&c.eff, &e.P, outcomeUnknown())`,
		New:     `c.waits.answer(&c.eff, &e.P, xrow.Errorf(xrow.ErrSyncRollback))`,
		Killers: []string{"answers"},
	},
}
