package instance

import (
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// perRun is how many requests or rows a run of the tests here has.
const perRun = 64

// wantNone: a run allocates nothing for each of what it has. For all of them it may, an
// event or a group that grows: that is less than one for two.
func wantNone(t *testing.T, run func()) {
	t.Helper()
	for range 100 { // what grows has grown
		run()
	}
	if n := testing.AllocsPerRun(100, run); n >= perRun/2 {
		t.Errorf("%v allocations for %d", n, perRun)
	}
}

// replaces are requests for keys that are there, and tuples of one size.
func replaces(space uint32) []Request {
	all := make([]Request, perRun)
	for i := range all {
		tuple := msgp.AppendBytes(msgp.AppendUint64([]byte{0x92}, uint64(i)), make([]byte, 64))
		all[i] = Request{Conn: 1, Sync: uint64(i), User: box.UserAdmin, DML: xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: tuple}}
	}
	return all
}

// A replace allocates nothing on its way through a leader: from the request until
// its client is answered, synchronous and not.
func TestReplaceAllocatesNothing(t *testing.T) {
	for name, space := range map[string]uint32{"sync": 512, "async": 513, "local": 514} {
		t.Run(name, func(t *testing.T) {
			c := leaderCrowd(t, 0)
			replies := 0
			events := []Event{Write{Requests: replaces(space)}}
			var on [1]Event
			var ack Ack
			run := func() {
				e := c.core.Step(c.now, events)
				for e.Group != nil {
					replies += len(e.Replies)
					on[0] = Written{Group: e.GroupNo}
					e = c.core.Step(c.now, on[:])
				}
				replies += len(e.Replies)
				ack = Ack{From: 2, Term: 2, Sync: c.core.beats.sync}
				ack.VClock[1] = c.core.out.onDisk[1]
				on[0] = &ack
				e = c.core.Step(c.now, on[:])
				for e.Group != nil {
					replies += len(e.Replies)
					on[0] = Written{Group: e.GroupNo}
					e = c.core.Step(c.now, on[:])
				}
				replies += len(e.Replies)
			}
			wantNone(t, run)
			if want := perRun * 201; replies != want {
				t.Errorf("%d replies, want %d", replies, want)
			}
		})
	}
}

// A row allocates nothing on its way through a follower: from the applier until it is
// confirmed.
func TestRowAllocatesNothing(t *testing.T) {
	for name, space := range map[string]uint32{"sync": 512, "async": 513} {
		t.Run(name, func(t *testing.T) {
			c := followerCrowd(t, 0)
			var rows, confirms []xrow.Row
			flags := xrow.FlagCommit | xrow.FlagWaitSync
			if space == 512 {
				flags |= xrow.FlagWaitAck
			}
			for _, r := range replaces(space) {
				rows = append(rows, xrow.Row{Type: xrow.Replace, ReplicaID: 2, Term: 2, Timestamp: 1, Flags: flags, Body: r.DML.AppendBody(nil)})
			}
			confirm := xrow.Synchro{ReplicaID: 2}
			confirms = append(confirms, xrow.Row{Type: xrow.Confirm, ReplicaID: 2, Term: 2, Timestamp: 1, Flags: xrow.FlagCommit})
			var on [1]Event
			step := func(ev Event) {
				on[0] = ev
				for e := c.core.Step(c.now, on[:]); e.Group != nil; e = c.core.Step(c.now, on[:]) {
					on[0] = Written{Group: e.GroupNo}
				}
			}
			wantNone(t, func() {
				for i := range rows {
					c.lsn++
					rows[i].LSN, rows[i].TSN = c.lsn, c.lsn
				}
				step(Rows{From: 2, Rows: rows})
				confirm.LSN = c.lsn
				c.lsn++
				confirms[0].LSN, confirms[0].TSN, confirms[0].Body = c.lsn, c.lsn, confirm.AppendBody(confirms[0].Body[:0])
				step(Rows{From: 2, Rows: confirms})
			})
			if c.core.limbo.Len() > 0 || c.core.out.onDisk[2] != c.lsn {
				t.Errorf("%d are undecided, on disk up to %d of %d", c.core.limbo.Len(), c.core.out.onDisk[2], c.lsn)
			}
		})
	}
}

// What a lookup finds goes into the room of whoever asks, and a slice of a SELECT into
// the buffer that is there.
func TestReadAllocatesNothing(t *testing.T) {
	c := leaderCrowd(t, 0)
	c.steps(Write{Requests: replaces(514)})
	l := &Loop{core: c.core}
	l.latch.init()
	room := make([]byte, box.SliceBytes)
	all := make([]box.Lookup, perRun)
	keys := make([][]byte, perRun)
	for i := range all {
		keys[i] = msgp.AppendUint64([]byte{0x91}, uint64(i))
	}
	t.Run("together", func(t *testing.T) {
		wantNone(t, func() {
			for i := range all {
				all[i] = box.Lookup{User: box.UserAdmin, Space: 514, Limit: 1, Key: keys[i]}
			}
			l.Lookups(all, room)
			for i := range all {
				if !all[i].Done || all[i].N != 1 {
					t.Fatal(i, all[i].Done, all[i].N)
				}
			}
		})
	})
	t.Run("alone", func(t *testing.T) {
		to := &countSink{}
		wantNone(t, func() {
			for i := range all {
				q := box.Query{Space: 514, Limit: 1, Key: keys[i]}
				if n, err := l.Select(box.UserAdmin, &q, to); err != nil || n != 1 {
					t.Fatal(n, err)
				}
			}
		})
	})
}

type countSink struct{ bytes int }

func (s *countSink) Take(b []byte) error {
	s.bytes += len(b)
	return nil
}
