package instance

import "time"

// Timings are what follows from replication_timeout. There is no other place
// that derives one from another, so what box.cfg changes while the instance runs
// is what the same configuration means at the next start.
type Timings struct {
	Death     time.Duration // silence after which a peer of ours counts as gone
	Heartbeat time.Duration // ours beat four times as often: one lost word is no death
	Tarantool time.Duration // a Tarantool speaks once in a timeout, and is dead after four
}

// TimingsOf derives them; 0 is Tarantool's default.
func TimingsOf(timeout time.Duration) Timings {
	if timeout == 0 {
		timeout = time.Second
	}
	return Timings{Death: timeout, Heartbeat: timeout / 4, Tarantool: 4 * timeout}
}

// SetTimings takes all of them over.
func (c *Config) SetTimings(t Timings) {
	c.DeathTimeout, c.Heartbeat, c.TarantoolDeathTimeout = t.Death, t.Heartbeat, t.Tarantool
}
