package main

import "slices"

// Rules says which protocol is checked. The zero value is what the project
// builds (README.md, "The rules"); every switch takes one rule away or replaces
// it by another.
type Rules struct {
	// Replication and elections.
	SendAhead       bool // own rows leave a node before its own sync
	NoReserve       bool // a restarted node goes on at its last own LSN + 1, whatever it used before
	PromoteAtOnce   bool // a PROMOTE takes effect where it is written, as in Tarantool
	FollowEffective bool // a PROMOTE follows the last one known to be in effect, not the newest in the log
	NoPrevTerm      bool // a PROMOTE does not say which term it follows: all in the log are applied by term
	VoteSynced      bool // a voter compares only what it has synced, not what it handed to the journal
	VoteChain       bool // a vote compares (newest chain term, last LSN in it), as Raft does, not vclocks
	CountOldTerm    bool // a leader commits rows of older terms by counting holders
	AckNoTerm       bool // a leader counts an ack whatever the term of the node that sends it
	NoExchange      bool // rows are pulled from a leader only
	JoinDrops       bool // a join anew throws away what the joiner alone has undecided
	JoinForgets     bool // a join anew throws away the joiner's term and vote
	SameID          bool // who lost its disk comes back under its old ID

	// The handover.
	HandoverGoesOn  bool // the old leader writes behind its HANDOVER
	HandoverDecides bool // a HANDOVER confirms all rows before it, as if it had a quorum
	HandoverLeads   bool // who has a HANDOVER to itself leads without votes
	HandoverBlind   bool // who has a HANDOVER votes for its target, whatever it holds itself
	HandoverEarly   bool // a leader whose PROMOTE is not in effect hands over
	HandoverChange  bool // a leader hands over while a change of who counts is undecided

	// Tokens of an agent, see token.go.
	TokenAnew   bool // a token is not compared with those in the log
	TokenAtCall bool // it is compared when the agent calls, not when the election is won
	TokenEffect bool // it is compared with those of terms that are known to be in effect
	TokenEqual  bool // the same token counts twice

	// Who counts.
	Elect, Commit   Counting
	GoOn            bool // a candidate goes on when its configuration changes
	NoBarrier       bool // changes are written while others are undecided, and writes behind them
	WriteBehind     bool // writes are taken behind an undecided change
	NoConfirmBefore bool // a change is written before the CONFIRM of what is before it
	ChangeAtOnce    bool // a change is written before the leader's PROMOTE is in effect
	LocalQuorum     bool // the quorum is told to the leader alone
	CountLearners   bool // acks and votes of learners count
	StateAtOnce     bool // a joiner gets the state while its row is undecided
	VoterAtOnce     bool // a learner may be promoted before it holds a state
	NewestByChain   bool // the newest configuration is that of the newest PROMOTE's chain, not that of all rows
	DropEnded       bool // votes of a life that the newest configuration ended do not count
	MembersVote     bool // who is in neither of its own two configurations does not vote
	VoteForAll      bool // an ID that the voter's newest configuration lacks gets a vote
	Settle          bool // after the decision both configurations count until a quorum of each has the CONFIRM
	ExpelledStops   bool // who knows that it is no member any more takes part in nothing
}

// mutations are the named changes of the rules.
var mutations = map[string]Rules{
	"final": {},

	"send-ahead":       {SendAhead: true},
	"no-reserve":       {NoReserve: true}, // with a rejoin: it forgets its own last LSN
	"promote-at-once":  {PromoteAtOnce: true},
	"follow-effective": {FollowEffective: true},
	"no-prev-term":     {NoPrevTerm: true},
	"vote-synced":      {VoteSynced: true},
	"vote-chain":       {VoteChain: true},
	"count-old-term":   {CountOldTerm: true},
	"ack-no-term":      {AckNoTerm: true},
	"no-exchange":      {NoExchange: true},
	"join-drops":       {JoinDrops: true},
	"join-forgets":     {JoinForgets: true},
	"same-id":          {SameID: true},

	"handover-goes-on": {HandoverGoesOn: true},
	"handover-decides": {HandoverDecides: true},
	"handover-leads":   {HandoverLeads: true},
	"handover-blind":   {HandoverBlind: true},
	"handover-early":   {HandoverEarly: true},
	"handover-change":  {HandoverChange: true},

	"token-anew":    {TokenAnew: true},
	"token-at-call": {TokenAtCall: true},
	"token-effect":  {TokenEffect: true},
	"token-equal":   {TokenEqual: true},

	"commit-newest":          {Commit: byNewest},
	"commit-confirmed":       {Commit: byConfirmed},
	"elect-confirmed":        {Elect: byConfirmed},
	"elect-newest":           {Elect: byNewest},
	"in-effect-at-once":      {Elect: byNewest, Commit: byNewest},
	"on-confirmation":        {Elect: byConfirmed, Commit: byConfirmed},
	"on-confirmation-settle": {Elect: byConfirmed, Commit: byConfirmed, Settle: true},
	"greater":                {Elect: byGreater, Commit: byGreater},
	"greater-settle":         {Elect: byGreater, Commit: byGreater, Settle: true},
	"settle":                 {Settle: true},
	"go-on":                  {GoOn: true},
	"no-barrier":             {NoBarrier: true},
	"write-behind":           {WriteBehind: true},
	"no-confirm-before":      {NoConfirmBefore: true},
	"change-at-once":         {ChangeAtOnce: true},
	"local-quorum":           {LocalQuorum: true},
	"count-learners":         {CountLearners: true},
	"state-at-once":          {StateAtOnce: true},
	"voter-at-once":          {VoterAtOnce: true, StateAtOnce: true},
	"newest-by-chain":        {NewestByChain: true},
	"drop-ended":             {DropEnded: true},
	"members-vote":           {MembersVote: true},
	"vote-for-all":           {VoteForAll: true},
	"expelled-stops":         {ExpelledStops: true},
}

func ruleNames() (names []string) {
	for name := range mutations {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// barrier: a change is only ever written where nothing else is undecided.
func (r Rules) barrier() bool { return !r.NoBarrier && !r.NoConfirmBefore && !r.ChangeAtOnce }

// Bounds limits the exploration: how much may happen in one history.
type Bounds struct {
	N         int // IDs
	Members   int // voters at the start
	Quorum    int // the synchronous quorum at the start, 0: N/2+1
	Terms     int // greatest term; the history starts in term 1
	Writes    int // client writes
	Crashes   int // crashes with loss of any unsynced suffix
	Wipes     int // disks lost for good (with SameID only: else the ID is never heard of again, as in a partition)
	Handovers int // of the write role, by a row
	Rejoins   int // state transfers to an instance that has a state
	Tokens    int // tokens that agents draw, any number of times each; 0: nobody asks for one
	Changes   [numChanges]int
	Ready     bool // IDs beyond Members are learners at the start, with the state
	Data      bool // compare committed client writes only, not PROMOTE, CONFIRM and CONFIG rows
	Bulk      bool // with Coarse: rows move only where it shows, see bulk.go
	Coarse    bool // an election is one step, and so are a commit and its CONFIRM: deeper histories
}
