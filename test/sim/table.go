package sim

import (
	"fmt"
	"io"

	"tarragon.dev/tarragon/instance"
)

// Rare is something that a good set of seeds must have met.
type Rare int

// What the table counts. The first group is met by cores and told by their
// trace, the second by the harness.
const (
	PromoteMetRows Rare = iota
	PromoteDied
	PromoteVoided
	PromoteChained
	VclocksIncomparable
	GreaterTermAcked
	VoteBehindRows
	RowBehindPromote
	LateRow
	AsyncVoided
	OutcomeUnknown
	FencingResigned
	StallResigned
	DiskFailed
	SplitVote
	PreVoteRefused
	PausedLeaderWoke
	NewLife
	RowsVoided
	SchemaBuilt
	SchemaGivenUp
	RowBuilt
	RowGivenUp
	RowsHeld
	BacklogFull
	RowsParked
	GatherFull

	LeaderChanged
	JoinRacedCheckpoint
	WipedCameBack
	WentBack
	LieTold
	JoinedAnew
	GroupSurvivedCrash
	GroupLostInCrash
	OneWayCut
	LogPruned
	LinearReads
	MajorityHealed
	Rivals
	VoterDied
	VoteSaved
	LaggardAsked
	JoinCut
	VoteInFlight
	LoserFellBehind
	QuorumCut
	ChangeCut
	Joined
	JoinedElsewhere
	Expelled
	ReplacedByName
	ReplacedByUUID
	EndedLifeWoke
	GrewToFive
	ShrankToOne
	QuorumChanged
	FilesDiffered
	ModeChanged
	MachineLostSyncs
	rareCount
)

var rareNames = [rareCount]string{
	"a PROMOTE met undecided rows", "a PROMOTE died before its quorum", "a PROMOTE was voided",
	"a PROMOTE followed one not in effect", "incomparable vclocks met", "ack of a greater term",
	"vote delayed by rows in flight", "older row behind a PROMOTE", "late row became NOP", "async write voided",
	"outcome unknown", "leader resigned by fencing", "leader resigned by a stalled disk", "disk failed", "split vote",
	"pre-vote refused", "paused leader woke up", "lost disk got a new ID", "rows voided",
	"an index was built in slices", "leadership lost while building", "a follower built in slices",
	"leader changed while a follower built", "rows waited behind an index", "too many rows waited",
	"rows were parked for the disk", "too many rows gathered for the disk",
	"leader changed under load", "a join raced a checkpoint", "a wiped node came back",
	"a disk that went back was noticed", "a host was lied to",
	"beyond retention, joined anew", "unsynced group survived a crash", "unsynced group lost in a crash",
	"one-way cut", "log pruned", "linearizable reads", "majority healed, rest broken",
	"rivals in one term", "a voter died with its vote", "a vote was saved in a checkpoint before a crash",
	"who lacked rows asked for votes", "a join was cut",
	"a vote came before the row behind which it was given",
	"who lost an election fell behind the log",
	"a leader was cut off with a quorum that others do not know",
	"a leader was cut off with a change that nobody else has",
	"an instance joined", "a joiner went on with another leader", "a member was expelled",
	"replaced by name, the old life alive", "replaced by uuid, the old life alive", "an ended life woke up",
	"five voters after fewer", "one voter after more", "the quorum changed", "files asked for another quorum",
	"a mode changed", "a machine lost acked groups",
}

func (r Rare) String() string { return rareNames[r] }

// Table counts rare events.
type Table [rareCount]int

// Add sums tables.
func (t *Table) Add(o *Table) {
	for i, n := range o {
		t[i] += n
	}
}

// Print writes the table, and names what never happened.
func (t *Table) Print(out io.Writer) (missing []Rare) {
	for i, n := range t {
		fmt.Fprintf(out, "%10d  %s\n", n, Rare(i))
		if n == 0 {
			missing = append(missing, Rare(i))
		}
	}
	return missing
}

func (w *World) count(r Rare) { w.table[r]++ }

// facts maps what a core tells to what the table counts.
var facts = map[instance.FactKind]Rare{
	instance.FactPromoteMetQueue: PromoteMetRows,
	instance.FactPromoteChained:  PromoteChained,
	instance.FactPromoteVoid:     PromoteVoided,
	instance.FactIncomparable:    VclocksIncomparable,
	instance.FactHigherTermAck:   GreaterTermAcked,
	instance.FactVoteInFlight:    VoteBehindRows,
	instance.FactBehindPromote:   RowBehindPromote,
	instance.FactLate:            LateRow,
	instance.FactVoidedAsync:     AsyncVoided,
	instance.FactUnknown:         OutcomeUnknown,
	instance.FactDiskFailed:      DiskFailed,
	instance.FactNewLife:         NewLife,
	instance.FactBuilt:           SchemaBuilt,
	instance.FactBuildLost:       SchemaGivenUp,
	instance.FactBuiltForeign:    RowBuilt,
	instance.FactRowGivenUp:      RowGivenUp,
	instance.FactRowsHeld:        RowsHeld,
	instance.FactBacklogFull:     BacklogFull,
	instance.FactParked:          RowsParked,
	instance.FactGatherFull:      GatherFull,
	"split vote":                 SplitVote,
	"pre-vote refused":           PreVoteRefused,
}

// fact is told by a core of every decision.
func (w *World) fact(n *node, f instance.Fact) {
	w.check.mandate.fact(f)
	w.check.preferred.fact(n, f)
	w.check.fence.fact(f)
	if r, ok := facts[f.Kind]; ok {
		w.count(r)
	}
	w.met.fact(f)
	w.check.handover.told(n, f)
	w.check.numbered.fact(n, f)
	if f.Kind == "resign" {
		switch f.Text {
		case "no quorum":
			w.count(FencingResigned)
		case "the disk stalls":
			w.count(StallResigned)
		}
	}
	if w.out != nil && f.Kind != instance.FactCommitted {
		w.tell(n, "%s: term %d peer %d lsn %d %s", f.Kind, f.Term, f.Peer, f.LSN, f.Text)
	}
}
