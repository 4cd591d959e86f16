package instance

import "tarragon.dev/tarragon/raft"

// Fact is something that Core decided or met, for logs, counters and the
// simulator's table. Kind is one of the Fact constants.
type Fact struct {
	Kind FactKind
	Term uint64
	Peer uint32 // the other instance, if any
	LSN  uint64
	Text string // cause or detail; may be empty
}

// FactKind names a Fact. The machine raft has more kinds; they pass through
// with their own names.
type FactKind string

// Kinds of facts.
const (
	FactPromoteWritten  FactKind = "promote written"     // a winner wrote its PROMOTE
	FactPromoteMetQueue FactKind = "promote met rows"    // it follows undecided transactions
	FactPromoteChained  FactKind = "promote chained"     // it follows a PROMOTE that is not in effect
	FactInEffect        FactKind = "promote in effect"   // on the leader by its quorum, on followers by CONFIRM
	FactPromoteVoid     FactKind = "promote void"        // a PROMOTE that a newer term leaves out
	FactCommitted       FactKind = "committed"           // transactions up to LSN
	FactHandoverBegins  FactKind = "handover begins"     // writes wait, and leadership is about to move
	FactHandoverGivenUp FactKind = "handover given up"   // before its row was written
	FactHandedOver      FactKind = "handed over"         // the row that hands over is in the log
	FactForwarded       FactKind = "forwarded"           // a request of a client went to the leader
	FactForwardUnknown  FactKind = "forward unknown"     // it was sent, and what became of it is not known
	FactVoided          FactKind = "voided"              // an undecided transaction
	FactVoidedAsync     FactKind = "voided async"        // one that its client was told is done
	FactLate            FactKind = "late row"            // a row of an older term became NOP
	FactBehindPromote   FactKind = "row behind promote"  // an older term's row arrived behind a pending PROMOTE
	FactHigherTermAck   FactKind = "ack of greater term" // a leader learnt a term from an ack
	FactVoteInFlight    FactKind = "vote behind rows"    // a vote record follows rows that are not on disk yet
	FactIncomparable    FactKind = "incomparable vclock" // a candidate's vclock and ours each hold what the other lacks
	FactBuilt           FactKind = "schema built"        // a client's change of the schema, in slices
	FactBuiltForeign    FactKind = "row built"           // the same for a row of a peer
	FactBuildLost       FactKind = "schema given up"     // leadership was lost while it was built
	FactRowGivenUp      FactKind = "row given up"        // a row of a peer, that is judged anew
	FactRowsHeld        FactKind = "rows held"           // behind a row that is built
	FactBacklogFull     FactKind = "too many rows held"
	FactParked          FactKind = "rows parked" // too much waits for the disk: peers' rows wait with their readers
	FactGatherFull      FactKind = "too many rows gather"
	FactStall           FactKind = "disk stalls"
	FactDiskFailed      FactKind = "disk failed"
	FactWokeLate        FactKind = "woke late" // a leader found a deadline long past before a request
	FactUnknown         FactKind = "outcome unknown"
	FactSessionIdle     FactKind = "session ended"   // nobody has used it for long
	FactFateUnknown     FactKind = "answer given up" // what it stands on is undecided at the wait limit; nothing was written
	FactRegistered      FactKind = "registered"
	FactClaim           FactKind = "claim"            // a member says that our disk shows less than we have shown it
	FactClaimLapsed     FactKind = "claim lapsed"     // and it is alone with that
	FactWentBack        FactKind = "went back"        // a member's disk shows less than it has shown before
	FactNewLife         FactKind = "new life"         // a member that lost its disk got a new ID
	FactVoter           FactKind = "voter"            // a learner counts from now on
	FactLearnerGone     FactKind = "learner gone"     // it gave no word for too long
	FactQuorum          FactKind = "quorum"           // the quorum of the replica set is changed
	FactFeature         FactKind = "feature level"    // of the replica set is raised
	FactPaused          FactKind = "paused"           // no elections of our own accord for a while
	FactResumed         FactKind = "resumed"          // the row of a pause is gone
	FactPauseOver       FactKind = raft.FactPauseOver // its time has run out here
	FactOlder           FactKind = "older version"    // than the feature level of the replica set
	FactBadQuorum       FactKind = "bad quorum"       // the row says what cannot be read here
	FactExpelled        FactKind = "expelled"
	FactSkipped         FactKind = "conflict skipped"   // a row whose key is taken became NOP
	FactShare           FactKind = "share"              // the replica has what another version of its filter gives
	FactReplica         FactKind = "replica"            // one with a filter came for the first time, and is registered
	FactCopied          FactKind = "base copy"          // of spaces that were lacking is here
	FactCopyFailed      FactKind = "base copy given up" // it begins anew
	FactIndexesFormed   FactKind = "indexes formed"     // that the filter does not leave out any more
	FactIndexFailed     FactKind = "index not formed"   // what is here does not fit its definition
	FactAgain           FactKind = "row taken again"    // one without a term, behind others that were voided
	FactNotAgain        FactKind = "row set aside"      // what was voided had made room for it
	FactSplitBrain      FactKind = "split brain"        // a peer's rows contradict ours
	FactRulesChange     FactKind = "rules change"       // a leader begins a new term under the rules that all members take
	FactInDoubt         FactKind = "in doubt"           // it is proven that this disk has lost something
	FactFounded         FactKind = "founders are there" // as many as a set needs before clients may write
	FactGaveWay         FactKind = "gives way"          // a lone founder, to another replica set
)
