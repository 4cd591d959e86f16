package replay

import (
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// TestReplicaOf38 joins a recorded master of 3.8 and follows it through rows of
// all kinds, a restart, a conflict and a change of the queue's owner.
func TestReplicaOf38(t *testing.T) {
	s := newScript(t, "replica-join-3.8", `replication: {timeout: 30, reconnect_timeout: 0.01, peers: ['replicator:r@MASTER']}
database: {mode: rw, instance_uuid: 383fedb5-8852-404c-9520-0a4ddc48a6e0}
`)
	s.openDoor()
	s.hooks["replica is ended"] = func() {
		s.check38()
		s.n.halt()
		s.n.start()
	}
	// Between the row that follows the DEMOTE and the next heartbeat the recorded
	// replica wrote a row of its own.
	s.before[653] = func() {
		s.awaitAcks()
		c := s.n.connect()
		if _, err := c.Do(xrow.Insert, []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x92, 95, 0xa4, 'm', 'i', 'n', 'e'}); err != nil {
			t.Fatal(err)
		}
		s.sent.Follow(2, 1)
	}
	s.refuses[657] = true
	s.hooks["replica: replication_skip_conflict=true"] = func() {
		s.n.waitLog("upstream failed", "stopped", "Duplicate key exists in unique index")
		s.n.halt()
		s.n.yaml = strings.Replace(s.n.yaml, "replication: {", "replication: {skip_conflict: true, ", 1)
		s.n.start()
	}
	// What the recorded replica took for a split brain is none: ours follows.
	s.n.start()
	s.play()
	if ack := s.ackOf(119); ack.Term != 4 {
		t.Errorf("after the last PROMOTE: %+v", ack)
	}
	if got := s.n.rows(512); !slices.ContainsFunc(got, func(row string) bool { return strings.HasPrefix(row, `[95, "mine"`) }) {
		t.Errorf("the conflicting row is gone: %v", got)
	}
}

// check38 compares what our node holds before the restart with what the
// recorded statements come to.
func (s *script) check38() {
	s.t.Helper()
	s.awaitAcks()
	for space, want := range map[uint32][]string{
		513: {`[10, "s"`, `[11, "s"`, `[12, "s"`, `[13, "s"`, `[20, "s"`, `[21, "s"`},
		512: {`[11, "eleven"`, `[20, "c"`, `[21, "b"`, `[30, "g"`, `[31, "g1"`, `[32, "g2"`, `[33, "g1"`, `[34, "g2"`, `[40, "a"`, `[41, "a"`,
			`[42, "a"`, `[43, "a"`, `[50, "behind"`, `[51`, `[52`},
	} {
		got := s.n.rows(space)
		for _, w := range want {
			if !slices.ContainsFunc(got, func(row string) bool { return strings.HasPrefix(row, w) }) {
				s.t.Errorf("space %d lacks %s]: %q", space, w, got)
			}
		}
		for _, gone := range []string{`[30, "s"`, `[31, "s"`, `[60, "behind"`} { // rolled back
			if slices.ContainsFunc(got, func(row string) bool { return strings.HasPrefix(row, gone) }) {
				s.t.Errorf("space %d has %s], which was rolled back", space, gone)
			}
		}
	}
}

// ackOf waits for the ack of a row of the master.
func (s *script) ackOf(lsn uint64) (a xrow.Ack) {
	s.t.Helper()
	for a.VClock[1] < lsn {
		r := s.live.next()
		if err := a.Decode(r.Body); err != nil {
			s.t.Fatal(err)
		}
	}
	return a
}

// TestReplicaOf26 joins a recorded master of 2.6. Its first synchronous row
// stops ours as it stops 3.8: 2.6 writes no PROMOTE, so nobody owns the queue.
func TestReplicaOf26(t *testing.T) {
	s := newScript(t, "join-2.6", `replication: {timeout: 30, reconnect_timeout: 0.01, peers: ['MASTER']}
database: {mode: ro, instance_uuid: 148ac4bb-46d0-4e8a-a8fa-f74755db11dd}
`)
	s.stop = "sync row"
	s.n.start()
	s.play()
	for _, r := range s.talk.logRows(t) {
		if r.LSN == 25 {
			s.write(r.frame)
		}
	}
	s.live.ended()
	s.n.waitLog("upstream failed", "stopped", "The synchronous transaction queue doesn't belong to any instance")
	if got := s.n.rows(513); len(got) != 1 {
		t.Errorf("the row is there: %v", got)
	}
}
