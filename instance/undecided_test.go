package instance

import (
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/datadriven"
	"github.com/tinylib/msgp/msgp"
)

// crowd is a core with transactions that nobody has decided.
type crowd struct {
	*script
	lsn  uint64 // of the newest of them
	sync uint64
	key  uint64
}

// leaderCrowd is a leader in term 2 whose followers have acked nothing behind
// its PROMOTE's CONFIRM.
func leaderCrowd(t testing.TB, n int) *crowd {
	c := newCrowd(t)
	for _, line := range []string{"up 2", "up 3", "tick", "written", "raft 2 term=2 vote=1", "written", "ack 2 1:1 term=2", "written"} {
		c.line(line)
	}
	c.lsn = c.core.out.vclock[1]
	for range n {
		c.write()
	}
	c.check(n)
	return c
}

// followerCrowd follows instance 2 in term 2.
func followerCrowd(t testing.TB, n int) *crowd {
	c := newCrowd(t)
	for _, line := range []string{"up 2", "from 2 2:1/2 promote 0/0/0", "written", "from 2 2:2/2 confirm 1", "written"} {
		c.line(line)
	}
	c.lsn = 2
	for range n {
		c.follow()
	}
	c.check(n)
	return c
}

func newCrowd(t testing.TB) *crowd {
	c := &crowd{script: newScript(t, &datadriven.TestData{})}
	c.core.cfg.QueueMaxSize = 1 << 40
	c.core.cfg.WaitLimit = time.Millisecond // and no time passes
	c.core.cfg.Trace = func(Fact) {}
	return c
}

func (c *crowd) check(n int) {
	if got := c.core.limbo.Len(); got != n {
		c.t.Fatalf("%d transactions are undecided, not %d", got, n)
	}
}

// steps runs a Step and the one in which its group is on disk.
func (c *crowd) steps(ev Event) {
	e := c.core.Step(c.now, []Event{ev})
	c.core.Deadline()
	if len(e.Refused) > 0 {
		c.t.Fatal(e.Refused[0].Err)
	}
	for e.Group != nil {
		c.synced++
		e = c.core.Step(c.now, []Event{Written{Group: e.GroupNo}})
		c.core.Deadline()
	}
	c.out.Reset()
}

// tuple has one of few keys.
func (c *crowd) tuple() []byte {
	c.key++
	return msgp.AppendUint64([]byte{0x91}, c.key%1000)
}

func (c *crowd) write() {
	c.sync++
	d := xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: c.tuple()}
	c.steps(Write{Requests: []Request{{Conn: 1, Sync: c.sync, User: box.UserAdmin, DML: d}}})
	c.lsn = c.core.out.vclock[1]
}

// ack lets the leader commit the oldest of its rows.
func (c *crowd) ack() {
	a := &Ack{From: 2, Term: 2, Sync: c.core.beats.sync}
	a.VClock[1] = c.core.limbo.At(0).LSN
	c.steps(a)
	c.lsn = c.core.out.vclock[1]
}

func (c *crowd) row(r xrow.Row) {
	c.lsn++
	r.ReplicaID, r.LSN, r.TSN, r.Term, r.Timestamp, r.Flags = 2, c.lsn, c.lsn, 2, 1, r.Flags|xrow.FlagCommit
	c.steps(Rows{From: 2, Rows: []xrow.Row{r}})
}

func (c *crowd) follow() {
	d := xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: c.tuple()}
	c.row(xrow.Row{Type: xrow.Replace, Flags: xrow.FlagWaitSync | xrow.FlagWaitAck, Body: d.AppendBody(nil)})
}

// confirm tells the follower that the oldest of its rows is committed.
func (c *crowd) confirm() {
	s := xrow.Synchro{ReplicaID: 2, LSN: c.core.limbo.At(0).LSN}
	c.row(xrow.Row{Type: xrow.Confirm, Body: s.AppendBody(nil)})
}

// looked is how often something undecided was looked at.
func (c *crowd) looked() uint64 { return c.core.limbo.Looked() + c.core.box.Looked() }

// A Step looks at what it decides, not at all that is undecided. What is found
// by halving may look at some more of many than of few.
func TestStepsLookAtWhatTheyDecide(t *testing.T) {
	const few, many, halvings = 100, 10_000, 100
	expired := func(c *crowd) { // the clients of all but the newest one were told that nobody knows
		c.now.Mono += c.core.cfg.WaitLimit
		c.write()
	}
	tests := []struct {
		name  string
		crowd func(testing.TB, int) *crowd
		given func(*crowd)
		do    func(*crowd)
	}{
		{"a write", leaderCrowd, nil, (*crowd).write},
		{"an ack", leaderCrowd, nil, (*crowd).ack},
		{"a write behind clients that went", leaderCrowd, expired, (*crowd).write},
		{"an ack behind clients that went", leaderCrowd, expired, (*crowd).ack},
		{"a row", followerCrowd, nil, (*crowd).follow},
		{"a CONFIRM", followerCrowd, nil, (*crowd).confirm},
		{"a linearizable read", leaderCrowd, nil, func(c *crowd) {
			c.steps(LinearRead{Conn: 1, Sync: 1})
			c.steps(&Ack{From: 2, Term: 2, Sync: c.core.beats.sync})
			c.steps(&Ack{From: 3, Term: 2, Sync: c.core.beats.sync})
		}},
		{"what retention asks", followerCrowd, nil, func(c *crowd) { c.core.Decided() }},
		{"a state for a joiner", followerCrowd, nil, func(c *crowd) {
			c.steps(JoinRequest{Tag: 1, UUID: uuidOf(9), Kind: JoinAnon})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var looks [2]uint64
			for i, n := range []int{few, many} {
				c := test.crowd(t, n)
				if test.given != nil {
					test.given(c)
				}
				before := c.looked()
				test.do(c)
				looks[i] = c.looked() - before
			}
			t.Logf("looks: %d", looks)
			if looks[1] > looks[0]+halvings {
				t.Errorf("%d looks at %d undecided transactions, %d at %d", looks[1], many, looks[0], few)
			}
		})
	}
}

// Steps beside 120 000 undecided transactions: each iteration adds one and
// decides one.
func BenchmarkUndecided(b *testing.B) {
	const crowded = 120_000
	for _, n := range []int{10, crowded} {
		name := map[int]string{10: "few", crowded: "many"}[n]
		b.Run("leader/"+name, func(b *testing.B) {
			c := leaderCrowd(b, n)
			b.ResetTimer()
			for range b.N {
				c.write()
				c.ack()
			}
			c.check(n)
		})
		b.Run("follower/"+name, func(b *testing.B) {
			c := followerCrowd(b, n)
			b.ResetTimer()
			for range b.N {
				c.follow()
				c.confirm()
			}
			c.check(n)
		})
	}
}
