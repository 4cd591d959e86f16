package sim

import (
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Result is what a seed's run gave.
type Result struct {
	Seed    uint64
	Err     error
	Hash    uint64        // of the whole trace
	Virtual time.Duration // how long the world lived
	Leaders int           // leaders after the first
	Acked   int           // writes acknowledged
	Asked   int           // requests of clients and operators
	Events  uint64        // that happened
	Faults  int           // kinds of faults drawn
	Table   Table
	Met     Met  // by a mixed set
	Split   bool // somebody reported a split brain
	Readers ReaderMet
	Paused  Paused
	Fenced  Fenced

	Supervised Supervised
	Returned   Returned
	Moved      Moved
	Txns       TxnMet
	Filters    FilterMet

	Numbered NumberedMet
}

// half of the run: what a fault plans for its own end holds within one half.
type half uint8

const (
	booting half = iota
	safety
	liveness
	ending
)

// Bounds of what must happen by itself.
const (
	bootLimit     = 60 * time.Second
	electLimit    = 40 * time.Second // a healed majority leads and commits
	convergeLimit = 60 * time.Second // everything healed is equal
)

// Run lives one world. The story goes to out, unless it is nil.
func Run(seed uint64, o Options, out io.Writer) (res Result) {
	w := newWorld(seed, o, out)
	defer hurry(seed, o.Mixed).Stop()
	defer func() { res = w.result() }()
	defer w.catch()
	for _, stage := range []struct {
		name string
		do   func(*World)
	}{
		{"first boot", (*World).boot},
		{"faults", (*World).strike},
		{"majority healed", (*World).healMajority},
		{"all healed", (*World).healEverything},
	} {
		w.stage = stage.name
		w.tell(nil, "== %s", stage.name)
		if stage.do(w); w.failure != nil {
			break
		}
	}
	return res
}

// catch makes a failure of a panic.
func (w *World) catch() {
	switch p := recover().(type) {
	case nil:
	case endless:
		w.fail("endless", "%s\n%s", p, stack())
	default:
		w.fail("panic", "%v\n%s", p, stack())
	}
}

func newWorld(seed uint64, o Options, out io.Writer) *World {
	w := &World{seed: seed, plan: draw(seed, o), out: out, hash: 0xcbf29ce484222325}
	w.rng = rand.New(&dice{rand.NewPCG(seed, 1), &w.pulse})
	for i := range w.plan.hosts + w.plan.spares {
		n := &node{w: w, slot: i, disk: newDisk(w),
			uuid:   fmt.Sprintf("%08x-0000-4000-8000-%012x", i+1, seed&0xffffffffffff),
			name:   nameOf(i),
			offset: w.between(time.Second, time.Hour),
			drift:  int64(w.rng.IntN(2001)) - 1000,
			mode:   w.plan.config.Mode,
			quorum: defaultQuorum,
		}
		if i == w.plan.voter {
			n.mode = instance.ModeVoter
		}
		w.hosts = append(w.hosts, n)
	}
	w.nodes = slices.Clone(w.hosts[:w.plan.hosts])
	w.net.init(w, len(w.hosts))
	w.load = &load{w: w}
	w.check = newChecks(w)
	return w
}

// nameOf is the name of the instance of a slot.
func nameOf(slot int) string { return fmt.Sprintf("i-%03d", slot+1) }

func (w *World) result() Result {
	return Result{Seed: w.seed, Err: w.failure, Hash: w.hash, Virtual: w.now, Leaders: w.check.leader.changes,
		Acked: w.load.acked, Asked: len(w.load.ops), Events: w.events, Faults: len(w.plan.faults), Table: w.table, Met: w.met, Split: w.split, Readers: w.check.reader.met, Paused: w.check.pause.met, Fenced: w.check.fence.met, Supervised: w.check.mandate.met, Returned: w.check.preferred.met, Moved: w.check.handover.met, Txns: w.check.txn.met, Filters: w.check.filtered.met, Numbered: w.check.numbered.met}
}

// boot makes a replica set: the first node writes the bootstrap rows and leads
// alone, the others join, a client makes the spaces. Nothing goes wrong yet.
func (w *World) boot() {
	first := w.nodes[0]
	first.bootstrap()
	if !w.run(bootLimit, func() bool { return w.inEffect() != nil }) {
		w.fail("boot", "no leader in time")
		return
	}
	for _, n := range w.nodes[1:] {
		n.start()
	}
	if !w.run(w.now+bootLimit, func() bool { return w.voters() == len(w.nodes) }) {
		w.fail("boot", "%d of %d nodes in time", w.voters(), len(w.nodes))
		return
	}
	w.makeSpaces()
	if w.failure == nil && !w.comesToRest(w.now+bootLimit) {
		w.fail("boot", "no rest in time: %s", w.describe())
	}
}

// bootstrap runs the first process of the first node.
func (n *node) bootstrap() {
	n.reset()
	if err := n.newCore(); err != nil {
		n.w.fail("boot", "%v", err)
		return
	}
	n.core.Start(n.now())
	n.member = true
	rows := box.BootstrapRows(box.Profile3_8_0, fmt.Sprintf("%08x-0000-4000-8000-%012x", 0xffff, n.w.seed&0xffffffffffff), n.uuid, n.name, "sim")
	for i := range rows {
		if rows[i].SpaceID == xrow.SpaceCluster {
			rows[i].Tuple = instance.MemberTuple(1, n.uuid, n.name, n.incarnation())
		}
	}
	n.dialPeers()
	n.post(instance.BootstrapRows{Rows: rows, ID: 1}, instance.PromoteRequest{})
}

// makeSpaces lets a client create the spaces of the load.
func (w *World) makeSpaces() {
	for _, s := range []struct {
		id   uint32
		name string
		kind spaceKind
	}{{spaceRegisters, "registers", syncSpace}, {spaceJournal, "journal", syncSpace},
		{spaceCache, "cache", asyncSpace}, {spaceNotes, "notes", localSpace}, {spaceLocks, "locks", syncSpace}} {
		for _, d := range []xrow.DML{spaceRow(s.id, s.name, s.kind), indexRow(s.id)} {
			if !w.schemaChange(d) {
				return
			}
		}
	}
}

// schemaChange writes a row of a system space and waits for it.
func (w *World) schemaChange(d xrow.DML) bool {
	for end := w.now + bootLimit; w.now < end && w.failure == nil; {
		if n := w.inEffect(); n != nil {
			o := w.load.begin(n, opByHand, 0)
			n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, DML: d}}})
			w.run(end, func() bool { return o.outcome != pending })
			if o.outcome == acknowledged {
				return true
			}
		}
		w.run(w.now+50*time.Millisecond, nil)
	}
	w.fail("boot", "space %d cannot be made", d.SpaceID)
	return false
}

// spaceKind is what becomes of the rows of a space.
type spaceKind int

const (
	asyncSpace spaceKind = iota
	syncSpace
	localSpace
)

func spaceRow(id uint32, name string, kind spaceKind) xrow.DML {
	b := msgp.AppendUint32([]byte{0x97}, id)
	b = msgp.AppendUint32(b, admin)
	b = msgp.AppendString(b, name)
	b = msgp.AppendString(b, "memtx")
	b = msgp.AppendUint32(b, 0)
	switch kind {
	case syncSpace:
		b = msgp.AppendBool(msgp.AppendString(msgp.AppendMapHeader(b, 1), "is_sync"), true)
	case localSpace:
		b = msgp.AppendUint32(msgp.AppendString(msgp.AppendMapHeader(b, 1), "group_id"), 1)
	default:
		b = msgp.AppendMapHeader(b, 0)
	}
	b = msgp.AppendArrayHeader(b, 0)
	return xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceSpace, Tuple: b}
}

func indexRow(id uint32) xrow.DML { return indexOn(id, 0, "pk", 0) }

// valueIndex is the name of the second index of a space, on the values.
const valueIndex = "value"

func valueIndexRow(id uint32) xrow.DML { return indexOn(id, 1, valueIndex, 1) }

func indexOn(space, id uint32, name string, field byte) xrow.DML {
	b := msgp.AppendUint32([]byte{0x96}, space)
	b = msgp.AppendUint32(b, id)
	b = msgp.AppendString(b, name)
	b = msgp.AppendString(b, "tree")
	b = msgp.AppendBool(msgp.AppendString(msgp.AppendMapHeader(b, 1), "unique"), true)
	b = append(b, 0x91, 0x92, field)
	b = msgp.AppendString(b, "unsigned")
	return xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceIndex, Tuple: b}
}

// members counts the hosts that are part of the replica set, learners too.
func (w *World) members() (k int) {
	for _, n := range w.nodes {
		if n.member {
			k++
		}
	}
	return max(k, 1)
}

// voters counts those that count. Of a mixed set's rows nothing is known: there a
// member counts at once.
func (w *World) voters() int {
	if w.mixed() {
		return w.members()
	}
	return bits.OnesCount32(w.check.config.now().voters)
}

// inEffect is the running leader whose PROMOTE a quorum has; nil: none.
func (w *World) inEffect() *node {
	n := w.leader()
	if w.mixed() {
		return w.promoted(n)
	}
	if n == nil || n.paused || len(w.check.history.effect) == 0 {
		return nil
	}
	if w.check.history.effect[len(w.check.history.effect)-1] != n.shown.Term {
		return nil
	}
	return n
}

// strike is the safety half. It ends with at least one more leader than it
// began with.
func (w *World) strike() {
	w.half = safety
	w.load.start(w.plan.clients)
	w.check.filtered.start()
	w.check.numbered.start()
	if w.plan.agents {
		w.beginAgents()
	}
	began, leaders := w.now, w.check.leader.changes
	end := began + w.plan.safety
	w.trouble(end)
	w.janitor()
	w.run(end, nil)
	for w.check.leader.changes == leaders && w.failure == nil && w.now < end+time.Minute {
		for _, n := range w.nodes {
			n.resetMode() // or nobody may be left who leads
		}
		if n := w.leader(); n != nil {
			strikeCrashOf(n)
		}
		w.run(w.now+2*time.Second, nil)
	}
	if w.check.leader.changes > leaders {
		w.count(LeaderChanged)
	}
}

func strikeCrashOf(n *node) {
	n.crash(false)
	n.restartLater(10*time.Millisecond, time.Second)
}

// healMajority is the liveness half: a random majority of good disks is healed,
// the rest stays as broken as it is, and can only get worse. The majority must
// have a leader in effect that commits what clients ask for.
func (w *World) healMajority() {
	w.half = liveness
	alive := w.drawMajority()
	w.healed = alive
	w.tell(nil, "healed: %v", slots(alive))
	w.sever(alive)
	for _, n := range alive {
		n.heal(alive)
	}
	w.repent()
	w.count(MajorityHealed)
	var seen *since
	fresh := func() bool {
		n := w.inEffect()
		if n == nil {
			return false
		}
		if seen == nil {
			seen = &since{opID(len(w.load.ops)), len(w.load.done)}
		}
		return w.committedBy(n, *seen)
	}
	if !w.run(w.now+electLimit, fresh) && !w.split {
		w.fail("liveness", "the majority %v has no leader that commits: %s", slots(alive), w.describe())
		return
	}
	w.run(w.now+time.Second, nil)
}

// since is a moment in the life of the clients.
type since struct {
	op   opID // the last that had begun
	done int  // synchronous writes that had been acknowledged
}

// committedBy tells whether a write that began after a moment was acknowledged
// by a leader.
func (w *World) committedBy(n *node, s since) bool {
	for _, o := range w.load.done[s.done:] {
		if o.id > s.op && !o.empty && o.node == n {
			return true
		}
	}
	return false
}

// sever isolates the rest from the healed majority.
func (w *World) sever(alive []*node) {
	in := make([]bool, len(w.hosts))
	for _, n := range alive {
		in[n.slot] = true
	}
	for a := range in {
		for b := range in {
			if in[a] != in[b] {
				w.net.sever(a, b)
			}
		}
	}
}

// heal makes one node whole, and its connections to some others.
func (n *node) heal(with []*node) {
	n.disk.slow, n.disk.stalled = 0, 0
	if n.disk.failing {
		n.crash(false)
		n.disk.failing = false
	}
	n.resume()
	n.resetMode()
	if !n.running() {
		n.start()
	}
	for _, peer := range with {
		n.w.net.heal(n.slot, peer.slot)
		n.w.net.heal(peer.slot, n.slot)
		n.w.net.extra[n.slot][peer.slot], n.w.net.extra[peer.slot][n.slot] = 0, 0
	}
}

// healEverything must end in equal instances.
func (w *World) healEverything() {
	w.half = ending
	for _, n := range w.nodes {
		n.heal(w.nodes)
	}
	w.load.stop()
	w.janitor()
	if w.mixed() {
		w.endMixed()
		return
	}
	w.leadersYield()
	if !w.comesToRest(w.now + convergeLimit) {
		w.fail("convergence", "no rest in time: %s", w.describe())
		return
	}
	w.countChain()
	w.compare()
	if w.failure == nil && w.plan.filters && !w.run(w.now+convergeLimit, w.check.filtered.whole) && w.failure == nil {
		w.fail("filter", "a reader does not get all that its filter gives: %s", w.check.filtered.describe())
	}
	if w.failure == nil {
		w.run(max(w.now, time.Minute), nil)
	}
}

// comesToRest waits until nothing moves any more. Words may still be in flight
// when the disks are equal, so the rest must last.
func (w *World) comesToRest(limit time.Duration) bool {
	for w.run(limit, w.quiet) {
		before := w.nodes[0].disk.vclock
		w.run(w.now+time.Second, nil)
		if w.quiet() && w.nodes[0].disk.vclock == before {
			return true
		}
	}
	return false
}
