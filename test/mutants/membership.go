package mutants

var membership = []Mutant{
	{
		Name: "late votes of an ended life", Area: "membership", File: "raft/raft.go",
		Old:     `r.dropped |= 1 << id`,
		New:     ``,
		Killers: []string{"one leader", "history"},
	},
	{
		Name: "votes of an ended life stay", Area: "membership", File: "raft/raft.go",
		Old:     `r.votes &^= 1 << id`,
		New:     ``,
		Killers: []string{"one leader", "history"},
	},
	{
		Name: "a change of members is no barrier", Area: "membership", File: "instance/member.go",
		Old:     `if c.barrier || len(c.held) > 0 || c.limbo.Len() > 0 || c.build != nil {`,
		New:     `if c.build != nil {`,
		Killers: []string{"history", "liveness", "one leader", "convergence"},
	},
	{
		Name: "a new life keeps its ID", Area: "membership", File: "instance/member.go",
		Old:     `if old != nil && c.originals()&^(1<<old.ID) != 0 {`,
		New:     `if old != nil {`,
		Killers: []string{"same row", "history", "fatal", "vclock", "log matching"},
	},
	{
		Name: "acks of those who are no members count", Area: "membership", File: "instance/write.go",
		Old:     `lsn, err := c.limbo.Count(c.raft.Term(), c.members, c.quorum)`,
		New:     `lsn, err := c.limbo.Count(c.raft.Term(), ^uint32(1), c.quorum)`,
		Killers: []string{"quorum", "history"},
	},
	{
		Name: "votes of those who are no members count", Area: "membership", File: "raft/raft.go",
		Old:     `r.quorum < 1 || bits.OnesCount32(r.votes&r.members) < r.quorum {`,
		New:     `r.quorum < 1 || bits.OnesCount32(r.votes) < r.quorum {`,
		Killers: []string{"one leader", "history"},
	},
}
