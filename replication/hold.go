package replication

import "time"

// holdBack spares a follower what the leader sends it anyway. Rows are held
// back from a peer that hears the leader we hear, and are sent only when they
// turn out to be late there: at each tick the peer is asked by a heartbeat; what
// was synced here before the tick before, and is not in its answer, it gets.
// So a peer that the leader does not reach has each row after one or two ticks,
// and two healthy followers send each other nothing.
type holdBack struct {
	at   time.Duration // of the newest tick
	last uint64        // newest synced group at that tick
	prev uint64        // at the one before
	due  uint64        // groups up to here are sent, if the peer lacks them
	wait bool          // for the ack that answers the tick
}

// tick takes down how far the log goes. Heartbeats for linearizable reads may
// be frequent: they are no ticks.
func (b *holdBack) tick(now, interval time.Duration, synced uint64) {
	if b.at != 0 && now-b.at < interval*3/4 {
		return
	}
	b.at = now
	b.prev, b.last = b.last, synced
	b.wait = true
}

// acked tells whether an ack lets something go.
func (b *holdBack) acked() bool {
	if !b.wait {
		return false
	}
	b.wait = false
	b.due = b.prev
	return true
}
