package terms

import (
	"math"
	"time"
)

// Began is how a term began, as the rows of its leader tell: its PROMOTE, and the CONFIRM
// of that, which is the row behind it. All who hold these rows know the same. The zero value: nothing
// was told, by an older version, a Tarantool, or a state that came through either.
type Began struct {
	Kind   MoveKind
	By     string // who asked for it; empty: nobody
	Reason string
	At     uint64 // when its PROMOTE was written, in microseconds since 1970 by its writer's clock; 0: not known
	// Gap is the microseconds, by the same clock, for which nobody had led when the PROMOTE
	// was written; 0: not known. Loose: it was so long at most.
	Gap   uint64
	Loose bool
	// Took is the microseconds from the PROMOTE to the CONFIRM of it; 0: it took no writes.
	Took  uint64
	Token uint64 // the greatest of an agent's, up to this term; 0: there was none
}

// Still is for how long nobody could write before this term took writes. false: it is not
// known, or it took none.
func (b *Began) Still() (d time.Duration, known bool) {
	if b.Gap == 0 || b.Took == 0 {
		return 0, false
	}
	return time.Duration(b.Gap+b.Took) * time.Microsecond, true
}

// Known tells whether anything was told.
func (b *Began) Known() bool { return *b != Began{} }

// MaxMicros bounds every number of microseconds: a float64 holds all below it.
const MaxMicros = 1 << 52

// Micros is a time or a length in seconds as microseconds; what can be neither is 0.
func Micros(seconds float64) uint64 {
	if us := math.Round(seconds * 1e6); us > 0 && us < MaxMicros {
		return uint64(us)
	}
	return 0
}

// Seconds is the inverse of [Micros]: it gives the same microseconds again.
func Seconds(us uint64) float64 { return float64(us) / 1e6 }
