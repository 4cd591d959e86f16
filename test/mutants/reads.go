package mutants

var reads = []Mutant{
	{
		Name: "a linearizable read without a round", Area: "reads", File: "instance/read.go", Quick: true,
		Old:     `need := max(c.cfg.LinearizableQuorum(max(bits.OnesCount32(voters), 1), c.members.confirmed.synchroQuorum), 1)`,
		New:     `need := 1`,
		Killers: []string{"linearizable"},
	},
	{
		Name: "a linearizable read of what is held", Area: "reads", File: "instance/read.go",
		Old:     `e != nil && e.LSN <= target[origin] {`,
		New:     `e != nil && e.LSN == 0 {`,
		Killers: []string{"linearizable"},
	},
	{
		Name: "an answer to an older heartbeat counts", Area: "reads", File: "instance/read.go",
		Old:     `if ev.Sync >= r.beat && `,
		New:     `if ev.Sync > 0 && `,
		Killers: []string{"linearizable"},
	},
	{
		Name: "a follower shows undecided rows", Area: "reads", File: "instance/apply.go",
		Old:     `	if c.limbo.TakeTxn(rules, e) {`,
		New:     "\tdecided := c.limbo.TakeTxn(rules, e)\n\tc.box.Confirm(e.Seq)\n\tif decided {",
		Killers: []string{"dirty read", "panic"},
	},
	{
		Name: "an asynchronous write is answered before the sync", Area: "reads", File: "limbo/limbo.go",
		Old:     `if e.Sync || e.Behind != 0 || e.Group > l.written {`,
		New:     `if e.Sync || e.Behind != 0 {`,
		Killers: []string{"acknowledged"},
	},
	{
		Name: "an empty answer does not wait for what it saw", Area: "reads", File: "instance/fate.go",
		Old:     `saw: tx.Undecided()}`,
		New:     `saw: 0}`,
		Killers: []string{"conditional"},
	},
	{
		Name: "an answer of a deposed leader", Area: "reads", File: "instance/fate.go",
		Old:     `if f.beat != 0 && c.quorumHeard(f.heard) {`,
		New:     `if f.beat != 0 {`,
		Killers: []string{"conditional"},
	},
	{
		Name: "an answer in a later term counts", Area: "reads", File: "instance/fate.go", By: "instance TestScripts/answers",
		Old: `ev.Sync >= f.beat && term == f.term {`,
		New: `ev.Sync >= f.beat {`,
	},
}
