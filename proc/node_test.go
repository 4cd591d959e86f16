package proc

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

const (
	testUUID       = "11111111-0000-4000-8000-000000000001"
	testReplicaset = "aaaaaaaa-0000-4000-8000-000000000000"
)

// testNode is a core that takes its events one by one and whose disk answers at
// once. Nothing waits: the answer of a call is there when Submit returns.
type testNode struct {
	t    testing.TB
	core *instance.Core
	now  instance.Now

	rows    []xrow.DML // of the groups since they were asked for last
	replies map[uint64]instance.Reply
	onStep  func()
}

func newTestNode(t testing.TB, mode instance.Mode) *testNode {
	t.Helper()
	n := &testNode{t: t, replies: map[uint64]instance.Reply{}, now: instance.Now{Mono: time.Second, Wall: 1700000000.5}}
	core, err := instance.New(instance.Config{UUID: testUUID, Name: "i1", Mode: mode, Rand: rand.New(rand.NewPCG(1, 2)),
		Procedures: []xrow.Procedure{{Name: "f", Version: 2}}, Trace: func(instance.Fact) {}}, box.New(box.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	n.core = core
	core.Start(n.now)
	n.submit(instance.BootstrapRows{Rows: box.BootstrapRows(box.Profile3_8_0, testReplicaset, testUUID, "i1", "r1"), ID: 1})
	n.settle()
	n.takeRows()
	return n
}

// settle lets time pass until nothing is due soon.
func (n *testNode) settle() {
	for range 20 {
		n.now.Mono += 50 * time.Millisecond
		n.step()
	}
}

func (n *testNode) submit(ev instance.Event) { n.step(ev) }

func (n *testNode) step(events ...instance.Event) {
	for {
		e := n.core.Step(n.now, events)
		for _, r := range e.Replies {
			r.Data = append([]byte(nil), r.Data...)
			n.replies[r.Sync] = r
		}
		if e.Group == nil {
			break
		}
		for i := range e.Group.Table {
			row, err := e.Group.Row(i)
			if err != nil {
				n.t.Fatal(err)
			}
			if !row.Type.IsDML() {
				continue
			}
			d, err := xrow.DecodeDML(row.Type, row.Body)
			if err != nil {
				n.t.Fatal(err)
			}
			n.rows = append(n.rows, d)
		}
		events = []instance.Event{instance.Written{Group: e.GroupNo}}
	}
	if n.onStep != nil {
		n.onStep()
	}
}

// putMember writes a row of _cluster.
func (n *testNode) putMember(row []byte) {
	n.submit(instance.Write{Requests: []instance.Request{{Conn: 9, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		return nil, tx.ExecuteInternal(&xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceCluster, Tuple: row})
	}}}})
}

func (n *testNode) takeRows() []xrow.DML {
	rows := n.rows
	n.rows = nil
	return rows
}

// Submit, Read, StreamSelect, Longest and Now make it a Node.
func (n *testNode) Submit(ev instance.Event) error {
	n.submit(ev)
	return nil
}

func (n *testNode) Read(f func(*instance.Core)) { f(n.core) }

func (n *testNode) StreamSelect(id instance.TxnID, user box.Credentials, q *box.Query, to instance.Sink) (int, error) {
	raw, count, err := n.core.StreamSelect(id, user, q, nil)
	if err == nil && len(raw) > 0 {
		err = to.Take(raw)
	}
	return count, err
}

func (n *testNode) Longest() (step, scan time.Duration) { return 0, 0 }

func (n *testNode) Now() instance.Now { return n.now }

// answer is how a call ended.
type answer struct {
	data []byte
	err  *xrow.Error
}

// caller makes calls and waits for nothing.
type caller struct {
	t    testing.TB
	node *testNode
	p    *Procs
	sync uint64
}

func newCaller(t testing.TB, mode instance.Mode, change func(*Env)) *caller {
	t.Helper()
	n := newTestNode(t, mode)
	env := Env{Loop: n, Settings: NewSettings(testFormula),
		Identity: Identity{Version: "3.8.0-0-g0", Name: "i1", ReplicasetName: "r1", GroupName: "g1", Hostname: "host", PID: 7}}
	if change != nil {
		change(&env)
	}
	return &caller{t: t, node: n, p: New(env)}
}

func testFormula(text string) (Quorum, error) {
	switch text {
	case "N / 2 + 1":
		return func(n, q int) int { return n/2 + 1 }, nil
	case "N - Q + 1":
		return func(n, q int) int { return n - q + 1 }, nil
	}
	return nil, fmt.Errorf("the formula is bad")
}

// call makes one call; nil: it has not been answered yet.
func (c *caller) call(user uint32, typ xrow.Type, name string, args []byte) (a *answer) {
	c.t.Helper()
	c.sync++
	sync := c.sync
	creds, _ := c.node.core.Box().Schema().Credentials(user)
	c.p.Call(Call{Conn: 5, Sync: sync, Session: Session{5, sync}, User: creds, Type: typ, Name: name, Args: args,
		Reply: func(data []byte, err *xrow.Error) {
			if a != nil {
				c.t.Fatalf("%s was answered twice", name)
			}
			a = &answer{data, err}
		}})
	if r, ok := c.node.replies[sync]; ok {
		if a != nil {
			c.t.Fatalf("%s was answered by the loop too", name)
		}
		a = &answer{r.Data, r.Err}
	}
	return a
}
