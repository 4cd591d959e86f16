package instance

import "time"

// beats are our heartbeats. Each has a number, which acks repeat: whoever acks one
// from a number on has heard of us after it was asked for.
type beats struct {
	at    time.Duration // when the next one goes
	sync  uint64        // number of those that go now
	fresh bool          // it was raised in this Step
}

// round asks for a heartbeat of this Step and gives its number: all that is
// asked for in one Step shares it.
func (b *beats) round(eff *Effects) uint64 {
	if !b.fresh {
		b.sync++
		b.fresh, eff.Beat = true, true
	}
	return b.sync
}
