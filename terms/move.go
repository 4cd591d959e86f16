package terms

import "strings"

// MoveKind is how the write role came to move.
type MoveKind uint8

// Kinds of moves, with their numbers on the wire and on disk: none is given another meaning.
const (
	Unknown    MoveKind = iota // nothing was said: by an older version, or a Tarantool
	Bootstrap                  // the first leader of the replica set
	Election                   // nobody led, and it was elected
	Switchover                 // the leader before it handed over
	ByHand                     // somebody promoted it, where nobody led
	Forced                     // somebody promoted it, although another one led
	Supervised                 // an agent promoted it, by a token
)

var moveKinds = [...]string{"unknown", "bootstrap", "election", "switchover", "by hand", "forced", "supervised"}

func (k MoveKind) String() string {
	if int(k) < len(moveKinds) {
		return moveKinds[k]
	}
	return "unknown"
}

// MaxMoveText bounds who asked for a move, and the reason, in bytes each.
const MaxMoveText = 200

// Move is how the write role moves, and to whom. A HANDOVER says it ahead, in the log of
// the leader that gives the role away; the PROMOTE of who takes it says it again.
type Move struct {
	Kind   MoveKind
	To     uint32 // who leads next
	By     string // who asked for it; empty: nobody, it came about
	Reason string
	// Gap is for how many microseconds nobody could write when the row was written: of a
	// HANDOVER how long writes had waited, of a PROMOTE how long nobody had led. 0: not
	// known. Loose: so long at most.
	Gap   uint64
	Loose bool
	// Token is the greatest by which an agent had anybody promoted so far (failover supervised).
	// A HANDOVER carries the one that its target is to lead by, and for how many milliseconds
	// from when the row arrives there; 0: without an end.
	Token uint64
	Lease uint64
}

// ClipMove cuts a text to what a Move may carry. The name of a user may be longer.
func ClipMove(text string) string {
	if len(text) > MaxMoveText {
		text = strings.ToValidUTF8(text[:MaxMoveText], "")
	}
	return text
}
