package instance

import (
	"errors"
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"
)

// forwardCrowd forwards all writes to instance 2, the leader of term 2, if it hears it.
func forwardCrowd(t testing.TB, heard bool) *crowd {
	c := followerCrowd(t, 0)
	c.core.cfg.ForwardWrites = true
	if heard {
		c.line("raft 2 term=2 vote=2 leader")
	}
	return c
}

// ask lets a client of a connection ask for a write.
func (c *crowd) ask(conn uint64) {
	c.sync++
	d := xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: c.tuple()}
	c.steps(Write{Requests: []Request{{Conn: conn, Sync: c.sync, User: box.UserAdmin, DML: d}}})
}

// done is the leader's answer to the newest one, which stands on an LSN.
func (c *crowd) done(lsn uint64) {
	c.steps(ForwardAnswer{No: c.core.forwards.last, Data: noValues, Origin: 2, LSN: lsn})
}

// forwardStates are what many open forwards may wait for.
var forwardStates = []struct {
	name  string
	heard bool
	one   func(c *crowd, i int)
}{
	{"a leader, one connection", false, func(c *crowd, _ int) { c.ask(1) }},
	{"a leader, a connection each", false, func(c *crowd, i int) { c.ask(uint64(10 + i)) }},
	{"an answer, one connection", true, func(c *crowd, _ int) { c.ask(1) }},
	{"an answer, a connection each", true, func(c *crowd, i int) { c.ask(uint64(10 + i)) }},
	{"rows", true, func(c *crowd, i int) { c.ask(1); c.done(uint64(1000 + i)) }},
}

// A Step looks at the forwards that are new or for which something has happened, not at
// all that are open.
func TestStepsLookAtNewForwards(t *testing.T) {
	for _, state := range forwardStates {
		t.Run(state.name, func(t *testing.T) {
			var looks [2]uint64
			for i, n := range []int{100, 10_000} {
				c := forwardCrowd(t, state.heard)
				for k := range n {
					state.one(c, k)
				}
				before := c.core.forwards.looked
				c.follow()
				c.ask(2)
				c.done(1)
				looks[i] = c.core.forwards.looked - before
				if open := c.core.forwards.open; open < n {
					t.Fatalf("%d are open, not %d", open, n)
				}
			}
			if looks[1] > looks[0] {
				t.Errorf("%d looks at 10000 open forwards, %d at 100", looks[1], looks[0])
			}
		})
	}
}

// A request waits for a leader in a user's name. When that user is dropped it goes in nobody's
// name, though another one may have the name by then.
func TestForwardOfDroppedUser(t *testing.T) {
	c := forwardCrowd(t, false)
	schema := func(typ xrow.Type, d xrow.DML) {
		d.Type, d.SpaceID = typ, xrow.SpaceUser
		c.core.seq++
		tx := c.core.box.Begin(c.core.seq)
		if err := tx.Apply(&d); err != nil {
			t.Fatal(err)
		}
		tx.Prepare()
		c.core.box.Confirm(c.core.seq)
	}
	bob := xrow.DML{Key: []byte{0x91, 40}, Tuple: mp.Encode([]any{40, 1, "bob", "user", map[string]any{}, []any{}, 0})}
	schema(xrow.Insert, bob)
	user, _ := c.core.box.Schema().Credentials(40)
	d := xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: c.tuple()}
	ask := []Event{Write{Requests: []Request{{Conn: 1, Sync: 1, User: user, DML: d}}}}
	if e := c.core.Step(c.now, ask); len(e.Replies) > 0 {
		t.Fatal(e.Replies[0].Err)
	}
	schema(xrow.Delete, bob)
	schema(xrow.Insert, bob)
	lead := RaftMsg{From: 2, Msg: xrow.Raft{Term: 2, Vote: 2, State: uint8(raft.StateLeader)}}
	e := c.core.Step(c.now, []Event{lead})
	if len(e.Forwards) > 0 || len(e.Replies) != 1 || !errors.Is(e.Replies[0].Err, xrow.ErrNoSuchUser) {
		t.Errorf("forwards %+v, replies %+v", e.Forwards, e.Replies)
	}
}

// What fills a frame is not forwarded: with the name of its user it would not fit into one, and
// end the connection of all.
func TestForwardTooLarge(t *testing.T) {
	c := forwardCrowd(t, true)
	for _, over := range []int{0, 1} {
		d := xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: make([]byte, maxForward-128+over)}
		e := c.core.Step(c.now, []Event{Write{Requests: []Request{{Conn: 1, Sync: 1, User: box.UserAdmin, DML: d}}}})
		sent := len(e.Forwards) == 1
		if sent != (over == 0) || !sent && (!errors.Is(e.Replies[0].Err, xrow.ErrReadonly) || !strings.Contains(e.Replies[0].Err.Message, "it is too large")) {
			t.Errorf("%d bytes too many: %d forwards, %+v", over, len(e.Forwards), e.Replies)
		}
		if sent {
			f := &e.Forwards[0]
			row := xrow.Row{Type: xrow.Call, Sync: f.No, Body: xrow.AppendForward(nil, f.Term, strings.Repeat("u", 65000), d.Type, f.DML.AppendBody)}
			if size := len(row.Append(nil)); size > xrow.MaxFrame {
				t.Errorf("a frame of %d bytes", size)
			}
		}
	}
}

// Steps beside 10 000 open forwards: each iteration adds one that is answered at once.
func BenchmarkForwards(b *testing.B) {
	for _, state := range forwardStates[2:] {
		for _, n := range []int{10, 10_000} {
			b.Run(state.name+map[int]string{10: "/few", 10_000: "/many"}[n], func(b *testing.B) {
				c := forwardCrowd(b, true)
				for k := range n {
					state.one(c, k)
				}
				b.ResetTimer()
				for range b.N {
					c.ask(2)
					c.done(1)
				}
			})
		}
	}
}
