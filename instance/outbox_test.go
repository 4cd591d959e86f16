package instance

import (
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"
)

// check holds the invariant of an outbox.
func (o *outbox) check(t *testing.T) {
	t.Helper()
	at := o.onDisk
	for _, g := range []*xrow.Group{o.flight.group, o.open} {
		if g == nil {
			continue
		}
		if g.Before != at {
			t.Errorf("a group begins behind %s, the one in front of it ends with %s", &g.Before, &at)
		}
		at = g.After
	}
	if at != o.vclock {
		t.Errorf("the groups end with %s, the vclock is %s", &at, &o.vclock)
	}
	if o.busy() && o.flight.no != o.nextNo-1 || !o.busy() && o.written != o.nextNo-1 {
		t.Errorf("group %d is written, %+v under way, %d is next", o.written, o.flight, o.nextNo)
	}
	if o.open == nil && (o.lost != nil || o.record != nil) {
		t.Error("something goes with no group")
	}
}

func TestOutbox(t *testing.T) {
	o := outbox{nextNo: 1}
	o.check(t)
	if g, _ := o.depart(0, 1); g != nil {
		t.Error("nothing departs")
	}
	by := author{id: 1, term: 2, wall: 3}
	insert := func(local bool) box.LogRow {
		return box.LogRow{DML: xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: []byte{0x91, 1}}, Local: local}
	}

	o.addRecord(3, raft.Record{Term: 2, Vote: 1})
	first := o.addTxn(by, []box.LogRow{insert(true), insert(false)}, xrow.FlagCommit)
	o.check(t)
	o.depart(5, 1)
	f := o.flight
	if f.no != 1 || f.record == nil || f.record.Term != 2 || f.stamp != 0 || f.since != 5 {
		t.Errorf("departed %+v", f)
	}
	o.check(t)

	// What comes meanwhile gathers, and a voided transaction has a group to go with.
	o.addLost(3, xrow.LostRow{LSN: 7})
	o.addForeign(1, &arrival{rows: []xrow.Row{
		{Type: xrow.Nop, ReplicaID: 2, LSN: 4, TSN: 4, Timestamp: 8, Flags: xrow.FlagCommit, Sync: 9},
		{Type: xrow.Nop, ReplicaID: 1, LSN: 2, TSN: 2, Timestamp: 9, Flags: xrow.FlagCommit},
	}})
	o.check(t)
	if r, _ := o.open.Row(1); r.Sync != 0 || r.LSN != 4 {
		t.Errorf("a row of another instance is %+v", r)
	}
	if o.arrived(1) != f || o.written != 1 {
		t.Error("the group that arrived is another one")
	}
	o.check(t)
	if _, lost := o.depart(6, 1); len(lost) != 1 || o.gap != 1 || o.flight.stamp != 8 || o.flight.record != nil {
		t.Errorf("departed %+v with %v", o.flight, lost)
	}
	o.arrived(2)
	o.check(t)

	// Local rows go first, and name the first replicated row as their transaction's.
	var rows []xrow.Row
	for _, frame := range splitFrames(first) {
		r, err := xrow.Decode(frame[xrow.FrameHead:])
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if len(rows) != 2 || rows[0].ReplicaID != 0 || rows[0].LSN != 2 || rows[0].TSN != 1 || rows[0].Term != 0 || rows[1].LSN != 1 ||
		rows[1].TSN != 1 || rows[1].Term != 2 || rows[1].Flags&xrow.FlagCommit == 0 {
		t.Errorf("rows %+v", rows)
	}
}

func TestOutboxKnowsItsFlight(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an answer for a group that the journal does not have was taken")
		}
	}()
	o := outbox{nextNo: 1}
	o.addLocal(0, xrow.Nop, nil)
	o.depart(0, 1)
	o.arrived(2)
}
