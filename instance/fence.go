package instance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// What administrators said of one instance is a row of _tarragon_set, ["node.UUID",
// {fence, writes, priority}]: routers lead no client to who is fenced, and who is fenced or
// takes no writes starts no election of its own accord, is handed nothing, and hands over
// when it leads. It follows the log, acks and votes as ever: nothing here says who may win
// an election, only who begins one (decision 0049). Confirmed rows count.

const nodeKey = "node."

// Bounds of a priority.
const (
	MinPriority = -100
	MaxPriority = 100
)

// Node is what administrators said of an instance; the zero value but for UUID: nothing.
type Node struct {
	UUID     string
	Name     string // of the member or replica; empty: none, or it is gone
	Fence    bool   // no clients by routers, and no leadership
	NoWrites bool   // no leadership
	Priority int64  // the greater one is elected of those that hold as much
}

// Barred tells whether it shall not lead.
func (n *Node) Barred() bool { return n.Fence || n.NoWrites }

// SetNode changes what is said of an instance (tarragon.node.set). It has no answer.
type SetNode struct {
	Conn, Sync uint64
	Who        string // name, uuid or ID of a member, or name or uuid of a registered replica
	Fence      *bool  // nil: as it is
	Writes     *bool
	Priority   *int64
}

func (SetNode) event() {}

// change is n with what is asked for.
func (ev *SetNode) change(n Node) Node {
	if ev.Fence != nil {
		n.Fence = *ev.Fence
	}
	if ev.Writes != nil {
		n.NoWrites = !*ev.Writes
	}
	if ev.Priority != nil {
		n.Priority = *ev.Priority
	}
	return n
}

// fences is what is known of instances, and when a leader that shall not lead tries to hand
// over next.
type fences struct {
	nodes []Node // by UUID
	retry time.Duration
}

// of is what is said of an instance.
func (f *fences) of(uuid string) Node {
	for _, n := range f.nodes {
		if n.UUID == uuid {
			return n
		}
	}
	return Node{UUID: uuid}
}

// tuple is the row of a node.
func (n *Node) tuple() []byte {
	b := msgp.AppendString([]byte{0x92}, nodeKey+n.UUID)
	b = msgp.AppendBool(msgp.AppendString(append(b, 0x83), "fence"), n.Fence)
	b = msgp.AppendBool(msgp.AppendString(b, "writes"), !n.NoWrites)
	return msgp.AppendInt64(msgp.AppendString(b, "priority"), n.Priority)
}

// readNode reads what tuple wrote; false: it is another row, or says nothing that we can
// read, as a Tarantool lets anybody write it who may write spaces.
func readNode(tuple []byte) (n Node, ok bool) {
	fields, at, ok := mp.ReadArrayHeader(tuple)
	if !ok || fields < 2 {
		return n, false
	}
	key, used, ok := mp.ReadString(tuple[at:])
	uuid, ours := strings.CutPrefix(string(key), nodeKey)
	if !ok || !ours {
		return n, false
	}
	n.UUID = uuid
	pairs, rest, err := msgp.ReadMapHeaderBytes(tuple[at+used:])
	for ; err == nil && pairs > 0; pairs-- {
		var name []byte
		if name, rest, err = msgp.ReadMapKeyZC(rest); err != nil {
			break
		}
		switch string(name) {
		case "fence":
			n.Fence, rest, err = msgp.ReadBoolBytes(rest)
		case "writes":
			var writes bool
			writes, rest, err = msgp.ReadBoolBytes(rest)
			n.NoWrites = !writes
		case "priority":
			n.Priority, rest, err = msgp.ReadInt64Bytes(rest)
			n.Priority = min(max(n.Priority, MinPriority), MaxPriority)
		default:
			rest, err = msgp.Skip(rest)
		}
	}
	return n, err == nil
}

// Nodes are the confirmed ones, of members and registered replicas that something is said of, by
// UUID. Safe for readers.
func (c *Core) Nodes() []Node {
	all := slices.Clone(c.fences.nodes)
	for i := range all {
		all[i].Name = c.nameOfNode(all[i].UUID)
	}
	return all
}

func (c *Core) nameOfNode(uuid string) string {
	for i := range c.members.ids {
		if c.members.ids[i].UUID == uuid {
			return nameOf(&c.members.ids[i])
		}
	}
	if r := FindReplica(c.replicas, uuid); r != nil {
		return r.Name
	}
	return ""
}

// noteNodes follows the confirmed rows, and the members that they are about.
func (c *Core) noteNodes() {
	var all []Node
	for _, tuple := range c.box.OwnRows(&box.OwnSet) {
		if n, ok := readNode(tuple); ok {
			all = append(all, n)
		}
	}
	if !slices.Equal(all, c.fences.nodes) {
		c.fences.nodes, c.fences.retry = all, 0
	}
	var p raft.Preference
	for i := range c.members.ids {
		if m := &c.members.ids[i]; isID(m.ID) {
			n := c.fences.of(m.UUID)
			if n.Barred() {
				p.Barred |= 1 << m.ID
			}
			p.Priority[m.ID] = int8(n.Priority)
		}
	}
	c.raft.Prefer(p, c.now.Mono)
}

// prefers tells whether a leader hands over to a rather than to b: who lacks something gets it
// while writes wait, so priority comes first.
func (c *Core) prefers(a, b *box.Member) bool {
	na, nb := c.fences.of(a.UUID), c.fences.of(b.UUID)
	if na.Priority != nb.Priority {
		return na.Priority > nb.Priority
	}
	return c.peers.acked[a.ID].Signature() > c.peers.acked[b.ID].Signature()
}

// barred tells whether this instance shall not lead.
func (c *Core) barred() bool {
	n := c.fences.of(c.cfg.UUID)
	return n.Barred()
}

// yields tells whether this instance leads, shall not, and can hand over.
func (c *Core) yields() bool {
	return c.barred() && c.lead.leading && c.lead.move == nil && c.writable()
}

// stepFence has a leader that shall not lead hand over, as soon as somebody can take over.
// Until then it leads: a fence is no reason to have nobody.
func (c *Core) stepFence() {
	if !c.yields() || c.now.Mono < c.fences.retry {
		return
	}
	c.fences.retry = c.now.Mono + c.cfg.ElectionTimeout
	c.switchover(SwitchoverRequest{By: "tarragon.node.set", Reason: "this instance is fenced, or takes no writes"})
}

// setNode is tarragon.node.set.
func (c *Core) setNode(ev SetNode) {
	err := c.refuseOwnChange()
	if p := ev.Priority; err == nil && p != nil && (*p < MinPriority || *p > MaxPriority) {
		err = &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("a priority is from %d to %d, not %d", MinPriority, MaxPriority, *p)}
	}
	if err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	c.gate.chores = append(c.gate.chores, Request{Conn: ev.Conn, Sync: ev.Sync, IsSync: true, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		if err := c.refuseOwnSpace(&box.OwnSet); err != nil {
			return nil, err
		}
		uuid, err := c.findNode(ev.Who)
		if err != nil {
			return nil, err
		}
		n := ev.change(c.fences.of(uuid))
		if err := c.refuseBar(&n); err != nil {
			return nil, err
		}
		if n == (Node{UUID: uuid}) {
			_, err := tx.DeleteOwn(&box.OwnSet, nodeKey+uuid)
			return noValues, err
		}
		return noValues, tx.PutOwn(&box.OwnSet, n.tuple())
	}})
}

// findNode is the uuid of a member or a registered replica.
func (c *Core) findNode(who string) (uuid string, err error) {
	if m := c.members.named(who); m != nil {
		return m.UUID, nil
	}
	for _, r := range c.replicas {
		if !r.Dropped && (r.Name == who || r.UUID == who) {
			return r.UUID, nil
		}
	}
	return "", &xrow.Error{Code: xrow.ErrCfg, Message: fmt.Sprintf("'%s' is neither a member nor a registered replica; members are %s", clipFilter(who), c.members.names())}
}

// refuseBar refuses to bar the last member that may lead. Whether the others can just now is not
// asked: they may come back.
func (c *Core) refuseBar(n *Node) error {
	if !n.Barred() {
		return nil
	}
	others := false
	for i := range c.members.ids {
		m := &c.members.ids[i]
		if m.UUID == n.UUID {
			continue
		}
		o := c.fences.of(m.UUID)
		others = others || c.members.confirmed.has(m.ID) && !o.Barred()
	}
	if !others {
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: "No other voter may lead: who is fenced or takes no writes starts no election. Let another one first"}
	}
	return nil
}
