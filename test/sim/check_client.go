package sim

import (
	"sort"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"

	"github.com/tinylib/msgp/msgp"
)

// clientChecker judges what clients were told.
//
//   - An acknowledged synchronous write is held by a quorum of disks.
//   - A read of a synchronous space sees committed rows only, and whole
//     transactions; on one process it never goes back.
//   - A leader that slept beyond its fencing interval takes no write before it
//     has heard a quorum again: it resigns first.
//   - An acknowledged row of a local space is there after a restart.
//   - Writes of a register and quorum reads are linearizable: values are
//     unique and the history orders them, so an operation must come behind all
//     those that ended before it began.
type clientChecker struct {
	w     *World
	seen  map[processKey]place // newest version that a process showed
	floor [registers + 1][]bound
	notes map[*disk][]opID // acknowledged in the local space of a disk
}

type processKey struct {
	slot, life int
	key        uint64
}

// bound: from this time on nobody may be behind this version.
type bound struct {
	at      time.Duration
	version place
}

func (c *clientChecker) init(w *World) {
	c.w = w
	c.seen = map[processKey]place{}
	c.notes = map[*disk][]opID{}
}

// recovered looks for what a local space must still have.
func (c *clientChecker) recovered(n *node) {
	for _, id := range c.notes[n.disk] {
		key := msgp.AppendUint64([]byte{0x91}, uint64(id))
		_, count, err := n.box.Select(admin, &box.Query{Space: spaceNotes, Iterator: iterEq, Key: key, Limit: 1}, nil)
		if err != nil || count != 1 {
			c.w.fail("local", "%s lost op %d of its local space, which was acknowledged (%v)", n.label(), id, err)
			return
		}
	}
}

// joined: a state transfer brings no local rows.
func (c *clientChecker) joined(n *node) { delete(c.notes, n.disk) }

// acknowledged is called when a client is told that its operation is done.
func (c *clientChecker) acknowledged(o *op) {
	if c.w.mixed() {
		return
	}
	switch o.kind {
	case opLinear:
		c.linear(o)
		return
	case opRead, opByHand, opStep:
		return
	}
	if o.kind == opLocal {
		c.notes[o.node.disk] = append(c.notes[o.node.disk], o.id)
	}
	if o.kind == opLocal || o.empty {
		return
	}
	r := c.w.check.rows.of(o.id)
	if r == nil {
		c.w.fail("acknowledged", "%s acknowledged op %d, which is in no log", o.node.label(), o.id)
		return
	}
	if o.kind == opAsync || o.kind == opMixed {
		return // its leader's disk has it: that is all that was promised
	}
	c.w.check.history.mustBeCommitted(o.node, r.place(), "acknowledgement")
	if o.kind.writesRegister() {
		c.inOrder(o, o.key, r.place(), true)
	}
}

// stepped is called after every Step of a core.
func (c *clientChecker) stepped(n *node, batch []instance.Event, eff *instance.Effects, slept time.Duration) {
	if c.w.mixed() {
		return
	}
	limit := c.w.plan.config.DeathTimeout + c.w.plan.config.Heartbeat
	if slept < limit || c.w.plan.config.Fencing == instance.FencingOff || c.w.voters() < 3 ||
		n.shown == nil || n.shown.State != stateLeader {
		return
	}
	if c.w.check.forward.may(n) {
		c.w.check.forward.slept(n, batch)
		return
	}
	refused := map[uint64]bool{}
	for _, r := range eff.Replies {
		refused[r.Sync] = r.Err != nil
	}
	for _, ev := range batch {
		w, ok := ev.(instance.Write)
		for i := range w.Requests {
			if id := w.Requests[i].Sync; ok && !refused[id] && c.w.load.ops[id-1].kind < opLocal {
				c.w.fail("fencing", "%s takes op %d, after %v without a Step, as if it still led", n.label(), id, slept)
			}
		}
	}
}

// read looks at a node's confirmed state.
func (c *clientChecker) read(o *op, n *node) {
	if c.w.mixed() {
		return
	}
	for key, version := range c.look(n) {
		if version == (place{}) {
			continue
		}
		k := processKey{n.slot, n.life, uint64(key)}
		if version.less(c.seen[k]) {
			c.w.fail("read goes back", "%s shows register %d at %v after %v", n.label(), key, version, c.seen[k])
		}
		c.seen[k] = version
	}
}

// linear looks at a node's confirmed state after its quorum round.
func (c *clientChecker) linear(o *op) {
	if c.w.mixed() {
		return
	}
	c.w.count(LinearReads)
	c.read(o, o.node)
	versions := c.look(o.node)
	for key := uint64(1); key <= registers; key++ {
		c.inOrder(o, key, versions[key], false)
	}
	c.w.check.conditional.read(o)
}

// look reads all registers at one moment and gives the version of each.
func (c *clientChecker) look(n *node) (versions [registers + 1]place) {
	tuples, count, err := n.box.Select(admin, &box.Query{Space: spaceRegisters, Iterator: iterAll, Key: []byte{0x90}, Limit: 100}, nil)
	if err != nil {
		c.w.fail("reads", "%s cannot read the registers: %v", n.label(), err)
		return versions
	}
	for range count {
		key, id, err := readTuple(tuples)
		if err != nil || key == 0 || key > registers {
			c.w.fail("reads", "%s has a strange tuple in register %d: %v", n.label(), key, err)
			return versions
		}
		tuples, _ = msgp.Skip(tuples)
		r := c.w.check.rows.of(id)
		if r == nil {
			c.w.fail("dirty read", "%s shows op %d in register %d, which is in no log", n.label(), id, key)
			return versions
		}
		if !c.w.check.history.committed(r.place()) {
			c.w.fail("dirty read", "%s shows op %d in register %d: LSN %d of term %d, which is not committed",
				n.label(), id, key, r.lsn, r.term)
		}
		if c.w.load.ops[id-1].kind == opPair {
			c.whole(n, id)
		}
		versions[key] = r.place()
	}
	return versions
}

// whole looks for the other half of a transaction.
func (c *clientChecker) whole(n *node, id opID) {
	key := msgp.AppendUint64([]byte{0x91}, uint64(id))
	_, count, err := n.box.Select(admin, &box.Query{Space: spaceJournal, Iterator: iterEq, Key: key, Limit: 1}, nil)
	if err != nil || count != 1 {
		c.w.fail("torn transaction", "%s shows one half of op %d (%v)", n.label(), id, err)
	}
}

const (
	iterEq  = 0
	iterAll = 2
)

// inOrder: an operation comes behind all that ended before it began.
func (c *clientChecker) inOrder(o *op, key uint64, version place, write bool) {
	floor := c.floor[key]
	i := sort.Search(len(floor), func(i int) bool { return floor[i].at >= o.began })
	if i > 0 {
		before := floor[i-1].version
		if version.less(before) || write && version == before {
			c.w.fail("linearizable", "op %d at %s (began %v) is at %v of register %d, but %v was done before",
				o.id, o.node.label(), o.began, version, key, before)
		}
	}
	if n := len(floor); n == 0 || floor[n-1].version.less(version) {
		c.floor[key] = append(floor, bound{c.w.now, version})
	}
}
