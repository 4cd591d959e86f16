package sim

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// departure is somebody whose row was asked to go: by an operator, or by an
// instance that comes in its place.
type departure struct {
	id     uint32
	op     *op   // the operator's; nil: none
	joiner *node // who takes its place; nil: nobody
	life   int   // of the joiner
}

// open tells whether that may still happen by itself.
func (d *departure) open() bool {
	if d.joiner != nil {
		return d.joiner.life == d.life && d.joiner.joining != nil
	}
	return d.op.outcome == pending || d.op.outcome == unknown && d.op.node.life == d.op.life
}

// usedUp tells whether there is no room for further replica IDs: one that was
// given back is not taken again.
func (w *World) usedUp() bool {
	who := w.check.config.now()
	return bits.Len32(who.voters|who.learners) > 25
}

// suffices tells whether some instances are enough to elect and to commit, by
// whatever configuration may be in force now or come to be.
func (w *World) suffices(has func(n *node) bool) bool {
	var ids uint32
	for _, n := range w.nodes {
		if n.lastID != 0 && !n.wiped && !n.ended && has(n) {
			ids |= 1 << n.lastID
		}
	}
	all := w.check.config.possible()
	for _, n := range w.nodes { // one whose change is decided and not yet told goes by the old one too
		for _, c := range n.views() {
			if c.voters != 0 && !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	for _, d := range w.departures {
		if d.open() {
			for _, c := range all {
				c.voters &^= 1 << d.id
				c.learners &^= 1 << d.id
				all = append(all, c.counted())
			}
		}
	}
	for _, c := range all { // before another quorum is told to somebody, or taken from files
		for _, q := range w.wishes() {
			c.quorum = q
			all = append(all, c.counted())
		}
	}
	for _, c := range all {
		enough := func(c configuration) bool { return bits.OnesCount32(c.voters&ids) >= max(c.synchro, c.election) }
		if !enough(c) {
			return false
		}
		c.voters |= c.learners // they may be made voters at any time
		if !enough(c.counted()) {
			return false
		}
	}
	return true
}

// views are the configurations that an instance goes by, or went by when it was
// seen last.
func (n *node) views() []configuration {
	if n.core != nil {
		n.went = [2]configuration{viewOf(n.box.Members(), n.box.Setting(quorumKey)), viewOf(n.box.NewestMembers(), n.box.NewestSetting(quorumKey))}
	}
	if n.wiped {
		return nil
	}
	return n.went[:]
}

func viewOf(members []box.Member, quorum []byte) configuration {
	c := configuration{quorum: defaultQuorum}
	for _, m := range members {
		if m.Learner {
			c.learners |= 1 << m.ID
		} else {
			c.voters |= 1 << m.ID
		}
	}
	if o, ok := readConfigOp(&xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSchema, Tuple: quorum}); ok {
		c.quorum = o.quorum
	}
	return c.counted()
}

// wishes are the quorums that the set may be given by what files say and by what
// leaders were told and may still do.
func (w *World) wishes() (all []string) {
	for _, n := range w.nodes {
		if n.quorum != defaultQuorum && !slices.Contains(all, n.quorum) {
			all = append(all, n.quorum)
		}
	}
	for _, q := range w.told {
		if q.op.outcome != acknowledged && q.op.outcome != refused && !slices.Contains(all, q.text) {
			all = append(all, q.text)
		}
	}
	return all
}

// toldQuorum is a quorum that a leader was told.
type toldQuorum struct {
	text string
	op   *op
}

// mayLose tells whether the others are enough when the disk of one is gone.
func (w *World) mayLose(lost *node) bool {
	return w.mixed() || w.suffices(func(n *node) bool { return n != lost })
}

// drawMajority takes hosts whose disks are in order until they are enough; those
// that lost theirs cannot vote.
func (w *World) drawMajority() (alive []*node) {
	for _, i := range w.rng.Perm(len(w.nodes)) {
		n := w.nodes[i]
		switch {
		case n.wiped || n.ended:
		case w.mixed() && len(alive) < len(w.nodes)/2+1:
			alive = append(alive, n)
		case !w.mixed() && !w.suffices(func(n *node) bool { return slices.Contains(alive, n) }):
			alive = append(alive, n)
		}
	}
	return alive
}

// spare is a host without an instance; nil: there is none.
func (w *World) spare() *node {
	for _, n := range w.hosts {
		if !slices.Contains(w.nodes, n) {
			return n
		}
	}
	return nil
}

// arrive starts a new instance on a host.
func (n *node) arrive(uuid, name string) {
	w := n.w
	n.identity++
	if n.uuid, n.name = uuid, name; uuid == "" {
		n.uuid = fmt.Sprintf("%08x-%04x-4000-8000-%012x", n.slot+1, n.identity, w.seed&0xffffffffffff)
	}
	if name == "" {
		n.name = fmt.Sprintf("i-%03d-%d", n.slot+1, n.identity)
	}
	n.disk = newDisk(w)
	n.went = [2]configuration{}
	n.id, n.lastID, n.member, n.wiped, n.ended, n.going, n.parting = 0, 0, false, false, false, false, nil
	n.mode, n.quorum = w.plan.modeOf(n.slot), defaultQuorum
	w.check.wiped(n)
	w.nodes = append(slices.Clone(w.nodes), n)
	w.tell(n, "comes as %s, %s", n.uuid, n.name)
	for _, peer := range w.nodes {
		if peer != n && peer.running() && peer.core != nil {
			peer.follow(n)
		}
	}
	n.start()
}

// leave stops an instance for good.
func (n *node) leave() {
	w := n.w
	w.tell(n, "leaves")
	n.crash(false)
	n.life++ // whatever was to happen to it does not
	w.nodes = slices.DeleteFunc(slices.Clone(w.nodes), func(m *node) bool { return m == n })
	n.member, n.id = false, 0
	for _, peer := range w.nodes {
		if peer.links != nil {
			peer.links[n.slot] = nil
		}
	}
	for _, peer := range w.hosts {
		w.net.heal(n.slot, peer.slot)
		w.net.heal(peer.slot, n.slot)
		w.net.extra[n.slot][peer.slot], w.net.extra[peer.slot][n.slot] = 0, 0
	}
	w.check.reader.left(n)
}

// janitor is an operator who stops instances whose row is gone, some time after
// the leader's word that it is, and joiners that nobody lets in.
func (w *World) janitor() {
	if w.plan.spares == 0 || w.mixed() {
		return
	}
	half := w.half
	w.after(200*time.Millisecond, func() {
		if w.half != half || w.failure != nil {
			return
		}
		w.sweep()
		w.janitor()
	})
}

func (w *World) sweep() {
	w.countVoters()
	who := w.check.config.possible()
	known := uint32(0)
	for _, c := range who {
		known |= c.voters | c.learners
	}
	for _, n := range slices.Clone(w.nodes) {
		switch {
		case n.going:
			continue
		case w.unwanted(n):
		case n.ended && w.toldWithout(n):
		case n.wiped || n.ended || n.id == 0 && n.core == nil || n.id != 0 && (known&(1<<n.id) != 0 || !n.member) || !w.toldWithout(n):
			continue
		}
		n.going = true
		if w.half == ending {
			n.leave()
			continue
		}
		w.later(0, 6*time.Second, n.leave)
		w.after(8*time.Second, func() { n.going = false })
	}
}

// toldWithout tells whether those who count know that an instance does not, and
// know it after a crash too: only then does a leader answer that it is gone.
func (w *World) toldWithout(n *node) bool {
	if n.lastID == 0 || w.half == ending {
		return true
	}
	who := w.check.config.now()
	if n.parting == nil {
		for _, o := range w.nodes {
			if o != n && o.core != nil && who.voters&(1<<o.id) != 0 && (o.views()[0].voters|o.views()[0].learners)&(1<<n.lastID) == 0 {
				known := o.core.Info(o.mono()).VClock.Global()
				n.parting = &known
			}
		}
		return false
	}
	have := uint32(0)
	for _, o := range w.nodes {
		if o.lastID != 0 && !o.wiped && o.disk.vclock.Covers(n.parting) {
			have |= 1 << o.lastID
		}
	}
	return bits.OnesCount32(have&who.voters) >= who.election
}

// unwanted tells whether a joiner asks for the name of a member that lives.
func (w *World) unwanted(n *node) bool {
	if w.half != ending || n.joining == nil {
		return false
	}
	return slices.ContainsFunc(w.nodes, func(m *node) bool { return m != n && m.name == n.name })
}

// countVoters follows how the set grows and shrinks.
func (w *World) countVoters() {
	k := bits.OnesCount32(w.check.config.now().voters)
	if w.least == 0 || k < w.least {
		w.least = k
	}
	w.most = max(w.most, k)
	if k == 5 && w.least < 5 {
		w.count(GrewToFive)
		w.least = 5
	}
	if k == 1 && w.most > 1 {
		w.count(ShrankToOne)
		w.most = 1
	}
}
