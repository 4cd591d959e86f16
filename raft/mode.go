package raft

import "slices"

// Mode is how an instance takes part in elections (docs/protocol/election.md#modes).
type Mode uint8

// Election modes.
const (
	Off       Mode = iota // no Raft: votes, and leads only after a promotion by hand
	Voter                 // votes, never leads
	Manual                // votes, leads only after a promotion by hand
	Candidate             // votes and starts elections itself
)

var modes = []string{Off: "off", Voter: "voter", Manual: "manual", Candidate: "candidate"}

func (m Mode) String() string { return modes[m] }

// ParseMode reads what String writes, as configurations have it.
func ParseMode(text string) (m Mode, ok bool) {
	i := slices.Index(modes, text)
	return Mode(max(i, 0)), i >= 0
}

// Fencing is when a leader that hears no quorum resigns, see Config.FencingInterval.
type Fencing uint8

// Fencing modes.
const (
	FencingSoft   Fencing = iota // after the death timeout
	FencingStrict                // after half of it
	FencingOff                   // never
)

var fencings = []string{FencingSoft: "soft", FencingStrict: "strict", FencingOff: "off"}

func (f Fencing) String() string { return fencings[f] }

// ParseFencing reads what String writes, as configurations have it.
func ParseFencing(text string) (f Fencing, ok bool) {
	i := slices.Index(fencings, text)
	return Fencing(max(i, 0)), i >= 0
}
