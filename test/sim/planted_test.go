package sim

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
)

// TestPlantedFaults takes one rule away after the other and shows that a
// checker sees it within a few seeds, and that the same seed is fine with the
// rule. The faults named are those that make the damage likely.
func TestPlantedFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		options  Options
		checkers []string // any of these must see it
	}{
		{"ack-no-term", Options{Hosts: 3, Faults: []string{"promote", "pair", "reset", "delay", "oneway"}}, []string{"quorum", "history"}},
		{"ack-before-sync", Options{}, []string{"promise"}},
		{"ack-before-sync", Options{BlindToPromises: true}, []string{"quorum"}},
		{"relay-before-sync", Options{}, []string{"promise"}},
		{"relay-before-sync", Options{BlindToPromises: true}, []string{"same row", "stream", "fatal"}},
		{"no-exchange", Options{}, []string{"liveness", "stream", "convergence"}},
		{"wiped-votes", Options{Hosts: 3, Faults: []string{"wipe", "pause", "oneway"}}, []string{"same row", "stream", "history", "fatal"}},
		{"lost-apart", Options{LostApart: true, Faults: []string{"crash", "pause", "pair", "isolate"}}, []string{"voided rows"}},
		{"deadlines-after-requests", Options{Faults: []string{"pause", "clock", "checkpoint"}}, []string{"fencing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var ok bool
			if c.options.Break, ok = BreakNamed(c.name); !ok && !c.options.LostApart {
				t.Fatal("no such planted fault")
			}
			seed, checker := hunt(c.options, 60)
			if seed == 0 {
				t.Fatal("no checker sees it in 60 seeds")
			}
			t.Logf("seed %d, checker %q", seed, checker)
			if !slices.Contains(c.checkers, checker) {
				t.Errorf("checker %q saw it first, expected one of %q", checker, c.checkers)
			}
			c.options.Break, c.options.LostApart = Break{}, false
			if r := Run(seed, c.options, nil); r.Err != nil {
				t.Errorf("the same seed fails without the planted fault: %v", r.Err)
			}
		})
	}
}

// hunt finds the first seed that fails, and who saw it.
func hunt(o Options, seeds uint64) (seed uint64, checker string) {
	for seed = 1; seed <= seeds; seed++ {
		var v *Violation
		if errors.As(Run(seed, o, nil).Err, &v) {
			return seed, v.Checker
		}
	}
	return 0, ""
}

// TestVoteBehindRowsInFlight tells the one story in which a voter that looks
// only at what it has synced loses a committed row:
//
//  1. A leads, B and C follow. A and C lose each other.
//  2. B's disk is slow. A row of A's is on its way to it.
//  3. C is promoted by hand and asks B for its vote in the next term.
//  4. The row reaches B's disk; B acks it under the old term; A commits, and
//     its process is stopped.
//  5. B's vote reaches the disk. The connection that would have brought the row
//     to C breaks, and the vote comes first on the new one.
//  6. C leads without the row.
func TestVoteBehindRowsInFlight(t *testing.T) {
	tell := func(b Break) error {
		w := newTale(t, b)
		wait := w.wait
		a, b1, c := w.nodes[0], w.nodes[1], w.nodes[2]
		write := func() { w.write(a, opInsert) }

		write()
		wait(time.Second)
		w.net.sever(a.slot, c.slot)
		w.net.sever(c.slot, a.slot)
		wait(2 * w.plan.config.DeathTimeout)

		b1.disk.slow = 100 * time.Millisecond
		write()
		wait(10 * time.Millisecond)
		o := w.load.begin(c, opByHand, 0)
		c.post(instance.PromoteRequest{Conn: 1, Sync: uint64(o.id)})
		wait(40 * time.Millisecond)
		w.net.sever(b1.slot, c.slot)
		wait(100 * time.Millisecond)
		a.pause()
		wait(100 * time.Millisecond)
		w.net.cut[b1.slot][c.slot] = false
		for _, conn := range slices.Clone(w.net.conns) {
			if conn.ends[dialler].host != a && conn.ends[acceptor].host != a {
				conn.reset()
			}
		}
		wait(time.Second)
		w.healEverything()
		return w.failure
	}
	if err := tell(Break{}); err != nil {
		t.Errorf("with the rule: %v", err)
	}
	var v *Violation
	if err := tell(Break{VoteIgnoresInFlight: true}); !errors.As(err, &v) || v.Checker != "history" {
		t.Errorf("without the rule: %v", err)
	}
}

// TestDiskGoesBack tells the story in which a restored disk loses a committed row
// unless its peers remember what it has shown:
//
//  1. A leads. C does not hear it for a moment; B does not send C what it expects
//     C to get from A.
//  2. A and B commit a row. C hears B's ack, and not the row.
//  3. A's host is gone. B's disk is restored from an image without the row.
//  4. B votes for C, which leads without the row.
func TestDiskGoesBack(t *testing.T) {
	tell := func(b Break) error {
		w := newTale(t, b)
		w.plan.broken = b
		a, b1, c := w.nodes[0], w.nodes[1], w.nodes[2]
		w.write(a, opInsert)
		w.wait(time.Second)
		old := w.imageOf(b1)
		w.net.sever(a.slot, c.slot)
		row := w.write(a, opInsert)
		w.wait(20 * time.Millisecond)
		if shown := c.core.ShownBy(b1.id); row.outcome != acknowledged || c.disk.vclock.Covers(&shown.Ack) {
			t.Fatalf("the story did not happen: outcome %d, C has %v, B acked %v", row.outcome, &c.disk.vclock, &shown.Ack)
		}
		a.crash(true)
		b1.crash(false)
		b1.goBack(old)
		b1.start()
		w.wait(10 * time.Second)
		if w.failure == nil {
			w.healEverything()
		}
		return w.failure
	}
	if err := tell(Break{}); err != nil {
		t.Errorf("with the rule: %v", err)
	}
	var v *Violation
	if err := tell(Break{BackUnnoticed: true}); !errors.As(err, &v) || v.Checker != "history" {
		t.Errorf("without the rule: %v", err)
	}
}
