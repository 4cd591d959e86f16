package server

import (
	"context"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// Whoever watches internal.ballot, without a login and before the first boot,
// is told at once, and then of changes only.
func TestBallotEvent(t *testing.T) {
	s := newSet(t, 2, "")
	n := s.nodes[0]
	n.start()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var c *iproto.Client
	s.until("it listens", func() bool {
		var err error
		c, err = iproto.Dial(ctx, n.addr)
		return err == nil
	})
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	var ballot xrow.Ballot
	var last string
	next := func() {
		t.Helper()
		if err := c.Watch(iproto.EventBallot); err != nil {
			t.Fatal(err)
		}
		key, data, err := c.ReadEvent()
		if err != nil || key != iproto.EventBallot {
			t.Fatalf("%s: %v", key, err)
		}
		if string(data) == last {
			t.Error("told again what was told before")
		}
		last = string(data)
		if _, err := ballot.Update(data); err != nil {
			t.Fatal(err)
		}
	}
	next()
	if ballot.IsBooted {
		t.Error("booted before the first boot")
	}
	id := []byte{0x82, byte(xrow.KeyVersion), 10, byte(xrow.KeyFeatures), 0x91, 3}
	for typ, body := range map[xrow.Type][]byte{xrow.Ping: nil, xrow.Vote: nil, xrow.ID: id} {
		if _, err := c.Do(typ, body); err != nil {
			t.Errorf("%v before the first boot: %v", typ, err)
		}
	}
	if _, err := c.Do(xrow.Select, []byte{0x81, 0x10, 0x01}); err == nil {
		t.Error("SELECT is served before the first boot")
	}
	s.nodes[1].start()
	for !ballot.IsBooted || len(ballot.Registered) < 2 || ballot.VClock.Signature() == 0 {
		if next(); !ballot.IsBooted && !ballot.IsRO {
			t.Error("an instance that is not booted says that it can be written to")
		}
	}
	if ballot.InstanceName != n.name {
		t.Errorf("ballot %+v", ballot)
	}
	if row, err := c.Do(xrow.Vote, nil); err != nil {
		t.Errorf("VOTE: %v", err)
	} else if b, err := xrow.DecodeBallot(row.Body); err != nil || !b.IsBooted {
		t.Errorf("VOTE says %+v, %v", b, err)
	}
}
