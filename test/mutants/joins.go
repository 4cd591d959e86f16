package mutants

var joins = []Mutant{
	{
		Name: "the state has no vote", Area: "joins", File: "instance/join.go",
		Old:     `if s.State.Vote == 0 {`,
		New:     `if s.State.Vote = 0; c.members.self == 0 {`,
		Killers: []string{"vote"},
	},
	{
		// A joiner is a learner until a row of that term or a greater one makes a voter
		// of it: only beside Tarantools is it asked for a vote before.
		Name: "the state has no term", Area: "joins", File: "instance/join.go", By: "instance TestScripts/member",
		Old: `s := State{VClock: v, Term: c.raft.Term(), `,
		New: `s := State{VClock: v, Term: 1, `,
	},
	{
		Name: "the state counts undecided rows", Area: "joins", File: "instance/snapshot.go",
		Old:     `v[origin] = min(v[origin], beforeEntry(e))`,
		New:     `_ = e`,
		Killers: []string{"convergence", "log matching", "content", "recovery", "fatal", "stream", "history"},
	},
	{
		Name: "an undecided registration counts as known", Area: "joins", File: "instance/join.go",
		Old: `	known := ev.anonymous() && c.knowsReplica(&ev) || !ev.anonymous() && c.members.knows(&ev)`,
		New: `	newest := members{ids: c.box.NewestMembers()}
	known := ev.anonymous() && c.knowsReplica(&ev) || !ev.anonymous() && newest.knows(&ev)`,
		Killers: []string{"history", "liveness", "recovery", "convergence"},
	},
}
