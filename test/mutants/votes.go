package mutants

var votes = []Mutant{
	{
		Name: "two votes in a term", Area: "votes", File: "raft/raft.go",
		Old:     `case r.vote != 0:`,
		New:     `case r.vote == r.self:`,
		Killers: []string{"vote", "votes", "one leader"},
	},
	{
		Name: "a vote without comparing vclocks", Area: "votes", File: "raft/raft.go",
		Old:     `case theirs == nil || !theirs.Covers(mine):`,
		New:     `case theirs == nil:`,
		Killers: []string{"history", "fatal", "stream", "reader"},
	},
	{
		Name: "a vote forgotten at a restart", Area: "votes", File: "instance/recovery.go",
		Old:     `c.raft.Restore(raft.Record{Term: body.Term, Vote: body.Vote})`,
		New:     `c.raft.Restore(raft.Record{Term: body.Term})`,
		Killers: []string{"vote", "votes", "one leader"},
	},
	{
		Name: "a checkpoint without the vote", Area: "votes", File: "instance/snapshot.go",
		Old:     `Vote: c.raft.Vote(), History`,
		New:     `History`,
		Killers: []string{"vote", "votes", "one leader"},
	},
	{
		Name: "a checkpoint without term and vote", Area: "votes", File: "instance/snapshot.go", Quick: true,
		Old:     `Term: c.raft.Term(), Vote: c.raft.Vote(), History`,
		New:     `Term: 1, History`,
		Killers: []string{"terms", "vote", "votes", "promise"},
	},
	{
		Name: "a vote ignores rows in flight", Area: "votes", File: "instance/term.go",
		Old:     `mine := &c.out.vclock`,
		New:     `mine := &c.out.onDisk`,
		Killers: []string{"history", "fatal", "stream", "reader"},
	},
	{
		// Two are elected in a term only if another one gets the rest of its votes: with
		// few members a rare thing.
		Name: "a vote of an older term counts", Area: "votes", File: "raft/raft.go", By: "raft TestScripts/vote",
		Old: `if m.Term < r.term {`,
		New: `if m.Term < r.term && (m.Vote != r.self || r.state != StateCandidate) {`,
	},
	{
		Name: "the record on disk has no vote", Area: "votes", File: "instance/outbox.go",
		Old:     `body := xrow.Raft{Term: rec.Term, Vote: rec.Vote}`,
		New:     `body := xrow.Raft{Term: rec.Term}`,
		Killers: []string{"promise", "vote"},
	},
}
