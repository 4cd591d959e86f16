package sim

import (
	"math/bits"
	"slices"
	"strconv"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// changeKinds change who counts: they are drawn together, for a world whose
// members change has hosts to spare.
var changeKinds = []faultKind{
	{"join", strikeJoin},
	{"expel", strikeExpel},
	{"replace", strikeReplace},
	{"quorum", strikeQuorum},
	{"files", strikeFiles},
	{"mode", strikeMode},
	{"lie", strikeLie},
}

func isChange(name string) bool {
	return slices.ContainsFunc(changeKinds, func(k faultKind) bool { return k.name == name })
}

// strikeJoin adds a member.
func strikeJoin(w *World) {
	n := w.spare()
	if n == nil || w.usedUp() || w.leader() == nil || len(w.nodes) >= 6 {
		return
	}
	n.arrive("", "")
}

// strikeExpel lets an operator delete a member's row. Its process goes on for a
// while, and may not hear of it.
func strikeExpel(w *World) {
	leader := w.leader()
	v := w.nodes[w.rng.IntN(len(w.nodes))]
	if leader == nil || leader.core == nil || v.id == 0 || v == leader && !w.chance(4) {
		return
	}
	d := &departure{id: v.id, op: &op{}}
	w.departures = append(w.departures, d)
	if !w.suffices(func(*node) bool { return true }) {
		w.departures = w.departures[:len(w.departures)-1]
		return
	}
	w.tell(v, "is expelled by hand")
	w.forge(leader)
	dml := xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceCluster, Key: msgp.AppendUint32([]byte{0x91}, v.id)}
	d.op = w.load.begin(leader, opByHand, 0)
	d.op.answered = func(err *xrow.Error) {
		if d.op.outcome == acknowledged {
			w.count(Expelled)
		}
	}
	leader.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(d.op.id), Barrier: true, Internal: true, Do: func(tx *box.Txn) ([]byte, error) {
		return nil, tx.ExecuteInternal(&dml)
	}}}})
}

const forgedUUID = "ffffffff-0000-4000-8000-000000000031"

// forge lets a client write rows that say who counts, with every right that there
// is. Nobody but the verbs of an operator may: see box.Txn.Seal.
func (w *World) forge(n *node) {
	if w.mixed() {
		return // there Tarantool's rules may hold, by which clients do
	}
	for _, dml := range []xrow.DML{
		{Type: xrow.Replace, SpaceID: xrow.SpaceCluster, Tuple: instance.MemberTuple(31, forgedUUID, "", 31)},
		{Type: xrow.Replace, SpaceID: xrow.SpaceSchema, Tuple: msgp.AppendString(msgp.AppendString(msgp.AppendString([]byte{0x93}, "tarragon.quorum"), "1"), "1")},
	} {
		o := w.load.begin(n, opByHand, 0)
		o.answered = func(*xrow.Error) {
			if o.outcome == acknowledged {
				w.fail("members", "%s let a client write space %d", n.label(), dml.SpaceID)
			}
		}
		n.post(instance.Write{Requests: []instance.Request{{Conn: 1, Sync: uint64(o.id), User: admin, DML: dml}}})
	}
}

// strikeReplace starts an instance with the name, and maybe the uuid, of a member
// that gives no word and is alive: a pod that was deleted by force, and whose
// machine is only cut off.
func strikeReplace(w *World) {
	n := w.spare()
	v := w.nodes[w.rng.IntN(len(w.nodes))]
	if n == nil || v.id == 0 || w.usedUp() || w.leader() == nil || len(w.nodes) >= 7 || !v.running() {
		return
	}
	for _, d := range w.departures {
		if d.id == v.id {
			return
		}
	}
	d := &departure{id: v.id, joiner: n, life: n.life + 1}
	w.departures = append(w.departures, d)
	n.joining = &joiner{} // open from now on
	n.life++
	enough := w.suffices(func(*node) bool { return true })
	n.joining = nil
	n.life--
	if !enough {
		w.departures = w.departures[:len(w.departures)-1]
		return
	}
	if w.chance(2) {
		v.pause()
	} else {
		w.cutOff(v)
	}
	uuid := ""
	if w.chance(2) {
		uuid = v.uuid
	}
	n.arrive(uuid, v.name)
	life := v.life
	w.later(w.plan.config.DeathTimeout, 8*time.Second, func() {
		if v.life != life {
			return
		}
		if ended := w.check.config.now(); v.id != 0 && (ended.voters|ended.learners)&(1<<v.id) == 0 {
			w.count(EndedLifeWoke)
		}
		v.resume()
		for _, peer := range w.hosts {
			w.net.heal(v.slot, peer.slot)
			w.net.heal(peer.slot, v.slot)
		}
	})
}

// cutOff severs a host from all others.
func (w *World) cutOff(v *node) {
	w.tell(v, "is cut off")
	for _, peer := range w.hosts {
		if peer != v {
			w.net.sever(v.slot, peer.slot)
			w.net.sever(peer.slot, v.slot)
		}
	}
}

// drawQuorum gives a quorum that so many voters can live with, also when one of
// them is lost.
func (w *World) drawQuorum() string {
	n := bits.OnesCount32(w.check.config.now().voters)
	if n < 3 || w.chance(3) {
		return defaultQuorum
	}
	return strconv.Itoa(2 + w.rng.IntN(n-2))
}

// strikeQuorum lets an operator change the quorum of the set.
func strikeQuorum(w *World) {
	n := w.leader()
	if n == nil || n.core == nil {
		return
	}
	w.tellQuorum(n, w.drawQuorum(), func() {})
}

// tellQuorum lets an operator tell a leader a quorum, unless that may be too much.
// done is called when the leader says that it holds.
func (w *World) tellQuorum(n *node, text string, done func()) {
	w.told = append(w.told, toldQuorum{text, &op{}})
	if !w.suffices(func(*node) bool { return true }) {
		w.told = w.told[:len(w.told)-1]
		return
	}
	rule, _ := parseQuorum(text)
	w.tell(n, "is told the quorum %s", text)
	o := w.load.begin(n, opByHand, 0)
	w.told[len(w.told)-1].op = o
	o.answered = func(*xrow.Error) {
		if o.outcome == acknowledged {
			w.count(QuorumChanged)
			done()
		}
	}
	n.post(instance.SetQuorum{Conn: 1, Sync: uint64(o.id), Text: text, Rule: rule})
}

// strikeFiles restarts a member with a file that asks for another quorum.
func strikeFiles(w *World) {
	n := w.victim()
	text, old := w.drawQuorum(), n.quorum
	if !n.running() {
		return
	}
	if w.chance(3) { // the rolling change goes on
		for _, m := range w.nodes {
			if m.quorum != defaultQuorum {
				text = m.quorum
			}
		}
	}
	n.quorum = text
	if !w.suffices(func(*node) bool { return true }) {
		n.quorum = old
		return
	}
	if text != defaultQuorum {
		w.count(FilesDiffered)
	}
	w.tell(n, "has the quorum %s in its file", text)
	n.crash(false)
	n.restartLater(time.Millisecond, 200*time.Millisecond)
}

// strikeMode changes how a member takes part in elections, at run time or by a
// restart. Another one may lead then.
func strikeMode(w *World) {
	n := w.victim()
	if !n.running() || n.paused {
		return
	}
	w.count(ModeChanged)
	n.setMode([...]instance.Mode{instance.ModeVoter, instance.ModeManual, instance.ModeManual, instance.ModeCandidate}[w.rng.IntN(4)])
	if n.mode != instance.ModeVoter && w.chance(2) {
		w.byHand(n)
	}
}

// setMode writes a mode into a file, and tells the process or starts it anew.
func (n *node) setMode(m instance.Mode) {
	w := n.w
	n.mode = m
	w.tell(n, "has the mode %v in its file", m)
	switch {
	case !n.running() || n.core == nil:
	case w.half == safety && w.chance(2):
		n.crash(false)
		n.restartLater(time.Millisecond, 200*time.Millisecond)
	default:
		o := w.load.begin(n, opByHand, 0)
		n.post(instance.Configure{Conn: 1, Sync: uint64(o.id), Apply: func(c *instance.Config) { c.Mode = m }})
	}
}

func (n *node) resetMode() {
	if m := n.w.plan.modeOf(n.slot); n.mode != m {
		n.setMode(m)
	}
}

// strikeLie takes a machine down whose disk answers before it has synced, as with
// wal.mode: write. What it acked is gone; the store knows, for the machine has
// another boot ID and the store no mark of a clean stop: it comes back as a new
// life.
func strikeLie(w *World) {
	n := w.victim()
	for _, m := range w.nodes {
		if m.wiped {
			return
		}
	}
	if !n.running() || n.id == 0 || w.usedUp() || !w.mayLose(n) {
		return
	}
	n.crash(true)
	w.tell(n, "its machine goes down, and takes what was acked and not synced")
	w.count(MachineLostSyncs)
	n.loseDisk()
	n.restartLater(500*time.Millisecond, 4*time.Second)
}
