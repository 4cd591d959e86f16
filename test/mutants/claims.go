package mutants

// claims are faults in what one peer's word may do (decision 0020).
var claims = []Mutant{
	{
		Name: "one claim is proof", Area: "claims", File: "instance/claims.go",
		Old:     `return n > 0 && n >= min(2, bits.OnesCount32(others))`,
		New:     `return n > 0`,
		Killers: []string{"fatal"},
	},
	{
		Name: "a claim never lapses", Area: "claims", File: "instance/claims.go",
		Old:     `return bits.OnesCount32(s.silent&others)+1 > (bits.OnesCount32(others)+1)/2`,
		New:     `return bits.OnesCount32(s.silent&others) > vclock.Max`,
		Killers: []string{"liveness", "convergence"},
	},
	{
		Name: "a claim does not silence", Area: "claims", File: "instance/voice.go",
		Old:     `return c.peers.claims.open() != 0 && !c.lead.leading`,
		New:     `return false`,
		Killers: []string{"history", "log matching", "same row", "convergence"},
	},
	{
		Name: "an ack of what was not written counts", Area: "claims", File: "instance/ack.go",
		Old:     `if c.members.self != 0 && ev.VClock[c.members.self] > c.out.vclock[c.members.self] {`,
		New:     `if c.members.self != 0 && ev.VClock[c.members.self] > c.out.vclock[c.members.self]+1<<60 {`,
		Killers: []string{"quorum", "history", "dirty read", "liveness", "convergence"},
	},
	{
		Name: "any term is believed", Area: "claims", File: "instance/term.go",
		Old:     `if own := c.raft.Term(); term > own && term-own > maxTermJump && !c.replay {`,
		New:     `if own := c.raft.Term(); term > own && term-own > 1<<63 && !c.replay {`,
		Killers: []string{"liveness", "stream", "convergence", "fatal"},
	},
	{
		Name: "a word turns the strong rules off", Area: "claims", File: "instance/kind.go",
		Old:     `if kind == xrow.Tarantool && c.strongAlone() && k.all&(1<<peer) != 0 {`,
		New:     `if kind == xrow.Tarantool && c.strongAlone() && k.all == 0 {`,
		Killers: []string{"chain", "stream", "history", "liveness", "log matching", "convergence", "quorum"},
	},
	{
		Name: "a CONFIRM is logged before it is judged", Area: "claims", File: "limbo/strong.go",
		Old:     `return Keep, err // before the log has it`,
		New:     `_ = err`,
		Killers: []string{"vclock", "log matching", "stream", "recovery", "convergence", "liveness", "fatal", "same row", "panic"},
	},
}
