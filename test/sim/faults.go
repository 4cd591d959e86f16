package sim

import (
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// faultKind is one kind of trouble: strike makes it happen somewhere, and
// plans its end.
type faultKind struct {
	name   string
	strike func(w *World)
}

var faultKinds = []faultKind{
	{"crash", strikeCrash},
	{"host", strikeHost},
	{"pause", strikePause},
	{"cut", strikeCut},
	{"oneway", strikeOneWay},
	{"pair", strikePair},
	{"isolate", strikeIsolate},
	{"delay", strikeDelay},
	{"reset", strikeReset},
	{"slowdisk", strikeSlowDisk},
	{"stall", strikeStall},
	{"diskfail", strikeDiskFail},
	{"wipe", strikeWipe},
	{"goback", strikeGoBack},
	{"liar", strikeLiar},
	{"clock", strikeClock},
	{"promote", strikePromote},
	{"demote", strikeDemote},
	{"schema", strikeSchema},
	{"checkpoint", strikeCheckpoint},
	{"prune", strikePrune},
}

func allKinds() []faultKind {
	return slices.Concat(faultKinds, directedKinds, changeKinds, pauseKinds, fenceKinds, handoverKinds, filterKinds, agentKinds, preferredKinds)
}

func faultsNamed(names []string) (kinds []faultKind) {
	for _, k := range allKinds() {
		if slices.Contains(names, k.name) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// UnknownFaults are those of names that are no kinds of faults.
func UnknownFaults(names []string) (unknown []string) {
	for _, name := range names {
		if !slices.ContainsFunc(allKinds(), func(k faultKind) bool { return k.name == name }) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// FaultNames are all kinds of faults.
func FaultNames() (names []string) {
	for _, k := range allKinds() {
		if !slices.Contains(names, k.name) {
			names = append(names, k.name)
		}
	}
	return names
}

// trouble strikes again and again until the safety half ends.
func (w *World) trouble(until time.Duration) {
	w.after(w.plan.pace.draw(w), func() {
		if w.now >= until || w.failure != nil {
			return
		}
		k := w.plan.faults[w.rng.IntN(len(w.plan.faults))]
		w.mix(uint64(len(k.name)), uint64(k.name[0]))
		w.check.line.compare()
		if !w.wentBack() {
			k.strike(w)
		}
		w.trouble(until)
	})
}

// victim is a leader in every second draw, if there is one.
func (w *World) victim() *node {
	if w.chance(2) {
		if n := w.leader(); n != nil {
			return n
		}
	}
	return w.nodes[w.rng.IntN(len(w.nodes))]
}

// leader is the running instance that shows itself as leader of the greatest
// term.
func (w *World) leader() (best *node) {
	for _, n := range w.nodes {
		if n.running() && n.shown != nil && n.shown.State == stateLeader && (best == nil || n.shown.Term > best.shown.Term) {
			best = n
		}
	}
	return best
}

// later plans the end of a fault. In the liveness half nothing ends by itself.
func (w *World) later(low, high time.Duration, end func()) {
	half := w.half
	w.after(w.between(low, high), func() {
		if w.half == half {
			end()
		}
	})
}

func strikeCrash(w *World) {
	n := w.victim()
	if !n.running() {
		return
	}
	n.crash(false)
	n.restartLater(10*time.Millisecond, 4*time.Second)
}

func strikeHost(w *World) {
	n := w.victim()
	if !n.running() {
		return
	}
	n.crash(true)
	n.restartLater(500*time.Millisecond, 8*time.Second)
}

// restartLater brings a process back unless something else did before.
func (n *node) restartLater(low, high time.Duration) {
	life := n.life
	n.w.later(low, high, func() {
		if n.life == life && !n.running() {
			n.start()
		}
	})
}

func strikePause(w *World) {
	n := w.victim()
	if !n.running() || n.paused {
		return
	}
	n.pause()
	life := n.life
	w.later(50*time.Millisecond, 6*time.Second, func() {
		if n.life == life {
			n.resume()
		}
	})
}

// strikeCut splits the hosts in two groups.
func strikeCut(w *World) {
	side := make([]bool, len(w.hosts))
	for i := range side {
		side[i] = w.chance(2)
	}
	for a := range side {
		for b := range side {
			if side[a] != side[b] {
				w.net.sever(a, b)
			}
		}
	}
	w.tell(nil, "partition: %v", side)
	w.later(300*time.Millisecond, 6*time.Second, w.net.healAll)
}

func strikeOneWay(w *World) {
	a, b := w.victim().slot, w.nodes[w.rng.IntN(len(w.nodes))].slot
	if a == b {
		return
	}
	if w.chance(2) {
		a, b = b, a
	}
	w.count(OneWayCut)
	w.tell(nil, "n%d does not reach n%d any more", a, b)
	w.net.sever(a, b)
	w.later(300*time.Millisecond, 6*time.Second, func() { w.net.heal(a, b) })
}

// strikePair lets two hosts lose each other; the rest still reaches both.
func strikePair(w *World) {
	a, b := w.victim().slot, w.nodes[w.rng.IntN(len(w.nodes))].slot
	if a == b {
		return
	}
	w.tell(nil, "n%d and n%d lose each other", a, b)
	w.net.sever(a, b)
	w.net.sever(b, a)
	w.later(300*time.Millisecond, 6*time.Second, func() {
		w.net.heal(a, b)
		w.net.heal(b, a)
	})
}

// strikeIsolate cuts one host off, in one direction or both.
func strikeIsolate(w *World) {
	n := w.victim()
	in, out := !w.chance(3), !w.chance(3)
	w.tell(n, "is isolated (in %v, out %v)", in, out)
	for _, peer := range w.nodes {
		if peer == n {
			continue
		}
		if in {
			w.net.sever(peer.slot, n.slot)
		}
		if out {
			w.net.sever(n.slot, peer.slot)
		}
	}
	w.later(300*time.Millisecond, 6*time.Second, func() {
		for _, peer := range w.nodes {
			w.net.heal(peer.slot, n.slot)
			w.net.heal(n.slot, peer.slot)
		}
	})
}

func strikeDelay(w *World) {
	a, b := w.nodes[w.rng.IntN(len(w.nodes))].slot, w.nodes[w.rng.IntN(len(w.nodes))].slot
	d := w.between(5*time.Millisecond, 400*time.Millisecond)
	w.tell(nil, "packets from n%d to n%d take %v longer", a, b, d)
	w.net.extra[a][b] = d
	w.later(300*time.Millisecond, 5*time.Second, func() { w.net.extra[a][b] = 0 })
}

// strikeReset breaks some connections: what they carried is lost.
func strikeReset(w *World) {
	for _, c := range slices.Clone(w.net.conns) {
		if w.chance(4) {
			c.reset()
		}
	}
}

func strikeSlowDisk(w *World) {
	n := w.victim()
	n.disk.slow = w.between(5*time.Millisecond, 300*time.Millisecond)
	w.tell(n, "syncs take %v longer", n.disk.slow)
	d := n.disk
	w.later(500*time.Millisecond, 6*time.Second, func() { d.slow = 0 })
}

func strikeStall(w *World) {
	n := w.victim()
	d := w.between(100*time.Millisecond, 5*time.Second)
	w.tell(n, "its disk stalls for %v", d)
	n.disk.stalled = w.now + d
}

// strikeDiskFail lets a sync fail. The process goes on without a journal until
// somebody replaces it.
func strikeDiskFail(w *World) {
	n := w.victim()
	if !n.running() || n.disk.failing {
		return
	}
	w.tell(n, "its disk fails")
	n.disk.failing = true
	w.later(500*time.Millisecond, 5*time.Second, n.repair)
}

// repair restarts the process of a node whose disk failed; the disk is fine
// again, with what was synced.
func (n *node) repair() {
	if n.disk.failing {
		n.crash(false)
		n.disk.failing = false
		n.restartLater(10*time.Millisecond, time.Second)
	}
}

// strikeWipe takes a disk away, one at a time: guarantees hold while a
// majority of disks survives, and a lost one counts until it is a voter again.
func strikeWipe(w *World) {
	n := w.victim()
	if w.voters() < len(w.nodes) {
		return
	}
	for _, m := range w.nodes {
		if m.wiped || m.running() && m.core == nil {
			return
		}
	}
	if w.usedUp() || !w.mayLose(n) {
		return
	}
	n.crash(w.chance(2))
	w.tell(n, "loses its disk")
	n.loseDisk()
	n.restartLater(50*time.Millisecond, 3*time.Second)
}

// loseDisk gives a dead process a new, empty store.
func (n *node) loseDisk() {
	old := n.disk.incarnation
	n.disk = newDisk(n.w)
	if n.w.plan.broken.WipedVotes {
		n.disk.incarnation = old // it does not say that it lost anything
	}
	n.wiped = true
	n.w.check.wiped(n)
}

func strikeClock(w *World) {
	n := w.victim()
	n.wall += float64(w.rng.IntN(7200) - 3600)
	w.tell(n, "its wall clock jumps")
}

func strikeCheckpoint(w *World) { w.victim().checkpoint() }

func strikePrune(w *World) {
	n := w.victim()
	if n.running() {
		n.prune(w.chance(2))
	}
}

// strikePromote lets an operator promote somebody while a leader may be alive.
func strikePromote(w *World) {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if n.running() && n.core != nil {
		w.tell(n, "is promoted by hand")
		o := w.load.begin(n, opByHand, 0)
		n.post(instance.PromoteRequest{Conn: 1, Sync: uint64(o.id)})
	}
}

func strikeDemote(w *World) {
	if n := w.leader(); n != nil {
		w.tell(n, "is demoted by hand")
		o := w.load.begin(n, opByHand, 0)
		n.post(instance.DemoteRequest{Conn: 1, Sync: uint64(o.id)})
	}
}

// strikeSchema changes the schema under load: a barrier for all writes.
func strikeSchema(w *World) {
	n := w.leader()
	if n == nil || n.core == nil {
		return
	}
	if !w.chance(3) {
		w.changeIndex(n)
		return
	}
	w.made++
	id := spaceLocks + w.made
	w.tell(n, "makes space %d", id)
	for _, d := range []xrow.DML{spaceRow(id, fmt.Sprintf("extra%d", id), spaceKind(w.rng.IntN(3))), indexRow(id)} {
		o := w.load.begin(n, opByHand, 0)
		n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, DML: d}}})
	}
}

// changeIndex makes an index on a filled space, or drops it. Its leader may be
// unseated before the index is built, there or on others.
func (w *World) changeIndex(n *node) {
	space := uint32(spaceJournal) // the one that grows
	if w.chance(3) {
		space = spaceRegisters + uint32(w.rng.IntN(4))
	}
	if w.chance(2) {
		w.later(time.Millisecond, 2*time.Second, func() { strikeDemote(w) })
	}
	d := valueIndexRow(space)
	if _, found := n.box.ResolveIndex(space, valueIndex); found {
		d = xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceIndex, Key: msgp.AppendUint32(msgp.AppendUint32([]byte{0x92}, space), 1)}
	}
	w.tell(n, "changes the index on values of space %d: %v", space, d.Type)
	o := w.load.begin(n, opByHand, 0)
	n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, DML: d}}})
}
