package mutants

var relay = []Mutant{
	{
		Name: "rows leave before their sync", Area: "relay", File: "instance/core.go", Quick: true,
		Old:     `c.eff.Relay = c.out.written`,
		New:     `c.eff.Relay = c.out.nextNo - 1`,
		Killers: []string{"promise"},
	},
	{
		Name: "a PROMOTE overtakes the RAFT message", Area: "relay", File: "replication/relay.go", By: "replication TestRelayPromoteAfterRaft",
		Old: `if e.term > t.raft.term && r.takesRaft() {`,
		New: `if e.term > t.raft.term && r.self == 0 {`,
	},
	{
		Name: "groups that are not synced are sent", Area: "relay", File: "replication/relay.go", By: "replication TestRelayWaitsForSync",
		Old: `upTo: h.feed.upTo, end: r.end}`,
		New: `upTo: h.feed.ring.end() - 1, end: r.end}`,
	},
	{
		Name: "rows that were held back stay", Area: "relay", File: "replication/hold.go", By: "replication TestRelayHoldsBack",
		Old: `b.due = b.prev`,
		New: `b.due = 0`,
	},
	{
		Name: "acks may go back", Area: "relay", File: "replication/relay.go", By: "replication TestRelayAcks",
		Old: `if !ack.VClock.Covers(&r.acked) {`,
		New: `if r.self == 0 {`,
	},
}
