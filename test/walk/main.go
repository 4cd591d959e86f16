// Command walk takes one write through a core that leads, or one replicated row
// through a core that follows, and notes which functions that entered: built with
// -cover, it writes the counters of that core's Steps into directories: of the Step
// that takes the write or the row, of all until everybody knows it to be committed,
// and of one without events. walk_test.go reads them.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/coverage"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

const space = 512

func main() {
	if len(os.Args) != 5 || os.Args[1] != "write" && os.Args[1] != "row" {
		fmt.Fprintln(os.Stderr, "usage: walk write|row TAKEN WHOLE EMPTY")
		os.Exit(2)
	}
	w := newWorld()
	w.elect()
	w.insert(1) // what happens only once has happened
	watched := w.leader
	if os.Args[1] == "row" {
		watched = w.follower
	}
	watched.counters = os.Args[4:]
	watched.step()
	watched.counters = os.Args[2:4]
	w.insert(2)
}

// world is a leader and a follower of three members, the third of which is silent.
type world struct {
	leader, follower *node
	now              instance.Now
	answers          int
}

// node is a core with a disk that is at once.
type node struct {
	w        *world
	id       uint32
	core     *instance.Core
	peer     *node
	inbox    []instance.Event
	counters []string // where those of its Steps go: the first one's into all, the others' into the last
}

func newWorld() *world {
	w := &world{now: instance.Now{Mono: time.Second, Wall: 1}}
	w.leader, w.follower = w.node(1, instance.ModeCandidate), w.node(2, instance.ModeVoter)
	w.leader.peer, w.follower.peer = w.follower, w.leader
	for _, n := range []*node{w.leader, w.follower} {
		n.inbox = append(n.inbox, instance.Upstream{Peer: n.peer.id, State: instance.UpstreamFollow, Kind: xrow.Tarragon},
			instance.Downstream{Peer: n.peer.id, Up: true, Kind: xrow.Tarragon})
	}
	return w
}

func uuidOf(id uint32) string { return fmt.Sprintf("%08d-0000-4000-8000-%012d", id, id) }

func (w *world) node(id uint32, mode instance.Mode) *node {
	b := box.New(box.Config{})
	core, err := instance.New(instance.Config{UUID: uuidOf(id), Mode: mode, Rand: rand.New(rand.NewPCG(1, uint64(id)))}, b)
	check(err)
	rows := box.BootstrapRows(box.Profile3_8_0, uuidOf(99), uuidOf(1), "", "")
	add := func(space uint32, tuple []byte) { rows = append(rows, xrow.DML{SpaceID: space, Tuple: tuple}) }
	for other := uint32(2); other <= 3; other++ {
		add(xrow.SpaceCluster, instance.MemberTuple(other, uuidOf(other), "", uint64(other)))
	}
	definition := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, space), 1), "t")
	definition = append(msgp.AppendString(definition, "memtx"), 0)
	add(xrow.SpaceSpace, append(msgp.AppendString(append(definition, 0x81), "is_sync"), 0xc3, 0x90))
	index := msgp.AppendString(append(msgp.AppendUint64([]byte{0x96}, space), 0), "pk")
	index = append(msgp.AppendString(index, "tree"), 0x81)
	add(xrow.SpaceIndex, msgp.AppendString(append(msgp.AppendString(index, "unique"), 0xc3, 0x91, 0x92, 0), "unsigned"))
	slices.SortStableFunc(rows, func(a, b xrow.DML) int { return int(a.SpaceID) - int(b.SpaceID) })
	for _, r := range rows {
		check(b.Load(r.SpaceID, r.Tuple))
	}
	check(b.LoadDone())
	check(core.Restore(instance.State{Term: 1, NextGroup: 1}))
	core.Start(w.now)
	return &node{w: w, id: id, core: core}
}

// elect lets time pass until the leader leads.
func (w *world) elect() {
	for range 1000 {
		w.now.Mono += 10 * time.Millisecond
		w.leader.inbox = append(w.leader.inbox, instance.Heartbeat{From: w.follower.id})
		w.follower.inbox = append(w.follower.inbox, instance.Heartbeat{From: w.leader.id})
		w.settle()
		if !w.leader.core.Info(w.now.Mono).RO {
			return
		}
	}
	panic("walk: nobody leads")
}

// insert writes one tuple and goes on until the client has its answer and the
// follower the CONFIRM.
func (w *world) insert(key byte) {
	before := w.answers
	w.leader.inbox = append(w.leader.inbox, instance.Write{Requests: []instance.Request{{Conn: 1, Sync: 1, User: box.Credentials(box.UserAdmin),
		DML: xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: []byte{0x91, key}}}}})
	w.settle()
	w.now.Mono += 10 * time.Millisecond // an idle leader writes the CONFIRM by then
	w.settle()
	if w.answers != before+1 {
		panic("walk: no answer")
	}
}

// settle steps both until nothing happens any more.
func (w *world) settle() {
	w.leader.step()
	w.follower.step()
	for len(w.leader.inbox)+len(w.follower.inbox) > 0 {
		for _, n := range []*node{w.leader, w.follower} {
			if len(n.inbox) > 0 {
				n.step()
			}
		}
	}
}

func (n *node) step() {
	events := n.inbox
	n.inbox = nil
	if len(n.counters) > 0 {
		check(coverage.ClearCounters())
	}
	eff := n.core.Step(n.w.now, events)
	for _, dir := range n.counters {
		check(coverage.WriteMetaDir(dir))
		check(coverage.WriteCountersDir(dir))
	}
	if len(n.counters) > 1 {
		n.counters = n.counters[1:]
	}
	n.run(eff)
}

// run does what a Step allows: the disk is at once, and so is the network.
func (n *node) run(eff *instance.Effects) {
	for _, r := range eff.Replies {
		if r.Err != nil {
			panic(r.Err)
		}
		n.w.answers++
	}
	if eff.Group != nil {
		n.inbox = append(n.inbox, instance.Written{Group: eff.GroupNo})
		n.relay(eff.Group)
	}
	if eff.Raft != nil {
		n.peer.inbox = append(n.peer.inbox, instance.RaftMsg{From: n.id, Msg: *eff.Raft})
	}
	if eff.Ack != nil {
		n.peer.inbox = append(n.peer.inbox, &instance.Ack{From: n.id, VClock: eff.Ack.VClock, Term: eff.Ack.Term})
	}
}

// relay sends the rows of a group to the peer.
func (n *node) relay(g *xrow.Group) {
	var rows []xrow.Row
	for i := range g.Table {
		if g.Table[i].Origin == 0 || g.Table[i].Origin == n.peer.id {
			continue
		}
		row, err := g.Row(i)
		check(err)
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		n.peer.inbox = append(n.peer.inbox, instance.Rows{From: n.id, Rows: rows})
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
