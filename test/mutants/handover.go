package mutants

var handover = []Mutant{
	{
		Name: "the old leader goes on behind the row", Area: "handover", File: "instance/handover.go", By: "test/sim TestHandovers",
		Old: `return l.leading && l.handed || l.move != nil && l.move.released == 0`,
		New: `return l.move != nil && l.move.lsn == 0`,
	},
	{
		Name: "a CONFIRM comes behind the row", Area: "handover", File: "instance/journal.go", By: "instance TestScripts/handover",
		Old: `c.lead.leading && !c.gate.moving &&`,
		New: `c.lead.leading &&`,
	},
	{
		Name: "the row confirms what no quorum has", Area: "handover", File: "instance/handover.go", By: "test/sim TestHandovers",
		Old: `	lsn := c.limbo.Confirmed()
	owner,`,
		New: `	_, _, lsn := c.limbo.Newest()
	owner,`,
	},
	{
		Name: "strict does not wait for the target", Area: "handover", File: "instance/handover.go", By: "instance TestScripts/handover",
		Old: `case !h.word && (h.fast || c.hasAll(h.move.To)):`,
		New: `case !h.word:`,
	},
	{
		Name: "the word does not wait for the target", Area: "handover", File: "instance/handover.go", By: "instance TestScripts/handover",
		Old: `case h.word && c.hasAll(h.move.To):`,
		New: `case h.word:`,
	},
	{
		Name: "the old leader goes on behind its word", Area: "handover", File: "instance/handover.go", By: "test/sim TestHandoversMixed",
		Old: `h.given, c.lead.handed, c.lead.confirmAt = true, true, 0`,
		New: `h.given, c.lead.handed, c.lead.confirmAt = true, h.lsn != 0, 0
	if h.word {
		h.released = c.now.Mono
	}`,
	},
	{
		Name: "a word of another term counts", Area: "handover", File: "instance/term.go", By: "instance TestScripts/handover",
		Old: `ev.Msg.Move != nil && ev.Msg.Term == c.raft.Term() {`,
		New: `ev.Msg.Move != nil {`,
	},
	{
		Name: "anybody's word counts", Area: "handover", File: "instance/handover.go", By: "instance TestScripts/handover",
		Old: `	if c.raft.Leader() != from || m.To`,
		New: `	if m.To`,
	},
	{
		Name: "who has handed over is promoted already", Area: "handover", File: "instance/lead.go", By: "instance TestScripts/handover",
		Old: `leading := c.lead.leading && !c.lead.handed`,
		New: `leading := c.lead.leading`,
	},
	{
		Name: "who holds the row sees the old leader", Area: "handover", File: "raft/raft.go", By: "raft TestScripts/handover",
		Old: `r.leader, r.seen, r.show = from, r.next.heir == 0, true`,
		New: `r.leader, r.seen, r.show = from, true, true`,
	},
	{
		Name: "a heartbeat makes the old leader seen again", Area: "handover", File: "raft/raft.go", By: "test/sim TestHandovers",
		Old: `r.state == StateFollower && r.next.heir == 0 {`,
		New: `r.state == StateFollower {`,
	},
	{
		Name: "the target has no head start", Area: "handover", File: "raft/handover.go", By: "test/sim TestHandoversCalm",
		Old: `	r.next = succession{heir, now + r.cfg.ElectionTimeout}`,
		New: `	r.next = succession{heir, now}`,
	},
	{
		Name: "who has handed over forgets it with its term", Area: "handover", File: "raft/handover.go", By: "raft TestScripts/handover",
		Old: `		r.given, r.givenIn = r.next, term
`,
		New: ``,
	},
	{
		Name: "a role that is taken back was asked for by hand", Area: "history", File: "instance/lead.go", By: "instance TestScripts/handover",
		Old: `asked := c.lead.promotedIn == c.raft.Term()`,
		New: `asked := c.raft.State() == raft.StateLeader`,
	},
	{
		Name: "a PROMOTE has a name that nobody reads", Area: "history", File: "xrow/synchro.go", By: "xrow TestLongMove",
		Old: `msgp.AppendString(msgp.AppendString(b, terms.ClipMove(m.By)), terms.ClipMove(m.Reason))`,
		New: `msgp.AppendString(msgp.AppendString(b, m.By), m.Reason)`,
	},
	{
		Name: "who joins a move hears nothing", Area: "handover", File: "instance/handover.go", By: "instance TestScripts/handover",
		Old: `for _, a := range h.also {`,
		New: `for _, a := range h.also[:0] {`,
	},
	{
		Name: "the target waits for an election", Area: "handover", File: "raft/handover.go", By: "test/sim TestHandoversCalm",
		Old: `if heir == r.self && r.Promote(now) {`,
		New: `if heir == r.self && false {`,
	},
	{
		Name: "a row of an older term hands over", Area: "handover", File: "raft/handover.go", By: "raft TestScripts/handover",
		Old: `if term != r.term || r.next.heir`,
		New: `if r.next.heir`,
	},
	{
		Name: "a replayed row hands over", Area: "handover", File: "instance/handover.go", By: "instance TestScripts/handover",
		Old: `	if a.logged {
		return // replayed`,
		New: `	if a.partial {
		return // replayed`,
	},
	{
		Name: "a move that is given up holds what waits", Area: "handover", File: "instance/handover.go", By: "instance TestScripts/handover",
		Old: `Message: "Switchover was given up, nothing has moved: " + why})
	c.lead.move = nil`,
		New: `Message: "Switchover was given up, nothing has moved: " + why})
	c.lead.move.giveUp += c.now.Mono`,
	},
	{
		Name: "any leader is success", Area: "handover", File: "instance/handover.go", By: "test/sim TestHandovers",
		Old: `case cur.Term > h.term && cur.Owner == h.move.To:`,
		New: `case cur.Term > h.term:`,
	},
	{
		Name: "what the heir's term is told of first is its rival", Area: "handover", File: "raft/raft.go", By: "raft TestScripts/handover",
		Old: `	if next && start > now {`,
		New: `	if next && start > 1<<62 {`,
	},
}
