package instance

import (
	"math/rand/v2"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
)

// What box.cfg sets while the instance runs is what the same value means at a
// start: for the core and for what it hands to the election.
func TestTimingsAtRunTime(t *testing.T) {
	begin := func(timeout time.Duration) *Core {
		c, err := New(Config{UUID: "a", DeathTimeout: timeout, Rand: rand.New(rand.NewPCG(1, 1))}, box.New(box.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	timings := func(c *Core) [4]time.Duration {
		r := c.raftConfig()
		return [4]time.Duration{c.cfg.Heartbeat, r.DeathTimeout, r.TarantoolDeathTimeout, r.FencingInterval}
	}
	c := begin(time.Second)
	for _, timeout := range []time.Duration{10 * time.Second, 500 * time.Millisecond} {
		c.Step(Now{Mono: c.now.Mono + time.Millisecond}, []Event{Configure{Apply: func(cfg *Config) { cfg.SetTimings(TimingsOf(timeout)) }}})
		if got, want := timings(c), timings(begin(timeout)); got != want {
			t.Errorf("%v at run time is %v, at a start %v", timeout, got, want)
		}
		if c.beats.at > c.now.Mono+c.cfg.Heartbeat {
			t.Errorf("%v: the next heartbeat waits %v", timeout, c.beats.at-c.now.Mono)
		}
	}
}
