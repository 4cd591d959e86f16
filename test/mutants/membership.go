package mutants

var membership = []Mutant{
	{
		// It takes a leader and a joiner that commit something in the moment in which
		// both are cut off with the change: a directed test brings it about.
		Name: "only the confirmed configuration elects", Area: "membership", File: "raft/electorate.go", By: "instance TestRepeatedJoinCounts",
		Old: `return e.Confirmed.elects(votes) && e.Newest.elects(votes)`,
		New: `return e.Confirmed.elects(votes)`,
	},
	{
		Name: "only the newest configuration elects", Area: "membership", File: "raft/electorate.go",
		Old:     `return e.Confirmed.elects(votes) && e.Newest.elects(votes)`,
		New:     `return e.Newest.elects(votes)`,
		Killers: []string{"one leader", "history", "pre-vote"},
	},
	{
		Name: "only the confirmed configuration commits", Area: "membership", File: "limbo/lead.go",
		Old:     `lsn = min(lsn, l.quorumLSN(newest))`,
		New:     `_ = newest`,
		Killers: []string{"quorum", "history"},
	},
	{
		Name: "only the newest configuration commits", Area: "membership", File: "limbo/lead.go",
		Old:     `lsn = min(l.quorumLSN(confirmed), l.worth)`,
		New:     `lsn = min(l.quorumLSN(newest), l.worth)`,
		Killers: []string{"quorum", "history"},
	},
	{
		Name: "an undecided change does not count for its leader", Area: "membership", File: "instance/write.go",
		Old: `		c.gate.barrier = true
		c.refreshNewest()`,
		New:     `		c.gate.barrier = true`,
		Killers: []string{"quorum", "history"},
	},
	{
		Name: "an undecided change does not count on a follower", Area: "membership", File: "instance/apply.go",
		Old:     `		c.refreshNewest()`,
		New:     ``,
		Killers: []string{"quorum", "history", "one leader"},
	},
	{
		// Who is in no newest configuration cannot win against it; the rule keeps a
		// vote free for somebody who can.
		Name: "who is no member gets votes", Area: "membership", File: "raft/raft.go", By: "raft TestScripts/vote",
		Old: `case !r.who.Newest.has(from):`,
		New: `case from == 0:`,
	},
	{
		// Rows of a term come behind the word of its leader, and whoever hears that
		// is no candidate any more: the simulator cannot bring it about.
		Name: "a candidate goes on over a change", Area: "membership", File: "raft/electorate.go", By: "raft TestScripts/vote",
		Old: `r.giveUp(now, "who elects has changed")`,
		New: ``,
	},
	{
		Name: "a learner counts", Area: "membership", File: "instance/configuration.go",
		Old:     `if isID(m.ID) && !m.Learner {`,
		New:     `if isID(m.ID) {`,
		Killers: []string{"quorum", "history", "one leader"},
	},
	{
		Name: "a change of members is no barrier", Area: "membership", File: "instance/join.go",
		Old:     `if c.gate.barrier || c.limbo.Len() > 0 || c.gate.build != nil || c.gate.moving {`,
		New:     `if c.gate.build != nil {`,
		Killers: []string{"barrier"},
	},
	{
		Name: "a new life keeps its ID", Area: "membership", File: "instance/join.go",
		Old:     `if old != nil && c.members.kinds.tarantools&^(1<<old.ID) != 0 {`,
		New:     `if old != nil {`,
		Killers: []string{"same row", "history", "fatal", "stream", "vclock", "log matching", "convergence"},
	},
	{
		Name: "acks of those who are no members count", Area: "membership", File: "instance/settle.go",
		Old:     `c.limbo.Count(c.raft.Term(), c.members.confirmed.forLimbo(), c.members.newest.forLimbo())`,
		New:     `c.limbo.Count(c.raft.Term(), limbo.Quorum{Voters: ^uint32(1), Size: c.members.confirmed.synchroQuorum}, limbo.Quorum{Voters: ^uint32(1), Size: c.members.confirmed.synchroQuorum})`,
		Killers: []string{"quorum", "history"},
	},
	{
		Name: "votes of those who are no members count", Area: "membership", File: "raft/electorate.go",
		Old:     `bits.OnesCount32(votes&e.Voters) >= e.Quorum`,
		New:     `bits.OnesCount32(votes) >= e.Quorum`,
		Killers: []string{"one leader", "history", "liveness"},
	},
	{
		Name: "a learner becomes a voter with its first ack", Area: "membership", File: "instance/learner.go", By: "instance TestScripts/learner",
		Old: `if !c.peers.acked[id].Covers(&l.mark) {`,
		New: `if id == 0 {`,
	},
	{
		Name: "an expelled instance leaves at once", Area: "membership", File: "instance/configuration.go", By: "instance TestScripts/member",
		Old: `c.members.leaveAt = c.now.Mono + leaveTimeouts*c.cfg.DeathTimeout`,
		New: `c.members.leaveAt = c.now.Mono`,
	},
	{
		Name: "another life is served", Area: "membership", File: "replication/serve_subscribe.go", By: "replication TestServeRefuses",
		Old: `case registered && !m.isLife(req):`,
		New: `case registered && m.ID == 0:`,
	},
	{
		Name: "an expulsion is answered before others know of it", Area: "membership", File: "instance/settle.go", By: "instance TestScripts/member",
		Old: `case fewer && c.limbo.Current().Owner != 0:`,
		New: `case fewer && c.replay:`,
	},
	{
		Name: "a leader that was deposed answers an expulsion at once", Area: "membership", File: "instance/settle.go", By: "instance TestScripts/member",
		Old: `case fewer && c.limbo.Current().Owner != 0:`,
		New: `case fewer && c.lead.leading:`,
	},
	{
		Name: "an undecided replacement ends a life", Area: "membership", File: "server/loss.go", By: "server TestRowOfFormerLife",
		Old: `mine := slices.DeleteFunc(b.Members(), others)`,
		New: `mine := slices.DeleteFunc(b.NewestMembers(), others)`,
	},
	{
		Name: "clients write who counts", Area: "membership", File: "instance/write.go",
		Old: `	if c.underStrong() {
		tx.Seal()
	}`,
		New:     ``,
		Killers: []string{"members"},
	},
	{
		Name: "anybody becomes a member", Area: "membership", File: "instance/join.go", By: "instance TestScripts/admit",
		Old: `return c.cfg.refuseMember(j, c.box.NewestMembers())`,
		New: `return nil`,
	},
	{
		Name: "a next life counts as one more", Area: "membership", File: "instance/admit.go", By: "instance TestScripts/admit",
		Old: `if m := &members[i]; m.UUID == j.UUID || j.Name != "" && m.Name == j.Name {`,
		New: `if m := &members[i]; m.UUID == j.UUID {`,
	},
	{
		Name: "the rows of the quorum are data", Area: "membership", File: "box/seal.go", By: "box TestAttackSealedRows",
		Old: `const ownKeys = "tarragon."`,
		New: `const ownKeys = "tarragon.."`,
	},
	{
		Name: "a reader passes for a member", Area: "membership", File: "replication/serve_subscribe.go", By: "server TestAttackReader",
		Old: `h.cfg.Rights(user, !req.Anon)`,
		New: `h.cfg.Rights(user, false)`,
	},
	{
		Name: "a reader becomes a member", Area: "membership", File: "replication/serve.go", By: "server TestAttackReader",
		Old: `if err := h.cfg.Rights(user, true); err != nil {`,
		New: `if err := h.cfg.Rights(user, false); err != nil {`,
	},
	{
		Name: "a reader's state keeps a member away", Area: "membership", File: "replication/serve_join.go", By: "server TestAttackReaderTakesPlace",
		Old: `place = fetching + who`,
		New: `place = who`,
	},
	{
		Name: "a reader's stream keeps a member away", Area: "membership", File: "replication/serve_join.go", By: "server TestAttackReaderTakesPlace",
		Old: `if r.uuid == uuid && r.peer != 0 {`,
		New: `if r.uuid == uuid {`,
	},
	{
		Name: "a leader deletes its own row", Area: "membership", File: "instance/write.go", By: "instance TestScripts/member",
		Old: `if err := c.members.refuseOwnExpulsion(c.box.NewestMembers()); err != nil {`,
		New: `if err := c.members.refuseOwnExpulsion(c.box.NewestMembers()); false {`,
	},
	{
		Name: "a set that is being founded takes writes", Area: "membership", File: "instance/founding.go", By: "instance TestScripts/founding",
		Old: `case c.members.founding == 0 || r.Internal:`,
		New: `case c.members.founding >= 0 || r.Internal:`,
	},
}
