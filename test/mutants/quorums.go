package mutants

var quorums = []Mutant{
	{
		Name: "a synchro quorum one too small", Area: "quorums", File: "instance/configuration.go",
		Old:     `c.synchroQuorum = min(max(quorum(max(n, 1)), 1), max(n, 1))`,
		New:     `c.synchroQuorum = min(max(quorum(max(n, 1))-1, 1), max(n, 1))`,
		Killers: []string{"quorum", "history", "dirty read"},
	},
	{
		Name: "an election quorum one too small", Area: "quorums", File: "instance/configuration.go",
		Old:     `c.electionQuorum = max(n/2+1, n-c.synchroQuorum+1)`,
		New:     `c.electionQuorum = max(n/2, 1)`,
		Killers: []string{"one leader", "history", "pre-vote"},
	},
	{
		Name: "the own disk counts before its sync", Area: "quorums", File: "instance/write.go",
		Old:     `c.limbo.Held(e.Origin, by.term, lsn)`,
		New:     "c.limbo.Held(e.Origin, by.term, lsn)\n\tc.limbo.Ack(c.members.self, lsn)",
		Killers: []string{"quorum", "history", "acknowledged", "dirty read"},
	},
	{
		Name: "an ack of a greater term counts", Area: "quorums", File: "instance/ack.go",
		Old:     `if ev.Term > c.raft.Term() {`,
		New:     `if ev.Term > c.raft.Term() && len(c.members.ids) == 0 {`,
		Killers: []string{"quorum", "history"},
	},
	{
		Name: "an ack before the sync", Area: "quorums", File: "instance/ack.go",
		Old:     `AckState{VClock: c.out.onDisk.Global()`,
		New:     `AckState{VClock: c.out.vclock.Global()`,
		Killers: []string{"promise"},
	},
	{
		Name: "an ack under a term that is not on disk", Area: "quorums", File: "instance/ack.go",
		Old:     `Term: c.raft.Saved().Term, Timestamp: stamp}`,
		New:     `Term: c.raft.Term(), Timestamp: stamp}`,
		Killers: []string{"promise"},
	},
	{
		Name: "each has a quorum of its own", Area: "quorums", File: "instance/quorum.go", By: "instance TestScripts/quorum",
		Old: `if value == "" || c.cfg.ParseQuorum == nil || tarantools != 0 {`,
		New: `if value == "" || c.cfg.ParseQuorum == nil || c.members.self != 0 {`,
	},
	{
		Name: "the file of one sets the quorum", Area: "quorums", File: "instance/quorum.go", By: "instance TestScripts/quorum",
		Old: `2*bits.OnesCount32(same&of.voters) > bits.OnesCount32(of.voters)`,
		New: `bits.OnesCount32(same&of.voters) > 0*bits.OnesCount32(of.voters)`,
	},
}
